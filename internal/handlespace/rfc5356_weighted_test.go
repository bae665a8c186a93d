package handlespace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// turnsOf selects single PEs and returns how often each had its turn.
func turnsOf(s *Space[int], selections int) map[uint32]int {
	turns := make(map[uint32]int)
	for range selections {
		selected, _ := s.Select(nil, "pool", 1)
		turns[uint32(selected[0].ID)]++
	}
	return turns
}

// RFC 5356 section 4.2.2: "The ENRP server puts each pool element, possibly, multiple
// times into the list [...] as evenly distributed as possible". The turns are at
//
//	1:         1/2
//	2:    1/4       3/4
//	3: 1/6     1/2      5/6
//
// of each round. At 1/2, PE 1 has been waiting since its last turn, PE 3 only since
// 1/6. RSPLIB has 1 2 3 2 3 3.
func TestWeightedRoundRobinOrder(t *testing.T) {
	s := New[int](Options{})
	for id := range protocol.PEID(3) {
		put(t, s, "pool", id+1, weightedRoundRobin(uint32(id+1)))
	}
	for range 3 {
		for _, want := range []string{"3", "2", "1", "3", "2", "3"} {
			wantSelected(t, s, 1, want)
		}
	}
	// One PE of each answer takes its turn, as with RoundRobin.
	for _, want := range []string{"3 2 1", "2 1 3", "1 3 2", "3 2 1", "2 3 1", "3 2 1"} {
		wantSelected(t, s, 3, want)
	}
}

// The same section: "The ratio of the number of occurrences of a pool element to the
// list length is the same as the ratio of the weight of that pool element to the sum
// of weights." At any part of a round, each PE has had this part of its turns, rounded.
// So the turns so far differ from that ratio by at most half a turn, and by what half a
// turn of each PE makes of the length.
func TestWeightedRoundRobinRatio(t *testing.T) {
	for _, weights := range [][]uint32{{1, 7, 3, 20, 5}, {1, 1, 1}, {1, 1000}, {9, 10, 11}, {1, 2, 3, 4, 5, 6}} {
		s := New[int](Options{})
		sum := 0
		for i, w := range weights {
			put(t, s, "pool", protocol.PEID(i), weightedRoundRobin(w))
			sum += int(w)
		}
		turns := make([]int, len(weights))
		for i := range 5 * sum {
			selected, _ := s.Select(nil, "pool", 1)
			turns[selected[0].ID]++
			for id, w := range weights {
				due := float64(i+1) * float64(w) / float64(sum)
				limit := 0.5 + 0.5*float64(len(weights))*float64(w)/float64(sum)
				if off := float64(turns[id]) - due; math.Abs(off) > limit || (i+1)%sum == 0 && off != 0 {
					t.Fatalf("of weights %v, weight %d has %d of %d turns", weights, w, turns[id], i+1)
				}
			}
		}
	}
}

func TestWeightedRoundRobinLargestWeights(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 1, weightedRoundRobin(math.MaxUint32))
	put(t, s, "pool", 2, weightedRoundRobin(math.MaxUint32))
	put(t, s, "pool", 3, weightedRoundRobin(0x80000000))
	put(t, s, "pool", 4, weightedRoundRobin(1))
	turns := turnsOf(s, 100_000)
	if want := "map[1:40000 2:40000 3:20000]"; fmt.Sprint(turns) != want {
		t.Errorf("turns are %v, want %s", turns, want)
	}
}

// RFC 5356 section 3.2: "A weight of 0 denotes that the pool element is not capable of
// providing any service".
func TestWeightOfZero(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 1, weightedRoundRobin(0))
	wantSelected(t, s, 1, "")
	put(t, s, "pool", 2, weightedRoundRobin(2))
	put(t, s, "pool", 3, weightedRoundRobin(1))
	wantSelected(t, s, 3, "2 3")
	put(t, s, "pool", 2, weightedRoundRobin(0))
	wantSelected(t, s, 3, "3")
	put(t, s, "pool", 1, weightedRoundRobin(1))
	wantSelected(t, s, 3, "3 1")
	s.Remove("pool", 2, Deregistered)
	put(t, s, "pool", 3, weightedRoundRobin(0))
	put(t, s, "pool", 1, weightedRoundRobin(0))
	wantSelected(t, s, 1, "")
}

