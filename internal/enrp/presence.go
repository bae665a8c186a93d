package enrp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// beat tells all peers that we live (RFC 5353 section 3.4.2), and dials those that cannot be told.
func (e *Engine[V]) beat(now time.Time) {
	e.heartbeat = now.Add(e.spread(e.cfg.PeerHeartbeatCycle))
	if e.start.serving {
		e.announce(false)
	}
	for _, p := range e.peers {
		if p.linked() {
			e.sendPresence(p.link, false)
		} else if p.state <= peerProbed {
			e.dialPeer(now, p)
		}
	}
	for _, s := range e.seeds {
		e.dialSeed(now, s)
	}
}

// presenceToAll shows everyone that we live and what we own, without waiting for the next heartbeat.
func (e *Engine[V]) presenceToAll() {
	e.announce(false)
	for _, p := range e.peers {
		if p.linked() {
			e.sendPresence(p.link, false)
		}
	}
}

// handlePresence learns from a PRESENCE over an association who is there and what it
// owns.
func (e *Engine[V]) handlePresence(now time.Time, l *link[V], m *wire.Presence) {
	e.stats.PresencesHeard++
	if m.Sender == e.cfg.ID {
		e.handleOwnPresence(now, l, m)
		return
	}
	addr, ok := e.peerAddr(m.Server.Transport, l.remote)
	if m.Sender == 0 || !ok {
		e.stats.Ignored++
		return
	}
	p := e.identify(now, l, m.Sender, addr)
	if p == nil {
		return
	}
	if !p.addr.Equal(addr) {
		p.addr = addr
	}
	e.heard(now, p)
	if !l.greeted {
		e.greet(l)
	}
	if m.ReplyRequired {
		e.sendPresence(l, false)
	}
	if !p.listAsked {
		p.listAsked = true
		e.requestList(l)
	}
	e.lookForMentor(now)
	if m.HasChecksum {
		e.audit(now, p, m.Checksum)
	}
}

// handleOwnPresence: a configuration may list all registrars, ourselves among them, by an address that we do not
// know to be ours: the end that was dialed answers, and the one that has dialed notices. Otherwise somebody else has our identifier, of which "no severe consequence ... has been
// identified" (RFC 5353 section 3.2.1).
func (e *Engine[V]) handleOwnPresence(now time.Time, l *link[V], m *wire.Presence) {
	e.stats.Collisions++
	if s := l.seed; s == nil {
		if m.ReplyRequired {
			e.sendPresence(l, false)
		}
	} else {
		e.seeds = slices.DeleteFunc(e.seeds, func(t *seed[V]) bool { return t == s })
		e.close(l)
		e.lookForMentor(now)
	}
}

// peerAddr returns where the sender of a PRESENCE can be dialed: at those of its own addresses
// that its association proves. A PRESENCE without Server Information, which the RFC
// allows, leaves the association's own.
func (e *Engine[V]) peerAddr(told, proven protocol.TransportAddr) (protocol.TransportAddr, bool) {
	if told.IsZero() {
		return proven, true
	}
	told.Use = protocol.DataOnly
	told.Addrs = e.usable(told.Addrs, proven.Addrs)
	return told, told.Port != 0 && len(told.Addrs) > 0 && told.Protocol == e.own.Protocol
}

// HandleDatagram acts on a message of the presence group: who is new there is dialed, and
// who is known lives. Its checksum is left to PRESENCEs over associations, which
// come in order with the updates.
func (e *Engine[V]) HandleDatagram(now time.Time, from netip.AddrPort, data []byte) {
	decoded, err := e.decoder.ENRP(data)
	if err != nil {
		e.stats.Malformed++
		return
	}
	m, ok := decoded.(*wire.Presence)
	switch {
	case ok && m.Sender == e.cfg.ID:
		isOwn := slices.Contains(e.own.Addrs, from.Addr().Unmap()) || from.Addr().IsLoopback()
		if !isOwn || from.Port() != e.own.Port {
			e.stats.Collisions++ // else it is our own that has come back
		}
		return
	case !ok, m.Sender == 0, e.own.IsZero():
		e.stats.Ignored++
		return
	}
	e.stats.PresencesHeard++
	source := protocol.TransportAddr{Protocol: e.own.Protocol, Port: from.Port(), Addrs: []netip.Addr{from.Addr().Unmap()}}
	if m.Server.Transport.Port != 0 {
		source.Port = m.Server.Transport.Port
	}
	if source.Addrs = e.usable(source.Addrs, source.Addrs); len(source.Addrs) == 0 {
		e.stats.Ignored++
		return
	}
	if e.cfg.Proven {
		e.lookInto(now, m.Sender, source)
		return
	}
	e.announced(now, m, source)
}

// lookInto dials who may be a registrar, unless it is known or there is enough to look into. Anybody can say
// anything in the group: only an association makes a peer.
func (e *Engine[V]) lookInto(now time.Time, id protocol.RegistrarID, addr protocol.TransportAddr) {
	dialed := func(l *link[V]) bool { return l.remote.Equal(addr) }
	if e.peer(id) != nil || len(e.strangers) >= maxStrangers/2 || slices.ContainsFunc(e.strangers, dialed) {
		return
	}
	l := e.dial(now, addr)
	l.remote, l.proving = addr, true
}

// announced follows the PRESENCE of a registrar that is at addr.
func (e *Engine[V]) announced(now time.Time, m *wire.Presence, addr protocol.TransportAddr) {
	p := e.peer(m.Sender)
	if p == nil {
		if p = e.addPeer(m.Sender, addr); p == nil {
			e.stats.Ignored++
			return
		}
	}
	if !p.linked() {
		p.addr = addr
	}
	e.heard(now, p)
	switch {
	case !p.linked():
		e.dialPeer(now, p)
	case m.ReplyRequired:
		e.sendPresence(p.link, false)
	}
}
