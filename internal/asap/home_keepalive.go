package asap

import (
	"container/heap"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// Watch is what the home registrar of a PE knows beside its registration (RFC 5352
// sections 3.4 and 3.5).
//
//	              registration
//	                   |
//	                   v
//	+-----------> watchQuiet <--------------------------+
//	|                  |                                |
//	|                  | transmission interval is over, |
//	| reregistration   | or somebody reports the PE:    | ENDPOINT_KEEP_ALIVE_ACK,
//	|                  | send ENDPOINT_KEEP_ALIVE       | or reregistration
//	|                  v                                |
//	+-----------> watchAsked ---------------------------+
//	                   |
//	                   | timeout interval is over: abort the association
//	                   v
//	                removed, with all PEs of the association
//
// From either state a PE is also removed by its deregistration, the end of its
// association, and the last bad report of MaxBadPEReports.
type Watch struct {
	Since time.Time // of the first registration here

	state    watchState
	deadline time.Time  // of the state
	position int        // in watchQueue
	assoc    *homeAssoc // that it is registered over
	slot     int        // in assoc.elements
	reports  int        // ENDPOINT_UNREACHABLE received about it
	adopted  bool       // ours by a takeover, and not yet by the PE's own word
	visited  *homeAssoc // that it was asked over to adopt us, and has said nothing; nil: none
}

type watchState uint8

const (
	watchQuiet watchState = iota // nothing is asked; deadline is when it will be
	watchAsked                   // a keep-alive is under way; deadline is when the PE counts as lost
)

// becomeQuiet leaves el alone for the transmission interval.
func (h *Home) becomeQuiet(now time.Time, el *Element) {
	el.Value.state = watchQuiet
	h.watches.set(el, now.Add(h.spread(h.cfg.EndpointKeepAliveTransmissionInterval)))
}

// becomeAsked asks el for a sign of life.
func (h *Home) becomeAsked(now time.Time, el *Element) {
	el.Value.state = watchAsked
	h.watches.set(el, now.Add(h.cfg.EndpointKeepAliveTimeoutInterval))
	h.stats.KeepAlives++
	h.answers.keepAlive = wire.EndpointKeepAlive{Registrar: h.cfg.ID, Handle: el.Handle, ID: el.ID}
	h.effects.Send(el.Value.assoc.id, protocol.PPIDASAP, &h.answers.keepAlive)
}

// watchExpired acts on the deadline of el. Like RSPLIB it takes a PE that does not
// answer for the end of its association, and so of all PEs there.
func (h *Home) watchExpired(now time.Time, el *Element) {
	if el.Value.state == watchQuiet {
		h.becomeAsked(now, el)
		return
	}
	a := el.Value.assoc
	h.lose(el, handlespace.KeepAliveLost)
	if a != nil { // else it could not even be visited
		h.abort(a)
	}
}

// spread varies an interval by an eighth to either side: keep-alives of PEs that came
// together must not stay together (RFC 5352 section 3.5), and RSPLIB varies its timers
// so.
func (h *Home) spread(interval time.Duration) time.Duration {
	return interval + time.Duration((h.cfg.Rand.Float64()-0.5)*float64(interval)/4)
}

// handleKeepAliveAck: only the association that the PE is registered over vouches for
// it. RSPLIB takes an acknowledgement from anywhere, and so lets anybody keep a dead PE
// in its pool.
func (h *Home) handleKeepAliveAck(now time.Time, a *homeAssoc, m *wire.EndpointKeepAliveAck) {
	el := h.space.Get(m.Handle, m.ID)
	if el != nil && el.Value.visited == a {
		h.attach(el, a)
	}
	if el == nil || el.Value.assoc != a || el.Value.state != watchAsked {
		h.stats.Ignored++
		return
	}
	h.stats.KeepAliveAcks++
	h.becomeQuiet(now, el)
	if h.measure(el) || el.Value.adopted {
		h.confirm(now, el)
	}
}

// measure takes the distance of el anew, if its policy counts it: an association that is as new as
// a registration does not know its round-trip time yet. It reports whether the distance has changed.
func (h *Home) measure(el *Element) (changed bool) {
	if !el.Policy.Type.HasDistance() {
		return false
	}
	pe := el.PoolElement
	if pe.Policy.Distance = h.cfg.Distance(el.Value.assoc.id); pe.Policy == el.Policy {
		return false
	}
	_, _, err := h.space.Put(el.Handle, &pe, handlespace.Registered)
	return err == nil
}

// handleUnreachable counts a report, and has the PE prove that it lives (RFC 5352 section
// 3.5). Like RSPLIB it removes the PE when the reports reach MaxBadPEReports, not
// when they exceed it. Nobody gets an answer, nor who reports more often than MaxEURate.
func (h *Home) handleUnreachable(now time.Time, a *homeAssoc, m *wire.EndpointUnreachable) {
	el := h.space.Get(m.Handle, m.ID)
	if el == nil {
		h.stats.Ignored++
		return
	}
	if !a.reports.allow(now, h.cfg.MaxEURate) {
		h.stats.Refused++
		return
	}
	h.stats.FailureReports++
	el.Value.reports++
	switch {
	case el.Value.reports >= h.cfg.MaxBadPEReports:
		h.lose(el, handlespace.ReportedUnreachable)
	case el.Value.state == watchQuiet && el.Value.assoc != nil: // ours
		h.becomeAsked(now, el)
	}
}

// watchQueue is a heap of the PEs registered here by their deadlines.
type watchQueue []*Element

// set gives el a new deadline, and a place if it has none.
func (q *watchQueue) set(el *Element, deadline time.Time) {
	el.Value.deadline = deadline
	if q.has(el) {
		heap.Fix(q, el.Value.position)
		return
	}
	heap.Push(q, el)
}

// remove takes el out, if it is there: other registrars' PEs are not.
func (q *watchQueue) remove(el *Element) {
	if q.has(el) {
		heap.Remove(q, el.Value.position)
	}
}

func (q watchQueue) has(el *Element) bool {
	return el.Value.position < len(q) && q[el.Value.position] == el
}

func (q watchQueue) Len() int { return len(q) }

func (q watchQueue) Less(i, j int) bool {
	return q[i].Value.deadline.Before(q[j].Value.deadline)
}

func (q watchQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].Value.position, q[j].Value.position = i, j
}

func (q *watchQueue) Push(x any) {
	el := x.(*Element)
	el.Value.position = len(*q)
	*q = append(*q, el)
}

func (q *watchQueue) Pop() any {
	last := len(*q) - 1
	el := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return el
}
