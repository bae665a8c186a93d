package handlespace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// RFC 5356 section 4.4.2: "Each element MUST NOT be reported more than once to the
// pool user. The probability of selecting a pool element should be the ratio of
// the weight of that pool element to the sum of weights." The first of two drawn
// PEs follows this ratio, the second the ratio among the others. Random is the
// same "having all weights set to 1" (section 4.4.1), RandomizedLeastUsed with
// "0xffffffff - load value" (section 5.4.2), the others as RSPLIB has them.
func TestRandomProbabilities(t *testing.T) {
	const full, half, quarter = math.MaxUint32, 0x80000000, 0x40000000
	weighted := func(weight uint32) protocol.Policy { return weightedRandomly(weight) }
	even := func(uint32) protocol.Policy { return protocol.Policy{Type: protocol.Random} }
	far := func(weight uint32) protocol.Policy { // each of 10 ms costs a twentieth
		return protocol.Policy{Type: protocol.WeightedRandomDPF, Weight: weight, WeightDPF: protocol.Fraction(0.05), Distance: 10}
	}
	loaded := func(t protocol.PolicyType, degradation uint32) func(uint32) protocol.Policy {
		return func(load uint32) protocol.Policy {
			return protocol.Policy{Type: t, Load: load, Degradation: degradation}
		}
	}
	tests := []struct {
		name    string
		policy  func(value uint32) protocol.Policy
		values  []uint32  // of the PEs
		weights []float64 // what they should come to
		limit   float64   // of chi-square, exceeded with a probability of 0.001
	}{
		{"Random", even, []uint32{1, 1, 1, 1, 1}, []float64{1, 1, 1, 1, 1}, 43.82}, // 20 pairs
		{"WeightedRandom", weighted, []uint32{3, 0, 1, 10, 2}, []float64{3, 0, 1, 10, 2}, 31.26},
		{"WeightedRandom, largest weights", weighted, []uint32{full, full, full}, []float64{1, 1, 1}, 20.52},
		{"WeightedRandomDPF", far, []uint32{0, 1, 2, 100, 200}, []float64{0, 1, 1, 50, 100}, 31.26},
		{"RandomizedLeastUsed", loaded(protocol.RandomizedLeastUsed, 0), []uint32{full, half, 0, quarter}, []float64{0, 2, 4, 3}, 20.52},
		{"RandomizedLeastUsed, all fully used", loaded(protocol.RandomizedLeastUsed, 0), []uint32{full, full, full}, []float64{1, 1, 1}, 20.52},
		{"RandomizedPriorityLeastUsed", loaded(protocol.RandomizedPriorityLeastUsed, quarter), []uint32{half, 0, quarter, full}, []float64{1, 3, 2, 0}, 20.52},
		{"RandomizedLeastUsedDegradation", loaded(protocol.RandomizedLeastUsedDegradation, quarter), []uint32{full, half, 0, quarter}, []float64{0, 2, 4, 3}, 20.52},
		{"RandomizedPriorityLeastUsedDegradation", loaded(protocol.RandomizedPriorityLeastUsedDegradation, quarter), []uint32{half, 0, quarter, full}, []float64{1, 3, 2, 0}, 20.52},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New[int](Options{Rand: rand.NewPCG(7, 11)})
			const draws = 20_000
			observed := make(map[string]int)
			for id, value := range tt.values {
				put(t, s, "pool", protocol.PEID(id), tt.policy(value))
			}
			for range draws {
				selected, _ := s.Select(nil, "pool", 2)
				observed[ids(selected)]++
				for _, el := range selected { // nobody is degraded for long
					put(t, s, "pool", el.ID, el.Policy)
				}
			}
			if chi := chiSquare(observed, pairProbabilities(tt.weights), draws); chi > tt.limit {
				t.Errorf("chi-square is %.2f, want at most %.2f; pairs were %v", chi, tt.limit, observed)
			}
		})
	}
}

// With RandomizedLeastUsedDegradation a PE that was selected has less left: after one
// of the two idle PEs was selected, with a degradation of 1/2, it has one of three
// chances.
func TestRandomDegradation(t *testing.T) {
	s := New[int](Options{Rand: rand.NewPCG(7, 11)})
	observed := make(map[string]int)
	const draws, limit = 20_000, 16.27 // 4 pairs, exceeded with a probability of 0.001
	for range draws {
		var pair []*Element[int]
		for id := range protocol.PEID(2) {
			put(t, s, "pool", id, protocol.Policy{Type: protocol.RandomizedLeastUsedDegradation, Degradation: 0x80000000})
		}
		for range 2 {
			selected, _ := s.Select(nil, "pool", 1)
			pair = append(pair, selected[0])
		}
		observed[ids(pair)]++
	}
	want := map[string]float64{"0 0": 1.0 / 6, "0 1": 2.0 / 6, "1 0": 2.0 / 6, "1 1": 1.0 / 6}
	if chi := chiSquare(observed, want, draws); chi > limit {
		t.Errorf("chi-square is %.2f, want at most %v; pairs were %v", chi, limit, observed)
	}
}

