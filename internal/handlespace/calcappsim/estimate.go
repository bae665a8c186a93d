package main

import "math"

// estimate is the mean of a figure over independent runs, with half the width of
// its confidence interval of 95 %.
type estimate struct {
	mean, half float64
}

// estimateOf needs two values at least.
func estimateOf(values []float64) estimate {
	n := float64(len(values))
	var sum, squares float64
	for _, v := range values {
		sum += v
	}
	mean := sum / n
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return estimate{mean, studentT(len(values)-1) * math.Sqrt(squares/(n-1)/n)}
}

func (e estimate) low() float64  { return e.mean - e.half }
func (e estimate) high() float64 { return e.mean + e.half }

// studentT is the 97.5 % quantile of Student's distribution. It falls slowly
// towards 1.96: beyond the table, its last value is taken.
func studentT(degrees int) float64 {
	table := [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
		2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086}
	return table[min(degrees, len(table))-1]
}
