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
	deadline time.Time // zero: there is none
}

func (h handOver) running() bool { return !h.deadline.IsZero() }

// handOverTimeout is how long a successor may take to take all PEs. A registrar of
// RSPLIB takes none in its default configuration.
const handOverTimeout = 2 * time.Second

// HandOver asks a peer to become the home of all our PEs; successor 0, or one that cannot be
// reached, is any living peer. HandedOver is told when the peer has taken all of them, when it
// has not for 2 s, or at once if there is nothing to hand over or nobody to take it.
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
	for el := range e.space.OwnedBy(e.cfg.ID) {
		e.suggest(to, el)
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
	el := e.take(now, m.Handle, &m.Element, handlespace.Synchronized)
	if el == nil || e.handOver.running() {
		return
	}
	e.adopt(now, el)
	e.update(wire.AddPE, el)
}

// checkHandOver ends a hand-over that has nothing left.
func (e *Engine[V]) checkHandOver() {
	if e.handOver.running() && !e.ownsAny(e.cfg.ID) {
		e.endHandOver()
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