// RFC 5356 section 5.4.1 has a probability of 0/0 for PEs that are all fully used: they
// are selected all the same, after all others, each with the same probability. Not
// so PEs of weight 0, "not capable of providing any service" (section 3.2).
func TestRandomFullyUsed(t *testing.T) {
	s := New[int](Options{Rand: rand.NewPCG(7, 11)})
	for id, load := range []uint32{math.MaxUint32, 0, math.MaxUint32, math.MaxUint32} {
		put(t, s, "pool", protocol.PEID(id), protocol.Policy{Type: protocol.RandomizedLeastUsed, Load: load})
	}
	observed := make(map[string]int)
	const draws, limit = 20_000, 20.52 // 6 pairs behind PE 1
	for range draws {
		selected, _ := s.Select(nil, "pool", 3)
		observed[ids(selected)]++
	}
	want := make(map[string]float64)
	for _, rest := range []string{"0 2", "0 3", "2 0", "2 3", "3 0", "3 2"} {
		want["1 "+rest] = 1.0 / 6
	}
	if chi := chiSquare(observed, want, draws); chi > limit {
		t.Errorf("chi-square is %.2f, want at most %v; answers were %v", chi, limit, observed)
	}

	s = New[int](Options{})
	put(t, s, "pool", 1, weightedRandomly(0))
	put(t, s, "pool", 2, weightedRandomly(0))
	wantSelected(t, s, 2, "")
}

// RSPLIB: "max(1, weight - rint(weight × distance × weightDPF/0xffffffff))".
func TestDistancePenaltyOfWeight(t *testing.T) {
	const full = math.MaxUint32
	for _, tt := range []struct {
		weight, distance, dpf uint32
		want                  uint64
	}{
		{0, 0, 0, 0}, {0, 9, full, 0}, {7, 0, full, 7}, {7, 9, 0, 7},
		{100, 1, protocol.Fraction(0.25), 75},
		{100, 3, protocol.Fraction(0.25), 25},
		{100, 4, protocol.Fraction(0.25), 1},
		{10, 1, protocol.Fraction(0.24), 8}, // 10 - 2.4
		{10, 1, protocol.Fraction(0.26), 7}, // 10 - 2.6
		{100, 5, full, 1},
		{full, full, full, 1},
		{full, full, 1, 1},
		{full, 1, 1, full - 1},
		{full, full / 2, 1, full - full/2},
	} {
		p := protocol.Policy{Type: protocol.WeightedRandomDPF, Weight: tt.weight, Distance: tt.distance, WeightDPF: tt.dpf}
		if got := remoteWeight(&p, 0); got != tt.want {
			t.Errorf("weight of %v at distance %d = %d, want %d", p, tt.distance, got, tt.want)
		}
	}
}

// RFC 5356 section 4.3.1: "The Random (RAND) policy is a very simple stateless
// policy." So the second PE of an answer says nothing of the first PE of the next.
func TestRandomIsStateless(t *testing.T) {
	s := New[int](Options{Rand: rand.NewPCG(13, 17)})
	const size, draws, limit = 5, 20_000, 51.18 // 25 pairs
	probabilities := make(map[string]float64)
	for id := range protocol.PEID(size) {
		put(t, s, "pool", id, protocol.Policy{Type: protocol.Random})
		for next := range size {
			probabilities[fmt.Sprint(uint32(id), " ", next)] = 1.0 / (size * size)
		}
	}
	observed := make(map[string]int)
	last, _ := s.Select(nil, "pool", 2)
	for range draws {
		next, _ := s.Select(nil, "pool", 2)
		observed[ids([]*Element[int]{last[1], next[0]})]++
		last = next
	}
	if chi := chiSquare(observed, probabilities, draws); chi > limit {
		t.Errorf("chi-square is %.2f, want at most %v; pairs were %v", chi, limit, observed)
	}
}

// pairProbabilities returns how likely each ordered pair of PEs is.
func pairProbabilities(weights []float64) map[string]float64 {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	probabilities := make(map[string]float64)
	for i, wi := range weights {
		for j, wj := range weights {
			if i != j && wi > 0 && wj > 0 {
				probabilities[fmt.Sprint(i, " ", j)] = wi / total * wj / (total - wi)
			}
		}
	}
	return probabilities
}

// chiSquare is infinite when something impossible was observed.
func chiSquare(observed map[string]int, probabilities map[string]float64, draws int) float64 {
	chi := 0.0
	for pair := range observed {
		if probabilities[pair] == 0 {
			return math.Inf(1)
		}
	}
	for pair, p := range probabilities {
		expected := p * float64(draws)
		chi += (float64(observed[pair]) - expected) * (float64(observed[pair]) - expected) / expected
	}
	return chi
}
