package handlespace

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// RFC 5356 section 4.1.2: "On reception of a handle resolution request, the ENRP
// server SHOULD return the pool elements from the circular list, starting with
// head. Then the head SHOULD be advanced by one element."
func TestRoundRobinHead(t *testing.T) {
	s := New[int](Options{})
	for id := range protocol.PEID(4) {
		put(t, s, "pool", id+1, roundRobin())
	}
	wantSelected(t, s, 3, "1 2 3")
	wantSelected(t, s, 3, "2 3 4")
	s.Remove("pool", 3, Deregistered) // the head
	wantSelected(t, s, 3, "4 1 2")
	put(t, s, "pool", 5, roundRobin()) // the last of the list that now starts with 1
	wantSelected(t, s, 4, "1 2 4 5")
}

// RFC 5356 section 4.1.3: "A pool user SHOULD use the list of pool elements
// returned by the ENRP server in a round robin fashion, starting with the first."
// A PU's cache therefore counts each PE of an answer as selected.
func TestRoundRobinOfPoolUser(t *testing.T) {
	s := New[int](Options{MaxIncrement: math.MaxInt})
	for id := range protocol.PEID(4) {
		put(t, s, "pool", id+1, roundRobin())
	}
	wantSelected(t, s, 3, "1 2 3")
	wantSelected(t, s, 3, "4 1 2")
	wantSelected(t, s, 100, "3 4 1 2")
	wantSelected(t, s, 1, "3")
}

// RFC 5356 section 4.5.2: "The ENRP server MUST select the pool elements with the
// highest priorities. They MUST be reported in decreasing order."
func TestPriorityOrder(t *testing.T) {
	s := New[int](Options{})
	for id, value := range []uint32{7, 0, math.MaxUint32, 3, math.MaxUint32 - 1} {
		put(t, s, "pool", protocol.PEID(id), priority(value))
	}
	wantSelected(t, s, 5, "2 4 0 3 1")
	wantSelected(t, s, 2, "2 4")
}

// RFC 5356 section 5.1.2: "If there is a choice of equal-loaded pool elements,
// round robin selection SHOULD be made among these elements. The returned list of
// pool elements MUST be sorted in ascending order by load value."
func TestLeastUsedOrder(t *testing.T) {
	s := New[int](Options{})
	for id, load := range []uint32{5, 5, 0, math.MaxUint32, 5} {
		put(t, s, "pool", protocol.PEID(id), leastUsed(load))
	}
	wantSelected(t, s, 5, "2 0 1 4 3")
	s.Remove("pool", 2, Deregistered)
	wantSelected(t, s, 1, "0")
	wantSelected(t, s, 1, "1")
	wantSelected(t, s, 1, "4")
	wantSelected(t, s, 4, "0 1 4 3")
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
	for _, want := range []string{"11", "12", "13", "11", "13", "12", "11", "13"} {
		wantSelected(t, s, 1, want)
	}
	wantSelected(t, s, 3, "13 11 12")
	wantSelected(t, s, 2, "13 11")
	put(t, s, "pool", 12, leastUsedDegradation(0x10000000, 0x20000000))
	wantSelected(t, s, 3, "12 13 11")
}

// The sum of load and counted degradations may be beyond 100 %, and even then the
// lowest sum counts: with a degradation twice as large, PE 1 has half the turns.
func TestLeastUsedDegradationBeyondFullLoad(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 1, leastUsedDegradation(math.MaxUint32, 0xfffffffe))
	put(t, s, "pool", 2, leastUsedDegradation(math.MaxUint32, 0x7fffffff))
	for _, want := range []string{"1", "2", "2", "1", "2", "2", "1"} {
		wantSelected(t, s, 1, want)
	}
}

// RFC 5356 section 5.3.1: "Pool elements A and B are loaded by 50%, but the load of A
// will increase due to a new application request only by 10% while B will be fully
// loaded. [...] A will be selected (50+10=60) instead of B (50+50=100)."
func TestPriorityLeastUsed(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 2, priorityLeastUsed(protocol.Fraction(0.5), protocol.Fraction(0.5)))
	put(t, s, "pool", 1, priorityLeastUsed(protocol.Fraction(0.5), protocol.Fraction(0.1)))
	wantSelected(t, s, 1, "1")
	wantSelected(t, s, 2, "1 2") // no selection adds up
	// Sums beyond 100 % count as well.
	put(t, s, "pool", 3, priorityLeastUsed(math.MaxUint32, 3))
	put(t, s, "pool", 4, priorityLeastUsed(math.MaxUint32, 2))
	wantSelected(t, s, 4, "1 2 4 3")
}

// RSPLIB's combination of the two: load + degradation + selections * degradation, here
// 1: 3 5 7, 2: 4 5.
func TestPriorityLeastUsedDegradation(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 1, protocol.Policy{Type: protocol.PriorityLeastUsedDegradation, Load: 1, Degradation: 2})
	put(t, s, "pool", 2, protocol.Policy{Type: protocol.PriorityLeastUsedDegradation, Load: 3, Degradation: 1})
	for _, want := range []string{"1", "2", "1", "2", "2"} {
		wantSelected(t, s, 1, want)
	}
}

