package enrp

import (
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// start is the initialization of a registrar (RFC 5353 section 3.2):
//
//	Start: dial every static peer, ask the group
//	  |
//	  v
//	looking for a mentor <-------------------------------+
//	  |             |                                    |
//	  |             | the first peer that is reached     | it refuses, answers nothing
//	  |             v                                    | for PeerMaxTimeNoResponse,
//	  |         downloading the handlespace -------------+ or its association ends
//	  |             |
//	  |             | last page
//	  v             v
//	serving: nobody is left to be asked, or MentorDiscoveryTimeout is over, or all is there
//
// Without a group there is nobody to be asked once all static peers have refused; with one, any
// registrar may still answer.
type start[V any] struct {
	serving  bool
	deadline time.Time // MentorDiscoveryTimeout; zero: over
	mentor   *peer[V]  // that we download from; nil: we look for one
}

// Serving reports whether the initialization is over.
func (e *Engine[V]) Serving() bool { return e.start.serving }

// Start begins the initialization. own is where other registrars reach us. multicast says whether
// the presence group can be used. In the group a reply is asked for, so that a new registrar
// need not wait for the next heartbeat of another one.
func (e *Engine[V]) Start(now time.Time, own protocol.TransportAddr, multicast bool) {
	e.own = own.Clone()
	e.own.Use = protocol.DataOnly
	if usable := e.usable(own.Addrs, own.Addrs); len(usable) > 0 {
		e.own.Addrs = usable
	}
	e.multicast = multicast
	e.heartbeat = now.Add(e.spread(e.cfg.PeerHeartbeatCycle))
	e.start.deadline = now.Add(e.cfg.MentorDiscoveryTimeout)
	e.announce(true)
	for _, s := range e.seeds {
		e.dialSeed(now, s)
	}
	e.lookForMentor(now)
}

// lookForMentor makes a peer the mentor if there is one that can be, or ends the
// initialization if there cannot be any.
func (e *Engine[V]) lookForMentor(now time.Time) {
	if e.start.serving || e.start.mentor != nil || e.heartbeat.IsZero() {
		return
	}
	for _, p := range e.peers {
		if p.linked() && p.state == peerAlive && !p.mentorFailed {
			e.start.mentor = p
			e.requestTable(now, p, false)
			return
		}
	}
	if e.start.deadline.IsZero() || !e.multicast && !e.dialing() {
		e.becomeServing(now, 0)
	}
}

// dialing reports whether anybody whom we have dialed may still show himself.
func (e *Engine[V]) dialing() bool {
	return slices.ContainsFunc(e.strangers, func(l *link[V]) bool { return l.seed != nil || l.peer != nil })
}

// discoveryExpired ends the search for a mentor, but no download.
func (e *Engine[V]) discoveryExpired(now time.Time) {
	e.start.deadline = time.Time{}
	e.lookForMentor(now)
}

// failMentor goes on with "a backup mentor peer, if one is available" (RFC 5353 section 3.2.3).
func (e *Engine[V]) failMentor(now time.Time) {
	e.start.mentor.mentorFailed = true
	e.start.mentor = nil
	e.lookForMentor(now)
}

// becomeServing ends the initialization.
func (e *Engine[V]) becomeServing(now time.Time, mentor protocol.RegistrarID) {
	e.start = start[V]{serving: true}
	e.effects.Tell(Serving{mentor})
	e.beat(now)
}

// requestList asks for a peer list. If it is refused, the next PRESENCE is the time to
// ask again.
func (e *Engine[V]) requestList(l *link[V]) {
	e.sent.listRequest = wire.ListRequest{Sender: e.cfg.ID, Receiver: l.receiver()}
	e.send(l, &e.sent.listRequest)
}

// handleListRequest lists the peers that live. A registrar that does not know its peers yet "MUST
// reject the request" (RFC 5353 section 3.2.2.2).
func (e *Engine[V]) handleListRequest(l *link[V], sender protocol.RegistrarID) {
	m := &e.sent.listResponse
	*m = wire.ListResponse{Sender: e.cfg.ID, Receiver: sender, Reject: !e.start.serving, Servers: m.Servers[:0]}
	for _, p := range e.peers {
		if e.start.serving && p.state == peerAlive && !p.lastHeard.IsZero() {
			m.Servers = append(m.Servers, wire.ServerInformation{ID: p.id, Transport: p.addr})
		}
	}
	e.send(l, m)
}

// handleListResponse adds the peers that p knows and dials them.
func (e *Engine[V]) handleListResponse(now time.Time, p *peer[V], m *wire.ListResponse) {
	if p == nil {
		return
	}
	if p.listAsked = !m.Reject; m.Reject {
		return
	}
	for _, s := range m.Servers {
		addr, ok := e.peerAddr(s.Transport, s.Transport)
		if !ok || s.ID == 0 || s.ID == e.cfg.ID || e.peer(s.ID) != nil {
			continue
		}
		if q := e.addPeer(s.ID, addr); q != nil {
			e.becomeProbed(now, q)
		}
	}
}