// A PE that comes in the middle of a round gets no turns for what is past of it, nor
// has it to wait for the next round; and so does one that changes its weight.
func TestWeightedRoundRobinChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *Space[int])
		want   string // of the next 100 turns
	}{
		{"same weight comes", func(s *Space[int]) { put(t, s, "pool", 3, weightedRoundRobin(1000)) }, "map[1:50 3:50]"},
		{"higher weight comes", func(s *Space[int]) { put(t, s, "pool", 3, weightedRoundRobin(3000)) }, "map[1:25 3:75]"},
		{"weight raised", func(s *Space[int]) { put(t, s, "pool", 2, weightedRoundRobin(1000)) }, "map[1:50 2:50]"},
		{"weight lowered", func(s *Space[int]) {
			put(t, s, "pool", 2, weightedRoundRobin(1_000_000))
			put(t, s, "pool", 2, weightedRoundRobin(1000))
		}, "map[1:50 2:50]"},
		{"registered again", func(s *Space[int]) {
			put(t, s, "pool", 2, weightedRoundRobin(1))
			put(t, s, "pool", 1, weightedRoundRobin(1000))
		}, "map[1:100]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New[int](Options{})
			put(t, s, "pool", 1, weightedRoundRobin(1000))
			put(t, s, "pool", 2, weightedRoundRobin(1))
			turnsOf(s, 600) // PE 2 had its turn
			tt.change(s)
			if got := fmt.Sprint(turnsOf(s, 100)); got != tt.want {
				t.Errorf("turns are %s, want %s", got, tt.want)
			}
		})
	}
}

// RFC 5356 section 4.2.1: "If all weights are 1, then WRR is just RR."
func TestWeightedRoundRobinOfEqualWeights(t *testing.T) {
	for _, increment := range []int{1, 2, math.MaxInt} {
		r := rand.New(rand.NewPCG(1, uint64(increment)))
		weighted, plain := New[int](Options{MaxIncrement: increment}), New[int](Options{MaxIncrement: increment})
		put(t, weighted, "pool", 0, weightedRoundRobin(1))
		put(t, plain, "pool", 0, roundRobin())
		for i := range 4_000 {
			id, n := protocol.PEID(1+r.IntN(9)), r.IntN(12)
			switch r.IntN(10) {
			case 0:
				put(t, weighted, "pool", id, weightedRoundRobin(1))
				put(t, plain, "pool", id, roundRobin())
			case 1:
				weighted.Remove("pool", id, Deregistered)
				plain.Remove("pool", id, Deregistered)
			default:
				got, _ := weighted.Select(nil, "pool", n)
				if want, _ := plain.Select(nil, "pool", n); ids(got) != ids(want) {
					t.Fatalf("increment %d, step %d: Select(%d) = %s, want %s", increment, i, n, ids(got), ids(want))
				}
			}
		}
	}
}

// All PEs of an answer take a turn in a PU's cache, even those that are not yet due. They
// do not get ahead of the others for that, however often it happens.
func TestWeightedRoundRobinNobodyGetsAhead(t *testing.T) {
	s := New[int](Options{MaxIncrement: math.MaxInt})
	put(t, s, "pool", 1, weightedRoundRobin(10))
	put(t, s, "pool", 2, weightedRoundRobin(1))
	for range 10_000 {
		s.Select(nil, "pool", 2)
	}
	if turns := turnsOf(s, 110); turns[2] < 8 || turns[2] > 10 {
		t.Errorf("turns are %v, want about 10 of PE 2", turns)
	}
}
