package transport

import (
	"testing"
	"time"
)

// "those of the retransmission timeout so that minimum, initial value and maximum keep their order".
func TestOrKeepsOrder(t *testing.T) {
	values := []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, time.Second}
	for _, lowest := range values {
		for _, initial := range values {
			for _, highest := range values {
				given := Options{RTOInitial: initial, RTOMin: lowest, RTOMax: highest}
				if lowest > initial && initial > 0 || initial > highest && highest > 0 || lowest > highest && highest > 0 {
					continue
				}
				got := given.WithDefaults()
				if got.RTOMin <= 0 || got.RTOMin > got.RTOInitial || got.RTOInitial > got.RTOMax {
					t.Errorf("%v, %v, %v became %v, %v, %v", lowest, initial, highest, got.RTOMin, got.RTOInitial, got.RTOMax)
				}
				if again := got.Or(Options{RTOMin: 1, RTOMax: 1, RTOInitial: 1, Buffer: 1}); again != got {
					t.Errorf("%+v changed to %+v", got, again)
				}
			}
		}
	}
}
