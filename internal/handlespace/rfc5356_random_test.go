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
// same "having all weights set to 1" (section 4.4.1).
func TestRandomProbabilities(t *testing.T) {
	tests := []struct {
		name    string
		policy  func(weight uint32) protocol.Policy
		weights []uint32
		limit   float64 // of chi-square, exceeded with a probability of 0.001
	}{
		{"Random", func(uint32) protocol.Policy { return protocol.Policy{Type: protocol.Random} },
			[]uint32{1, 1, 1, 1, 1}, 43.82}, // 20 pairs
		{"WeightedRandom", weightedRandomly, []uint32{3, 0, 1, 10, 2}, 31.26}, // 12 pairs
		{"WeightedRandom, largest weights", weightedRandomly,
			[]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32}, 20.52}, // 6 pairs
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New[int](Options{Rand: rand.NewPCG(7, 11)})
			for id, w := range tt.weights {
				put(t, s, "pool", protocol.PEID(id), tt.policy(w))
			}
			const draws = 100_000
			observed := make(map[string]int)
			for range draws {
				selected, _ := s.Select(nil, "pool", 2)
				observed[ids(selected)]++
			}
			if chi := chiSquare(observed, pairProbabilities(tt.weights), draws); chi > tt.limit {
				t.Errorf("chi-square is %.2f, want at most %.2f; pairs were %v", chi, tt.limit, observed)
			}
		})
	}
}

// RFC 5356 section 4.3.1: "The Random (RAND) policy is a very simple stateless
// policy." So the second PE of an answer says nothing of the first PE of the next.
func TestRandomIsStateless(t *testing.T) {
	s := New[int](Options{Rand: rand.NewPCG(13, 17)})
	const size, draws, limit = 5, 100_000, 51.18 // 25 pairs
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
func pairProbabilities(weights []uint32) map[string]float64 {
	total := 0.0
	for _, w := range weights {
		total += float64(w)
	}
	probabilities := make(map[string]float64)
	for i, wi := range weights {
		for j, wj := range weights {
			if i != j && wi > 0 && wj > 0 {
				probabilities[fmt.Sprint(i, " ", j)] = float64(wi) / total * float64(wj) / (total - float64(wi))
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
