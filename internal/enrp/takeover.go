package enrp

import (
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// becomeTaken starts the arbitration about who takes target over (RFC 5353 section
// 3.5.1). All are told, the target too, should it live; those that can answer are waited for.
// With nobody to wait for the arbitration is won.
func (e *Engine[V]) becomeTaken(now time.Time, target *peer[V]) {
	target.state = peerTaken
	target.deadline = now.Add(e.cfg.TakeoverExpiryInterval)
	target.waiting = target.waiting[:0]
	e.stats.TakeoversStarted++
	m := &e.sent.initTakeover
	for _, p := range e.peers {
		if !p.linked() {
			continue
		}
		*m = wire.InitTakeover{Sender: e.cfg.ID, Receiver: p.id, Target: target.id}
		e.send(p.link, m)
		if p != target && p.state <= peerProbed {
			target.waiting = append(target.waiting, p.id)
		}
	}
	if len(target.waiting) == 0 {
		e.completeTakeover(now, target)
	}
}

// becomeYielded leaves target to another registrar for a while.
func (e *Engine[V]) becomeYielded(now time.Time, target *peer[V], winner protocol.RegistrarID) {
	target.state, target.waiting, target.winner = peerYielded, nil, winner
	target.deadline = now.Add(e.cfg.TakeoverExpiryInterval)
}

// handleInitTakeover answers a registrar that wants to take another one over. The RFC lets the
// higher identifier win, RSPLIB the lower one, and all must do the same. One that we do not
// know is nothing to us.
func (e *Engine[V]) handleInitTakeover(now time.Time, l *link[V], m *wire.InitTakeover) {
	target := e.peer(m.Target)
	switch {
	case m.Target == e.cfg.ID:
		e.presenceToAll()
		return
	case target == nil:
	case target.state == peerTaken && e.cfg.ID < m.Sender:
		return
	default:
		e.becomeYielded(now, target, m.Sender)
	}
	e.sent.ack = wire.InitTakeoverAck{Sender: e.cfg.ID, Receiver: m.Sender, Target: m.Target}
	e.send(l, &e.sent.ack)
}

func (e *Engine[V]) handleInitTakeoverAck(now time.Time, p *peer[V], m *wire.InitTakeoverAck) {
	target := e.peer(m.Target)
	if p == nil || target == nil || target.state != peerTaken {
		e.stats.Ignored++
		return
	}
	e.acknowledged(now, target, p.id)
}

// acknowledged goes on without waiting for one more peer.
func (e *Engine[V]) acknowledged(now time.Time, target *peer[V], id protocol.RegistrarID) {
	i := slices.Index(target.waiting, id)
	if i < 0 {
		return
	}
	if target.waiting = slices.Delete(target.waiting, i, i+1); len(target.waiting) == 0 {
		e.completeTakeover(now, target)
	}
}

// stopWaitingFor goes on with all takeovers without a peer that cannot answer any more.
func (e *Engine[V]) stopWaitingFor(now time.Time, id protocol.RegistrarID) {
	for _, target := range slices.Clone(e.peers) {
		if target.state == peerTaken {
			e.acknowledged(now, target, id)
		}
	}
}

// resumeTakeovers takes up what was left to a registrar that is lost itself.
func (e *Engine[V]) resumeTakeovers(now time.Time, winner protocol.RegistrarID) {
	for _, target := range slices.Clone(e.peers) {
		if target.state == peerYielded && target.winner == winner {
			e.dead(now, target)
		}
	}
}

// completeTakeover makes target's PEs ours (RFC 5353 section 3.5.2). An acknowledgement that has
// not come by now is not waited for: RSPLIB gives up then, and leaves the PEs
// without a home. The PRESENCE is for RSPLIB's registrars, which learn by audits alone what a
// takeover has changed.
func (e *Engine[V]) completeTakeover(now time.Time, target *peer[V]) {
	target.state, target.waiting = peerProbed, nil
	m := &e.sent.takeover
	for _, p := range e.peers {
		if p != target && p.linked() {
			*m = wire.TakeoverServer{Sender: e.cfg.ID, Receiver: p.id, Target: target.id}
			e.send(p.link, m)
		}
	}
	n := 0
	for el := range e.space.OwnedBy(target.id) {
		e.adopt(now, el)
		n++
	}
	e.stats.TakeoversWon++
	e.effects.Tell(TakenOver{Target: target.id, By: e.cfg.ID, Elements: n})
	e.drop(now, target)
	e.presenceToAll()
}

// adopt makes el ours and has it visited.
func (e *Engine[V]) adopt(now time.Time, el *handlespace.Element[V]) {
	e.leases.end(el)
	e.space.SetHome(el, e.cfg.ID, handlespace.TakenOver)
	e.unvisited[el] = struct{}{}
	e.stats.ElementsTaken++
	e.owner.Adopt(now, el)
}

// handleTakeoverServer follows the end of another registrar's takeover. If it is ours, it
// was in error: a PRESENCE shows that we live, and the audits do the rest.
func (e *Engine[V]) handleTakeoverServer(now time.Time, p *peer[V], m *wire.TakeoverServer) {
	switch {
	case p == nil, m.Target == p.id:
		e.stats.Ignored++
		return
	case m.Target == e.cfg.ID:
		e.presenceToAll()
		return
	}
	n := 0
	for el := range e.space.OwnedBy(m.Target) {
		e.space.SetHome(el, p.id, handlespace.TakenOver)
		e.leases.renew(now, el)
		n++
	}
	e.effects.Tell(TakenOver{Target: m.Target, By: p.id, Elements: n})
	if target := e.peer(m.Target); target != nil {
		e.drop(now, target)
	}
}
