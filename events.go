package rsp

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/asap"
)

// EventType is what an Event is about.
type EventType uint8

const (
	// EventRegistrarFound: a registrar serves the Endpoint, at Addr.
	EventRegistrarFound EventType = iota + 1
	// EventRegistrarLost: it does so no more; another one is sought as soon as it is needed.
	EventRegistrarLost
	// EventRegistered: a pool element of ours has become a member of its pool, first or again after its
	// registrar was lost.
	EventRegistered
	// EventRejected: a registrar has refused one, which is no member now.
	EventRejected
	// EventDeregistered: one has left its pool; with Err, the registrar may not know.
	EventDeregistered
	// EventElementUnreachable: a pool element could not be reached by a session that was to go there.
	EventElementUnreachable
	// EventElementLost: a session has lost its pool element; Err is io.EOF if that said good-bye.
	EventElementLost
	// EventFailoverBegun: a session leaves its pool element PE for another one.
	EventFailoverBegun
	// EventFailoverComplete: it goes on with PE.
	EventFailoverComplete
	// EventFailoverFailed: it has given up.
	EventFailoverFailed
)

var eventNames = [...]string{
	EventRegistrarFound:     "registrar found",
	EventRegistrarLost:      "registrar lost",
	EventRegistered:         "registered",
	EventRejected:           "registration rejected",
	EventDeregistered:       "deregistered",
	EventElementUnreachable: "pool element unreachable",
	EventElementLost:        "pool element lost",
	EventFailoverBegun:      "failover begun",
	EventFailoverComplete:   "failover complete",
	EventFailoverFailed:     "failover failed",
}

func (t EventType) String() string {
	if int(t) < len(eventNames) && eventNames[t] != "" {
		return eventNames[t]
	}
	return fmt.Sprintf("EventType(%d)", uint8(t))
}

// Event is something that has happened to an Endpoint, or to one of its Sockets.
type Event struct {
	Type EventType
	Time time.Time
	Pool PoolHandle     // "" of a registrar's
	PE   PEID           // 0 if there is none
	Addr netip.AddrPort // of EventRegistrarFound
	Err  error          // why, if it is no success
	// Missed is how many events before this one were not told, as too many waited to be taken.
	Missed int

	session *session // nil if it is not about one
}

// String prints "failover complete: EchoPool/0x00000001".
func (ev Event) String() string {
	s := ev.Type.String()
	switch {
	case ev.Addr.IsValid():
		s += ": " + ev.Addr.String()
	case ev.Pool != "":
		s += ": " + PoolAddr{Pool: ev.Pool, PE: ev.PE}.String()
	}
	if ev.Err != nil {
		s += ": " + ev.Err.Error()
	}
	return s
}

// Events tells what happens to the Endpoint, its pool elements and its sessions from this call on, until ctx
// ends or the Endpoint is closed. Range over it once. Nothing waits for the loop's body: up to 1024 events are
// kept for it, and what is more is counted in Missed.
func (e *Endpoint) Events(ctx context.Context) iter.Seq[Event] {
	return e.subscribe(ctx, e.ctx.Done(), func(*Event) bool { return true })
}

// Events is Endpoint.Events for one Socket: the losses and failovers of a session that was connected, or the
// registrations of a registered pool element. It ends with the Socket, too; for other Sockets there is nothing.
func (s *Socket) Events(ctx context.Context) iter.Seq[Event] {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch session, pe := s.session, s.pe; {
	case session != nil:
		return s.endpoint.subscribe(ctx, session.ctx.Done(), func(ev *Event) bool { return ev.session == session })
	case pe != nil && pe.pool != "":
		key := elementKey{pe.pool, pe.id}
		return s.endpoint.subscribe(ctx, pe.ctx.Done(), func(ev *Event) bool {
			return ev.session == nil && key == elementKey{ev.Pool, ev.PE}
		})
	}
	return func(func(Event) bool) {}
}

// maxEvents is how many events may wait for one who ranges over them.
const maxEvents = 1024

// eventHub tells events to whoever ranges over them. Its zero value is ready to use.
type eventHub struct {
	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
}

// subscriber is one iterator of events. Its fields but wake are guarded by the hub's mu.
type subscriber struct {
	wants   func(*Event) bool
	wake    chan struct{} // of one place
	waiting []Event
	missed  int
}

func (h *eventHub) add(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		h.subscribers = make(map[*subscriber]struct{})
	}
	h.subscribers[s] = struct{}{}
}

func (h *eventHub) remove(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subscribers, s)
}

// tell tells an event. It never waits.
func (h *eventHub) tell(ev Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subscribers) == 0 {
		return
	}
	ev.Time = time.Now()
	for s := range h.subscribers {
		switch {
		case !s.wants(&ev):
			continue
		case len(s.waiting) == maxEvents:
			s.missed++
			continue
		}
		ev.Missed, s.missed = s.missed, 0
		s.waiting = append(s.waiting, ev)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (h *eventHub) take(s *subscriber) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	waiting := s.waiting
	s.waiting = nil
	return waiting
}

// subscribe keeps the wanted events until somebody ranges over them.
func (e *Endpoint) subscribe(ctx context.Context, ended <-chan struct{}, wants func(*Event) bool) iter.Seq[Event] {
	s := &subscriber{wants: wants, wake: make(chan struct{}, 1)}
	e.hub.add(s)
	stop := context.AfterFunc(ctx, func() { e.hub.remove(s) })
	return func(yield func(Event) bool) {
		defer stop()
		defer e.hub.remove(s)
		for over := false; !over; {
			select {
			case <-s.wake:
			case <-ctx.Done():
				return
			case <-ended:
				over = true // after what has happened before
			}
			for _, ev := range e.hub.take(s) {
				if ctx.Err() != nil || !yield(ev) {
					return
				}
			}
		}
	}
}

// publish tells what the engine tells; the loop's lock is held.
func (e *Endpoint) publish(event any) {
	switch ev := event.(type) {
	case asap.HomeFound:
		e.hub.tell(Event{Type: EventRegistrarFound, Addr: ev.Addr.AddrPort()})
	case asap.HomeLost:
		e.hub.tell(Event{Type: EventRegistrarLost, Err: ev.Err})
	case asap.Registered:
		e.hub.tell(Event{Type: EventRegistered, Pool: ev.Handle, PE: ev.ID})
	case asap.Rejected:
		e.hub.tell(Event{Type: EventRejected, Pool: ev.Handle, PE: ev.ID, Err: ev.Err})
	case asap.Deregistered:
		e.hub.tell(Event{Type: EventDeregistered, Pool: ev.Handle, PE: ev.ID, Err: ev.Err})
	}
}

// publish tells what has happened to a session that was connected.
func (s *session) publish(t EventType, pe PEID, err error) {
	s.endpoint.hub.tell(Event{Type: t, Pool: s.pool, PE: pe, Err: err, session: s})
}

// publishLoss tells that a session has lost its pool element; s.mu is held.
func (s *session) publishLoss(cause error) {
	if s.dialer != nil {
		s.publish(EventElementLost, s.peer, cause)
	}
}
