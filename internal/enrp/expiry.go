package enrp

import (
	"container/heap"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
)

// lease is what we know of a PE that has another home: it is there until its registration life is
// over, unless its home says more of it.
type lease[V any] struct {
	el       *handlespace.Element[V]
	deadline time.Time
	position int  // in the queue
	marked   bool // by an audit that has not met it yet
}

// leases is a lease for each PE that has another home.
type leases[V any] struct {
	of    map[*handlespace.Element[V]]*lease[V]
	queue leaseQueue[V]
}

func newLeases[V any]() leases[V] {
	return leases[V]{of: make(map[*handlespace.Element[V]]*lease[V])}
}

// renew gives el its whole life again.
func (ls *leases[V]) renew(now time.Time, el *handlespace.Element[V]) {
	l := ls.of[el]
	if l == nil {
		l = &lease[V]{el: el, deadline: now.Add(el.Life)}
		ls.of[el] = l
		heap.Push(&ls.queue, l)
		return
	}
	l.marked = false
	l.deadline = now.Add(el.Life)
	heap.Fix(&ls.queue, l.position)
}

// end ends the lease of el, if there is one.
func (ls *leases[V]) end(el *handlespace.Element[V]) {
	if l := ls.of[el]; l != nil {
		delete(ls.of, el)
		heap.Remove(&ls.queue, l.position)
	}
}

func (ls *leases[V]) mark(el *handlespace.Element[V]) {
	if l := ls.of[el]; l != nil {
		l.marked = true
	}
}

func (ls *leases[V]) marked(el *handlespace.Element[V]) bool {
	l := ls.of[el]
	return l != nil && l.marked
}

// deadline is when the next PE expires; zero: never.
func (ls *leases[V]) deadline() time.Time {
	if len(ls.queue) == 0 {
		return time.Time{}
	}
	return ls.queue[0].deadline
}

// expireLeases removes the PEs that were not renewed in time.
func (e *Engine[V]) expireLeases(now time.Time) {
	for due(e.leases.deadline(), now) {
		e.stats.Expired++
		e.remove(e.leases.queue[0].el, handlespace.Expired)
	}
}

// remove removes a PE that has another home.
func (e *Engine[V]) remove(el *handlespace.Element[V], reason handlespace.Reason) {
	e.leases.end(el)
	e.space.Remove(el.Handle, el.ID, reason)
}

// leaseQueue is a heap by deadline.
type leaseQueue[V any] []*lease[V]

func (q leaseQueue[V]) Len() int { return len(q) }

func (q leaseQueue[V]) Less(i, j int) bool { return q[i].deadline.Before(q[j].deadline) }

func (q leaseQueue[V]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].position, q[j].position = i, j
}

func (q *leaseQueue[V]) Push(x any) {
	l := x.(*lease[V])
	l.position = len(*q)
	*q = append(*q, l)
}

func (q *leaseQueue[V]) Pop() any {
	last := len(*q) - 1
	l := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return l
}
