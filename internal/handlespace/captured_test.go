package handlespace

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// ids prints the PE IDs of an answer as the captures write them.
func ids(elements []*Element[int]) string {
	var b strings.Builder
	for i, el := range elements {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, uint32(el.ID))
	}
	return b.String()
}

// put registers a PE that must be accepted.
func put(t testing.TB, s *Space[int], handle protocol.PoolHandle, id protocol.PEID, p protocol.Policy) *Element[int] {
	t.Helper()
	el, _, err := s.Put(handle, element(id, 1, p), Registered)
	if err != nil {
		t.Fatal(err)
	}
	return el
}

// element returns what a PE with one SCTP address says of itself.
func element(id protocol.PEID, home protocol.RegistrarID, p protocol.Policy) protocol.PoolElement {
	return protocol.PoolElement{
		ID: id, Home: home, Life: lifetime, Policy: p,
		User: protocol.TransportAddr{Protocol: protocol.SCTP, Port: 7, Addrs: slices.Clone(address)},
		ASAP: protocol.TransportAddr{Protocol: protocol.SCTP, Port: 3863, Addrs: slices.Clone(address)},
	}
}

func roundRobin() protocol.Policy { return protocol.Policy{Type: protocol.RoundRobin} }

func weightedRoundRobin(weight uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.WeightedRoundRobin, Weight: weight}
}

func weightedRandomly(weight uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.WeightedRandom, Weight: weight}
}

func priority(value uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.Priority, Priority: value}
}

func leastUsed(load uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.LeastUsed, Load: load}
}

func leastUsedDegradation(load, degradation uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.LeastUsedDegradation, Load: load, Degradation: degradation}
}

// captureStep is a request for some items and the PE IDs of the answer, or, when
// register is set, a registration.
type captureStep struct {
	items    int
	answer   string
	register protocol.PEID
	policy   protocol.Policy
}

func requests(items int, answers ...string) []captureStep {
	var steps []captureStep
	for _, answer := range answers {
		steps = append(steps, captureStep{items: items, answer: answer})
	}
	return steps
}

func registration(id protocol.PEID, p protocol.Policy) captureStep {
	return captureStep{register: id, policy: p}
}

// TestCapturedSequences replays what RSPLIB's registrar answered to a single
// requester. LeastUsedDegradation, where the RFC's rule differs from RSPLIB's, is
// in TestLeastUsedDegradationCounter.
func TestCapturedSequences(t *testing.T) {
	const everything = 0xffffffff
	tests := []struct {
		name  string
		steps [][]captureStep
	}{
		{"RoundRobin", [][]captureStep{
			{registration(1001, roundRobin()), registration(1002, roundRobin()), registration(1003, roundRobin())},
			{registration(1004, roundRobin()), registration(1005, roundRobin()), registration(1006, roundRobin())},
			requests(3, "1001 1002 1003", "1002 1003 1004", "1003 1004 1005"),
			requests(1, "1004", "1005"),
			requests(2, "1006 1001", "1001 1002"),
			requests(3, "1002 1003 1004", "1003 1004 1005"),
			requests(6, "1004 1005 1006 1001 1002 1003"),
			requests(everything, "1005 1006 1001 1002 1003 1004"),
			requests(500, "1006 1001 1002 1003 1004 1005"),
			requests(1, "1001", "1002"),
		}},
		{"WeightedRoundRobin", [][]captureStep{
			{registration(1, weightedRoundRobin(1)), registration(2, weightedRoundRobin(2)), registration(3, weightedRoundRobin(3))},
			requests(1, "1", "2", "3", "2", "3", "3"),
			requests(1, "1", "2", "3", "2", "3", "3"),
			requests(1, "1", "2", "3", "2", "3", "3"),
			requests(3, "1 2 3", "2 3 1"),
		}},
		{"WeightedRoundRobin with a weight of 0", [][]captureStep{
			{registration(51, weightedRoundRobin(0)), registration(52, weightedRoundRobin(2))},
			requests(1, "51", "52", "52", "51", "52", "52"),
		}},
		{"LeastUsed", [][]captureStep{
			{registration(21, leastUsed(0x10000000)), registration(22, leastUsed(0x10000000)), registration(23, leastUsed(0x20000000))},
			requests(1, "21", "22", "21", "22", "21", "22"),
			requests(2, "21 22"),
			requests(3, "22 21 23"),
			{registration(21, leastUsed(0x70000000))},
			requests(1, "22", "22", "22"),
		}},
		{"Priority", [][]captureStep{
			{registration(31, priority(5)), registration(32, priority(9)), registration(33, priority(5))},
			requests(3, "32 31 33", "32 31 33", "32 31 33"),
		}},
		{"WeightedRandom", [][]captureStep{
			{registration(41, weightedRandomly(0)), registration(42, weightedRandomly(1))},
			requests(2, "42", "42", "42"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New[int](Options{})
			for i, step := range slices.Concat(tt.steps...) {
				if step.register != 0 {
					put(t, s, "pool", step.register, step.policy)
					continue
				}
				got, known := s.Select(nil, "pool", step.items)
				if !known || ids(got) != step.answer {
					t.Fatalf("step %d: Select(%d) = %q, %v, want %q", i, step.items, ids(got), known, step.answer)
				}
			}
		})
	}
}

// RFC 5356 section 5.2.2: "When a pool element entry is added or updated by
// registration or re-registration, this counter MUST be set to 0. When an entry
// is selected for being returned to a pool user, the internal degradation counter
// MUST be incremented by 1. [...] the selected pool element entries SHOULD have
// the lowest possible sum of load value + degradation counter * load degradation
// value."
//
// In units of 0x08000000, the PEs are 11 (load 2, degradation 2), 12 (2, 4) and
// 13 (4, 1). Sums before each single selection, "last" being who was selected
// longest ago:
//
//	11: 2  12: 2  13: 4   11 was registered before 12
//	11: 4  12: 2  13: 4   12
//	11: 4  12: 6  13: 4   13, last
//	11: 4  12: 6  13: 5   11
//	11: 6  12: 6  13: 5   13
//	11: 6  12: 6  13: 6   12, last
//	11: 6  12:10  13: 6   11, last
//	11: 8  12:10  13: 6   13
//
// and 11: 8, 12: 10, 13: 7 afterwards. A request for three counts for all: 13 11
// 12, then 11: 10, 12: 14, 13: 8. Of the next two, 13 and 11, each counts again:
// 11: 12, 12: 14, 13: 9. A re-registration of 12, which says nothing new, sets
// its sum to 2.
func TestLeastUsedDegradationCounter(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 11, leastUsedDegradation(0x10000000, 0x10000000))
	put(t, s, "pool", 12, leastUsedDegradation(0x10000000, 0x20000000))
	put(t, s, "pool", 13, leastUsedDegradation(0x20000000, 0x08000000))
	check := func(items int, want string) {
		t.Helper()
		if got, _ := s.Select(nil, "pool", items); ids(got) != want {
			t.Fatalf("Select(%d) = %q, want %q", items, ids(got), want)
		}
	}
	for _, want := range []string{"11", "12", "13", "11", "13", "12", "11", "13"} {
		check(1, want)
	}
	check(3, "13 11 12")
	check(2, "13 11")
	put(t, s, "pool", 12, leastUsedDegradation(0x10000000, 0x20000000))
	check(3, "12 13 11")
}
