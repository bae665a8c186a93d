package enrp

import (
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// handOver is the farewell of a registrar that ends in good order. It uses the flag takeover
// suggested of RSPLIB's HANDLE_UPDATE, so that the PEs have a new home before their old one goes:
//
//	this registrar                       successor                         PE
//	 |-- HANDLE_UPDATE add, suggested ----->| the PE is its own now           |
//	 |<- HANDLE_UPDATE add, its own --------|-- ENDPOINT_KEEP_ALIVE, H ------>|
//	 | Release                              |<- ENDPOINT_KEEP_ALIVE_ACK ------|
//	 |<======================== the PE ends its association to us ===========|
type handOver struct {
	to       protocol.RegistrarID
	deadline time.Time           // by when the successor must take another PE; zero: there is no hand-over
	handle   protocol.PoolHandle // of the last PE suggested, as in page
	id       protocol.PEID
	open     int // PEs suggested, but not taken yet
}

func (h handOver) running() bool { return !h.deadline.IsZero() }

const (
	// handOverTimeout is how long a successor may take for the next PE. A registrar of RSPLIB
	// takes none in its default configuration.
	handOverTimeout = 2 * time.Second
	// handOverWindow is how many PEs are suggested at a time, so that no transport's queue
	// has to hold a whole handlespace.
	handOverWindow = 256
)

// HandOver asks a peer to become the home of all our PEs; successor 0, or one that cannot be
// reached, is any living peer. HandedOver is told when the peer has taken all of them, when it
// has taken none for 2 s, or at once if there is nothing to hand over or nobody to take it.
func (e *Engine[V]) HandOver(now time.Time, successor protocol.RegistrarID) {
	e.handOver = handOver{deadline: now.Add(handOverTimeout)}
	to := e.peer(successor)
	if to == nil || !to.linked() || to.state != peerAlive {
		to = nil
		for _, p := range e.peers {
			if p.linked() && p.state == peerAlive {
				to = p
				break
			}
		}
	}
	if to == nil || !e.ownsAny(e.cfg.ID) {
		e.endHandOver()
		return
	}
	e.handOver.to = to.id
	e.suggestMore(to)
}

// suggestMore goes on with PEs that have not been suggested yet.
func (e *Engine[V]) suggestMore(to *peer[V]) {
	h := &e.handOver
	for el := range e.space.After(h.handle, h.id) {
		if h.open >= handOverWindow {
			return
		}
		h.handle, h.id = el.Handle, el.ID
		if el.Home == e.cfg.ID {
			h.open++
			e.suggest(to, el)
		}
	}
}

// suggest asks to to take el over.
func (e *Engine[V]) suggest(to *peer[V], el *handlespace.Element[V]) {
	if !to.linked() {
		return
	}
	e.sent.update = wire.HandleUpdate{
		TakeoverSuggested: true,
		Sender:            e.cfg.ID,
		Receiver:          to.id,
		Action:            wire.AddPE,
		Handle:            el.Handle,
		Element:           el.PoolElement,
	}
	e.stats.UpdatesSent++
	e.send(to.link, &e.sent.update)
}

// handleSuggestion takes over a PE that its home wants to be rid of, and tells everyone, its
// former home above all.
func (e *Engine[V]) handleSuggestion(now time.Time, p *peer[V], m *wire.HandleUpdate) {
	el := e.take(now, p, m.Handle, &m.Element, handlespace.Synchronized)
	if el == nil || e.handOver.running() {
		return
	}
	e.adopt(now, el)
	e.update(wire.AddPE, el)
}

// continueHandOver follows the end of a PE of ours: the next one is suggested, or all are done.
func (e *Engine[V]) continueHandOver(now time.Time) {
	to := e.peer(e.handOver.to)
	switch {
	case !e.handOver.running():
	case to == nil || !e.ownsAny(e.cfg.ID):
		e.endHandOver()
	default:
		e.handOver.open = max(0, e.handOver.open-1)
		e.handOver.deadline = now.Add(handOverTimeout)
		e.suggestMore(to)
	}
}

func (e *Engine[V]) endHandOver() {
	left := 0
	for range e.space.OwnedBy(e.cfg.ID) {
		left++
	}
	e.handOver = handOver{}
	e.effects.Tell(HandedOver{Left: left})
}
