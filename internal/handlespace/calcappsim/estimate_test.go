package main

import (
	"math"
	"testing"
)

// 2, 4, 6 and 8 have a standard deviation of sqrt(20/3); Student's quantile for 3
// degrees of freedom is 3.182.
func TestEstimate(t *testing.T) {
	e := estimateOf([]float64{2, 4, 6, 8})
	if want := 3.182 * math.Sqrt(20./3/4); e.mean != 5 || math.Abs(e.half-want) > 1e-12 {
		t.Errorf("got %v ± %v, want 5 ± %v", e.mean, e.half, want)
	}
	if e.low() != 5-e.half || e.high() != 5+e.half {
		t.Errorf("the interval is %v to %v", e.low(), e.high())
	}
	if got := e.text(10, 1); got != "50.0 ± 41.1" {
		t.Errorf("text is %q", got)
	}
}

func TestStudentT(t *testing.T) {
	for degrees, want := range map[int]float64{1: 12.706, 4: 2.776, 20: 2.086, 100: 2.086} {
		if got := studentT(degrees); got != want {
			t.Errorf("for %d degrees of freedom: %v, want %v", degrees, got, want)
		}
	}
}