// RSPLIB: "load + distance × loadDPF", and for LeastUsedDegradationDPF the counted
// degradations.
func TestDistancePenalty(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 1, protocol.Policy{Type: protocol.LeastUsedDPF, Load: 100, LoadDPF: 5, Distance: 10})
	put(t, s, "pool", 2, protocol.Policy{Type: protocol.LeastUsedDPF, Load: 149, LoadDPF: 5})
	put(t, s, "pool", 3, protocol.Policy{Type: protocol.LeastUsedDPF, LoadDPF: math.MaxUint32, Distance: math.MaxUint32})
	put(t, s, "pool", 4, protocol.Policy{Type: protocol.LeastUsedDPF, LoadDPF: math.MaxUint32 - 1, Distance: math.MaxUint32})
	wantSelected(t, s, 4, "2 1 4 3")

	s = New[int](Options{})
	put(t, s, "pool", 1, protocol.Policy{Type: protocol.LeastUsedDegradationDPF, Load: 100, Degradation: 20, LoadDPF: 5, Distance: 10})
	put(t, s, "pool", 2, protocol.Policy{Type: protocol.LeastUsedDegradationDPF, Load: 155, Degradation: 1})
	for _, want := range []string{"1", "2", "2"} { // 150 170, 155 156
		wantSelected(t, s, 1, want)
	}
}

// What is beyond 1<<64 is the same for all, and does not start again from 0.
func TestDistancePenaltyBeyondLimit(t *testing.T) {
	s := New[int](Options{})
	far := protocol.Policy{Type: protocol.LeastUsedDegradationDPF, Degradation: math.MaxUint32, LoadDPF: math.MaxUint32, Distance: math.MaxUint32}
	for id := range protocol.PEID(3) {
		put(t, s, "pool", id, far).place.counter = math.MaxUint32 - 1
	}
	wantSelected(t, s, 3, "0 1 2") // from here on, beyond it
	for _, want := range []string{"1", "2", "0", "1", "2", "0"} {
		wantSelected(t, s, 1, want)
	}
}

// RFC 5356 section 5.1.2: "If there is a choice of equal-loaded pool elements, round robin selection
// SHOULD be made among these elements", also when each answer lists them all and counts them all.
func TestDegradationOfAllTakesTurns(t *testing.T) {
	s := New[int](Options{})
	for id := range protocol.PEID(3) {
		put(t, s, "pool", id, protocol.Policy{Type: protocol.LeastUsedDegradation, Degradation: 5})
	}
	for _, want := range []string{"0 1 2", "1 2 0", "2 0 1", "0 1 2"} {
		wantSelected(t, s, 3, want)
	}
}

// RFC 5352 section 6.5.2: "One basic policy is defined in this document". A type that
// nobody knows is selected by it.
func TestUnknownPolicy(t *testing.T) {
	s := New[int](Options{})
	for id, parameters := range []string{"b", "", "a"} {
		el := put(t, s, "pool", protocol.PEID(id), protocol.Policy{Type: 0x80000001, Opaque: parameters})
		if el.Policy.Opaque != parameters {
			t.Errorf("parameters are %q, want %q", el.Policy.Opaque, parameters)
		}
	}
	wantSelected(t, s, 3, "0 1 2")
	put(t, s, "pool", 1, protocol.Policy{Type: 0x80000001, Opaque: "c"})
	wantSelected(t, s, 3, "1 2 0")
}

// A Rule is "asked when the PE registers with new parameters or after selections, and
// after each selection".
func TestRule(t *testing.T) {
	var asked []string
	rule := func(parameters string, selections uint32) uint64 {
		asked = append(asked, fmt.Sprint(parameters, selections))
		return uint64(len(parameters)) + uint64(selections)
	}
	s := New[int](Options{Rules: map[protocol.PolicyType]Rule{0x80000001: rule}})
	register := func(id protocol.PEID, parameters string) {
		put(t, s, "pool", id, protocol.Policy{Type: 0x80000001, Opaque: parameters})
	}
	wantAsked := func(want ...string) {
		t.Helper()
		if !slices.Equal(asked, want) {
			t.Errorf("asked for %v, want %v", asked, want)
		}
		asked = nil
	}
	register(1, "aa")
	register(2, "b")
	wantAsked("aa0", "b0")
	register(2, "b")
	wantAsked()
	wantSelected(t, s, 1, "2")
	wantSelected(t, s, 2, "1 2") // 2 2, PE 1 is there longer
	wantAsked("b1", "b2", "aa1") // who makes way comes last
	register(2, "b")
	wantAsked("b0")
	wantSelected(t, s, 2, "2 1") // 1 3
	wantAsked("aa2", "b1")
	register(1, "")
	wantAsked("0")
	wantSelected(t, s, 1, "1")
}
