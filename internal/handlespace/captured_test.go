package handlespace

import (
	"slices"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// captureStep is a request for some items and the PE IDs of the answer, or, when
// register is set, a registration.
type captureStep struct {
	items    uint32
	answer   string
	register protocol.PEID
	policy   protocol.Policy
}

func requests(items uint32, answers ...string) []captureStep {
	var steps []captureStep
	for _, answer := range answers {
		steps = append(steps, captureStep{items: items, answer: answer})
	}
	return steps
}

func registering(id protocol.PEID, p protocol.Policy) captureStep {
	return captureStep{register: id, policy: p}
}

// TestCapturedSequences replays what RSPLIB's registrar answered to a single
// requester. WeightedRoundRobin and LeastUsedDegradation, where the RFC's rules differ
// from RSPLIB's, are in rfc5356_test.go.
func TestCapturedSequences(t *testing.T) {
	const everything = 0xffffffff
	tests := []struct {
		name  string
		steps [][]captureStep
	}{
		{"RoundRobin", [][]captureStep{
			{registering(1001, roundRobin()), registering(1002, roundRobin()), registering(1003, roundRobin())},
			{registering(1004, roundRobin()), registering(1005, roundRobin()), registering(1006, roundRobin())},
			requests(3, "1001 1002 1003", "1002 1003 1004", "1003 1004 1005"),
			requests(1, "1004", "1005"),
			requests(2, "1006 1001", "1001 1002"),
			requests(3, "1002 1003 1004", "1003 1004 1005"),
			requests(6, "1004 1005 1006 1001 1002 1003"),
			requests(everything, "1005 1006 1001 1002 1003 1004"),
			requests(500, "1006 1001 1002 1003 1004 1005"),
			requests(1, "1001", "1002"),
		}},
		{"LeastUsed", [][]captureStep{
			{registering(21, leastUsed(0x10000000)), registering(22, leastUsed(0x10000000)), registering(23, leastUsed(0x20000000))},
			requests(1, "21", "22", "21", "22", "21", "22"),
			requests(2, "21 22"),
			requests(3, "22 21 23"),
			{registering(21, leastUsed(0x70000000))},
			requests(1, "22", "22", "22"),
		}},
		{"PriorityLeastUsed", [][]captureStep{
			{registering(61, priorityLeastUsed(0x10000000, 0x50000000)), registering(62, priorityLeastUsed(0x20000000, 0x10000000))},
			requests(2, "62 61", "62 61", "62 61"),
		}},
		{"Priority", [][]captureStep{
			{registering(31, priority(5)), registering(32, priority(9)), registering(33, priority(5))},
			requests(3, "32 31 33", "32 31 33", "32 31 33"),
		}},
		{"WeightedRandom", [][]captureStep{
			{registering(41, weightedRandomly(0)), registering(42, weightedRandomly(1))},
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
				got, known := s.Select(nil, "pool", int(step.items))
				if !known || ids(got) != step.answer {
					t.Fatalf("step %d: Select(%d) = %q, %v, want %q", i, step.items, ids(got), known, step.answer)
				}
			}
		})
	}
}
