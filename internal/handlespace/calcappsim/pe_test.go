package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// arrival is a job that a test brings to a PE.
type arrival struct{ at, size float64 }

// Times worked out by hand for a PE with 10 calculations per second.
func TestPESharesItsCapacity(t *testing.T) {
	tests := []struct {
		name     string
		arrivals []arrival
		complete []float64 // by arrival; NaN: refused
		busy     float64
	}{
		{"a job alone", []arrival{{5, 100}}, []float64{15}, 10},
		{"one after the other", []arrival{{0, 100}, {20, 50}}, []float64{10, 25}, 15},
		// The first has 50 left when the second comes; both then run at half speed.
		{"two overlap", []arrival{{0, 100}, {5, 100}}, []float64{15, 20}, 20},
		// The short one runs 4 s at half speed, in which the long one gets 20.
		{"a short one overtakes", []arrival{{0, 100}, {1, 20}}, []float64{12, 5}, 12},
		// At 2, the first two have 50 and 55 left, and all run at a third. At 5, 40 and
		// 45 are left, for which two run at half speed, and at 13 the last 5.
		{"three", []arrival{{0, 65}, {1, 60}, {2, 10}}, []float64{13, 13.5, 5}, 13.5},
		{"a fourth is refused", []arrival{{0, 100}, {0, 100}, {0, 100}, {29, 1}, {31, 10}},
			[]float64{30, 30, 30, math.NaN(), 32}, 31},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			complete, p := handle3(tt.arrivals)
			for i, want := range tt.complete {
				if got := complete[i]; math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > 1e-9 {
					t.Errorf("job %d is complete at %v, want %v", i, got, want)
				}
			}
			if math.Abs(p.busy-tt.busy) > 1e-9 {
				t.Errorf("busy for %v s, want %v", p.busy, tt.busy)
			}
		})
	}
}

// handle3 brings the jobs to a PE that runs up to three at 10 calculations per
// second; it returns when they are complete, NaN for refused ones.
func handle3(arrivals []arrival) ([]float64, *pe) {
	var q queue
	p := newPE(&q, 10, 3, func(*pe) {})
	complete := make([]float64, len(arrivals))
	for i, a := range arrivals {
		q.set(newTimer(func() {
			done := func(*job) { complete[i] = q.now }
			if !p.accept(&job{size: a.size, done: done}) {
				complete[i] = math.NaN()
			}
		}), a.at)
	}
	q.run(1000)
	p.advance()
	return complete, p
}

func TestPETellsItsJobs(t *testing.T) {
	var q queue
	var told []int
	p := newPE(&q, 10, 2, func(p *pe) { told = append(told, len(p.jobs)) })
	for _, size := range []float64{30, 10, 10} {
		p.accept(&job{size: size, done: func(*job) {}})
	}
	q.run(1000)
	if want := []int{1, 2, 1, 0}; !slices.Equal(told, want) {
		t.Errorf("told of %v jobs, want %v", told, want)
	}
}

// In a queue M/M/1 with processor sharing, a job of service time x takes x/(1-ρ)
// on average, whatever x (L. Kleinrock, Queueing Systems II, chapter 4). First
// come, first served has the same mean time, but not the same mean slowdown.
func TestPEIsAnMM1PS(t *testing.T) {
	const utilisation, jobs = 0.7, 20000
	var times, slowdowns []float64
	for seed := range uint64(10) {
		time, slowdown := meanOfMM1PS(rand.New(rand.NewPCG(seed, 0)), utilisation, jobs)
		times, slowdowns = append(times, time), append(slowdowns, slowdown)
	}
	const theory = 1 / (1 - utilisation)
	for name, e := range map[string]estimate{"response time": estimateOf(times), "slowdown": estimateOf(slowdowns)} {
		if theory < e.low() || theory > e.high() || e.half > 0.05*theory {
			t.Errorf("mean %s is %.3f ± %.3f, want %.3f in it, and at most 5 %% wide", name, e.mean, e.half, theory)
		}
	}
}

// meanOfMM1PS brings jobs of 1 s on average to a PE that refuses none. The mean
// time is in seconds.
func meanOfMM1PS(r *rand.Rand, utilisation float64, jobs int) (time, slowdown float64) {
	var q queue
	p := newPE(&q, 1, math.MaxInt, func(*pe) {})
	completed := 0
	done := func(j *job) {
		completed++
		time += q.now - j.queued
		slowdown += (q.now - j.queued) / j.size
	}
	var source *timer
	source = newTimer(func() {
		q.set(source, q.now+r.ExpFloat64()/utilisation)
		p.accept(&job{size: r.ExpFloat64(), queued: q.now, done: done})
	})
	q.set(source, 0)
	q.run(float64(jobs) / utilisation)
	return time / float64(completed), slowdown / float64(completed)
}
