package enrp

import (
	"math"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// Registered announces one of our own PEs to all peers (RFC 5353 section 3.3.1): one that has
// registered or reregistered, changed or not, since peers forget a PE that is not renewed within
// its life; or one that has answered the visit of its new home.
func (e *Engine[V]) Registered(now time.Time, el *handlespace.Element[V]) {
	e.leases.end(el)
	delete(e.unvisited, el)
	e.update(wire.AddPE, el)
	if to := e.peer(e.handOver.to); to != nil && e.handOver.running() {
		e.suggest(to, el)
	}
}

// Removed announces that the registrar's other half has removed a PE (RFC 5353 section 3.3.2). Only
// the home does so.
func (e *Engine[V]) Removed(now time.Time, el *handlespace.Element[V]) {
	e.leases.end(el)
	delete(e.unvisited, el)
	if el.Home == e.cfg.ID {
		e.update(wire.DeletePE, el)
		e.continueHandOver(now)
	}
}

// update sends a HANDLE_UPDATE to all peers.
func (e *Engine[V]) update(action wire.UpdateAction, el *handlespace.Element[V]) {
	m := &e.sent.update
	*m = wire.HandleUpdate{Sender: e.cfg.ID, Action: action, Handle: el.Handle, Element: el.PoolElement}
	for _, p := range e.peers {
		if p.linked() {
			m.Receiver = p.id
			e.stats.UpdatesSent++
			e.send(p.link, m)
		}
	}
}

// handleUpdate follows what another registrar says of a PE. Like RSPLIB, we also listen to
// one that has not introduced itself.
func (e *Engine[V]) handleUpdate(now time.Time, p *peer[V], m *wire.HandleUpdate) {
	e.stats.UpdatesHeard++
	el := e.space.Get(m.Handle, m.Element.ID)
	switch {
	case m.Action == wire.DeletePE:
		e.handleDelete(el, m.Sender)
	case m.Element.Home == e.cfg.ID:
		e.stats.UpdatesIgnored++
		if p != nil && (el == nil || el.Home != e.cfg.ID) {
			e.sendPresence(p.link, false) // its audit will tell it what is ours
		}
	case m.TakeoverSuggested && p != nil && m.Element.Home == p.id:
		e.handleSuggestion(now, p, m)
	default:
		e.take(now, p, m.Handle, &m.Element, handlespace.Synchronized)
	}
}

// handleDelete removes a PE for its home. A deletion by anybody else is one of a former home, that
// has not heard of the new one; RSPLIB deletes all the same.
func (e *Engine[V]) handleDelete(el *handlespace.Element[V], sender protocol.RegistrarID) {
	if el == nil || el.Home != sender {
		e.stats.UpdatesIgnored++
		return
	}
	e.remove(el, handlespace.Synchronized)
}

// take enters what p, which may be nil, says of a PE into the handlespace, and returns nil if that
// cannot or must not be: our own PE stays ours as long as its association vouches for it. The
// PE is as far from us as it is from p, and p from us.
func (e *Engine[V]) take(now time.Time, p *peer[V], handle protocol.PoolHandle, pe *protocol.PoolElement, reason handlespace.Reason) *handlespace.Element[V] {
	el := e.space.Get(handle, pe.ID)
	wasOurs := el != nil && el.Home == e.cfg.ID
	switch {
	case pe.Home == e.cfg.ID, wasOurs && !e.givesUp(el, pe.Home):
		e.stats.UpdatesIgnored++
		return nil
	case pe.ID == 0, el == nil && e.space.Len() >= e.cfg.MaxElements:
		e.stats.Refused++
		return nil
	}
	if pe.Policy.Type.HasDistance() && p != nil && p.linked() {
		pe.Policy.Distance += min(e.cfg.Distance(p.link.id), math.MaxUint32-pe.Policy.Distance)
	}
	el, _, err := e.space.Put(handle, pe, reason)
	if err != nil { // it does not fit into its pool
		e.stats.Refused++
		return nil
	}
	e.leases.renew(now, el)
	if wasOurs {
		e.release(now, el)
	}
	return el
}

// givesUp reports whether el, which is ours, goes to another registrar that calls it its own.
func (e *Engine[V]) givesUp(el *handlespace.Element[V], to protocol.RegistrarID) bool {
	_, unvisited := e.unvisited[el]
	return unvisited && to < e.cfg.ID || e.handOver.running()
}

// release lets el go, which was ours.
func (e *Engine[V]) release(now time.Time, el *handlespace.Element[V]) {
	delete(e.unvisited, el)
	e.owner.Release(el)
	e.continueHandOver(now)
}
