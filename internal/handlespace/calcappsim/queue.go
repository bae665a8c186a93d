package main

import "container/heap"

// queue is the engine: it fires timers in the order of their times, those of one
// time in the order in which they were set. Times are simulated seconds from 0 on.
type queue struct {
	now    float64
	timers timers
	order  uint64 // the last one given
}

// timer is an event that can be set again and again; between, it waits for
// nothing. Its users keep one each, so that a simulation allocates no events.
type timer struct {
	fire  func()
	at    float64
	order uint64
	index int // in timers; -1 when not set
}

func newTimer(fire func()) *timer { return &timer{fire: fire, index: -1} }

// set makes t fire at a time that is not in the past. A timer fires once, when it
// was set last.
func (q *queue) set(t *timer, at float64) {
	q.order++
	t.at, t.order = at, q.order
	if t.index < 0 {
		heap.Push(&q.timers, t)
	} else {
		heap.Fix(&q.timers, t.index)
	}
}

// stop makes t not fire, if it is set.
func (q *queue) stop(t *timer) {
	if t.index >= 0 {
		heap.Remove(&q.timers, t.index)
	}
}

// run fires what is due until a time, and at it.
func (q *queue) run(until float64) {
	for len(q.timers) > 0 && q.timers[0].at <= until {
		t := heap.Pop(&q.timers).(*timer)
		q.now = t.at
		t.fire()
	}
	q.now = until
}

// timers is a heap.Interface.
type timers []*timer

func (ts timers) Len() int { return len(ts) }

func (ts timers) Less(i, j int) bool {
	if ts[i].at != ts[j].at {
		return ts[i].at < ts[j].at
	}
	return ts[i].order < ts[j].order
}

func (ts timers) Swap(i, j int) {
	ts[i], ts[j] = ts[j], ts[i]
	ts[i].index, ts[j].index = i, j
}

func (ts *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*ts)
	*ts = append(*ts, t)
}

func (ts *timers) Pop() any {
	last := len(*ts) - 1
	t := (*ts)[last]
	(*ts)[last] = nil
	*ts = (*ts)[:last]
	t.index = -1
	return t
}
