package main

import (
	"slices"
	"testing"
)

// recorder makes timers that write down that they fired, and when.
type recorder struct {
	queue queue
	names []string
	times []float64
}

func (r *recorder) timer(name string) *timer {
	return newTimer(func() {
		r.names = append(r.names, name)
		r.times = append(r.times, r.queue.now)
	})
}

func (r *recorder) want(t *testing.T, names []string, times []float64) {
	t.Helper()
	if !slices.Equal(r.names, names) || !slices.Equal(r.times, times) {
		t.Errorf("fired %v at %v, want %v at %v", r.names, r.times, names, times)
	}
}

func TestQueueFiresInOrder(t *testing.T) {
	var r recorder
	for i, name := range []string{"c", "a", "d", "b"} {
		r.queue.set(r.timer(name), []float64{3, 1, 4, 2}[i])
	}
	r.queue.run(3)
	r.want(t, []string{"a", "b", "c"}, []float64{1, 2, 3})
	if r.queue.now != 3 {
		t.Errorf("it is %v, want 3", r.queue.now)
	}
	r.queue.run(10)
	r.want(t, []string{"a", "b", "c", "d"}, []float64{1, 2, 3, 4})
	if r.queue.now != 10 {
		t.Errorf("it is %v, want 10", r.queue.now)
	}
}

func TestQueueKeepsOrderAtOneTime(t *testing.T) {
	var r recorder
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	for _, name := range names {
		r.queue.set(r.timer(name), 1)
	}
	r.queue.run(1)
	r.want(t, names, []float64{1, 1, 1, 1, 1, 1, 1})
}

func TestQueueSetAgainAndStop(t *testing.T) {
	var r recorder
	later, sooner, never := r.timer("later"), r.timer("sooner"), r.timer("never")
	r.queue.set(later, 1)
	r.queue.set(sooner, 5)
	r.queue.set(never, 3)
	r.queue.set(later, 4)
	r.queue.set(sooner, 2)
	r.queue.stop(never)
	r.queue.stop(never)
	r.queue.run(10)
	r.want(t, []string{"sooner", "later"}, []float64{2, 4})
}

func TestQueueTimerSetsItself(t *testing.T) {
	var q queue
	var times []float64
	var tick *timer
	tick = newTimer(func() {
		times = append(times, q.now)
		q.set(tick, q.now+2)
	})
	q.set(tick, 1)
	q.run(6)
	if want := []float64{1, 3, 5}; !slices.Equal(times, want) {
		t.Errorf("ticked at %v, want %v", times, want)
	}
}
