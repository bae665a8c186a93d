package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

// Kinds of events.
const (
	eventPicture  = "picture"  // a picture begins
	eventServer   = "server"   // a session has got its first server
	eventPoints   = "points"   // a server has sent points
	eventFailover = "failover" // a session goes on with another server
	eventDead     = "dead"     // the demo has taken a server away
	eventEnd      = "end"      // the picture is complete, or given up
	eventNote     = "note"     // something else that is worth telling
)

// event is something that has happened to a picture. Who shows it, shows what is set.
type event struct {
	kind    string
	at      time.Duration // since the picture began
	picture *picture
	tile    int
	pe      rsp.PEID      // eventFailover: the new one
	lost    rsp.PEID      // eventFailover
	took    time.Duration // eventFailover: since the loss was noticed
	cookie  bool          // eventFailover: the new one goes on; else it begins anew
	first   int           // eventPoints: pixel of the tile, counted row by row
	points  int           // eventPoints
	text    string        // eventEnd, eventNote
}

// history is all that has happened to the present picture and the one before. Any number of readers follow it, each at
// its own pace: nobody waits for them.
type history struct {
	mu     sync.Mutex
	start  time.Time
	number int // of the picture
	events []event
	before []event       // of the picture before
	grown  chan struct{} // closed when there is more
	names  map[rsp.PEID]string
}

func newHistory() *history {
	return &history{start: time.Now(), grown: make(chan struct{}), names: make(map[rsp.PEID]string)}
}

// begin makes the history that of a new picture.
func (h *history) begin(p *picture) {
	h.mu.Lock()
	h.start, h.before, h.events = time.Now(), h.events, nil
	h.number++
	h.mu.Unlock()
	h.add(event{kind: eventPicture, picture: p})
}

func (h *history) add(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.at = time.Since(h.start)
	h.events = append(h.events, e)
	close(h.grown)
	h.grown = make(chan struct{})
}

// reader is a place in the history.
type reader struct {
	history *history
	number  int
	next    int
}

// read waits for events behind the last ones that it has returned. One that is more than a picture behind goes
// on with the present one. When ctx ends, it returns what there is before the error.
func (r *reader) read(ctx context.Context) ([]event, error) {
	h := r.history
	for {
		ended := ctx.Err()
		h.mu.Lock()
		var rest []event
		if r.number != h.number {
			if r.number == h.number-1 {
				rest = h.before[r.next:]
			}
			r.number, r.next = h.number, 0
		}
		events, grown := h.events[r.next:], h.grown
		r.next += len(events)
		if len(rest) > 0 {
			events = slices.Concat(rest, events)
		}
		h.mu.Unlock()
		if len(events) > 0 {
			return events, nil
		}
		if ended != nil {
			return nil, ended
		}
		select {
		case <-grown:
		case <-ctx.Done():
		}
	}
}

// setName gives a server a name for those who watch.
func (h *history) setName(id rsp.PEID, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names[id] = name
}

func (h *history) name(id rsp.PEID) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name := h.names[id]; name != "" {
		return name
	}
	return "PE " + id.String()
}
