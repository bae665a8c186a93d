package enrp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
)

// peer is an entry of the peer list (RFC 5353 section 3.4).
//
//	          PRESENCE, or any other message
//	    +----------------------------------------+-----------------+
//	    v                                        |                 |
//	peerAlive --(not heard for                   |                 |
//	    |        PeerMaxTimeLastHeard,       peerProbed            |
//	    |        or association lost)-----------> |                |
//	    |                                        | no answer for PeerMaxTimeNoResponse,
//	    | dial refused                           | or dial refused |
//	    +--------------------+-------------------+                 |
//	                         v                                     |
//	   owns no PE? --yes--> gone                                   |
//	                         | no                                  |
//	                         v                                     |
//	                    peerTaken --(all peers that can be asked --+
//	                         |       have acknowledged, or have    |
//	   INIT_TAKEOVER from a  |       not for                       |
//	   lower identifier, or  |       TakeoverExpiryInterval)       |
//	   in any other state    |                 |                   |
//	   from anybody          |                 v                   |
//	                         |          its PEs are ours; gone     |
//	                         v                                     |
//	                    peerYielded -------------------------------+
//	                         |
//	                         +--(TAKEOVER_SERVER)--> its PEs are the winner's; gone
//	                         |
//	                         +--(TakeoverExpiryInterval, or the winner is lost)--> as from peerProbed
type peer[V any] struct {
	id        protocol.RegistrarID
	addr      protocol.TransportAddr // where it is dialed
	link      *link[V]               // that we send over; it may be still being dialed; nil: none
	state     peerState
	deadline  time.Time // of the state
	lastHeard time.Time // zero: it has only been heard of

	listAsked    bool // it has been asked for its peer list, and has not refused
	mentorFailed bool // it could not be our mentor
	sync         sync // what we download from it
	page         page // what it downloads from us
	backoff      backoff

	waiting []protocol.RegistrarID // peerTaken: who has not acknowledged yet
	winner  protocol.RegistrarID   // peerYielded: who takes it over
}

type peerState uint8

const (
	peerAlive   peerState = iota // deadline: when it has been silent for too long
	peerProbed                   // it has been asked for a PRESENCE; deadline: when it is dead
	peerTaken                    // we are taking it over; deadline: when that waits for nobody any more
	peerYielded                  // another registrar is; deadline: when that should be done
)

func (s peerState) String() string {
	return [...]string{"alive", "probed", "being taken over", "left to another"}[s]
}

// seed is a peer that the configuration names: it is dialed again and again while no known
// peer is there.
type seed[V any] struct {
	addr protocol.TransportAddr
	link *link[V] // being dialed, or not known yet
	peer *peer[V] // that is there
}

// Peer describes a peer.
type Peer struct {
	ID        protocol.RegistrarID // 0: a configured one that has not been reached
	Addr      protocol.TransportAddr
	State     string
	Static    bool
	LastHeard time.Time // zero: never
}

// Peers lists all peers by ascending identifier, and configured ones that are not reached.
func (e *Engine[V]) Peers() []Peer {
	var list []Peer
	for _, s := range e.seeds {
		if s.peer == nil && !e.isOwn(s.addr) {
			list = append(list, Peer{Addr: s.addr, State: "not reached", Static: true})
		}
	}
	for _, p := range e.peers {
		static := slices.ContainsFunc(e.seeds, func(s *seed[V]) bool { return s.peer == p })
		list = append(list, Peer{p.id, p.addr, p.state.String(), static, p.lastHeard})
	}
	return list
}

// AddPeer names a peer that is there by configuration. It is dialed at once, or by Start.
func (e *Engine[V]) AddPeer(now time.Time, addr protocol.TransportAddr) {
	s := &seed[V]{addr: addr.Clone()}
	if i := slices.IndexFunc(e.peers, func(p *peer[V]) bool { return sameHost(addr, p.addr) }); i >= 0 {
		s.peer = e.peers[i] // it has found us before
	}
	e.seeds = append(e.seeds, s)
	if !e.heartbeat.IsZero() {
		e.dialSeed(now, s)
	}
}

// RemovePeer takes back what AddPeer has named. If its peer is there, that stays for as long as it
// lives.
func (e *Engine[V]) RemovePeer(now time.Time, addr protocol.TransportAddr) {
	i := slices.IndexFunc(e.seeds, func(s *seed[V]) bool { return s.addr.Equal(addr) })
	if i < 0 {
		return // it was ourselves
	}
	s := e.seeds[i]
	e.seeds = slices.Delete(e.seeds, i, i+1)
	if s.link != nil {
		e.abort(now, s.link)
	}
}

// isOwn reports whether addr is ours, as a configuration may list all registrars. Over SCTP we could not dial it.
func (e *Engine[V]) isOwn(addr protocol.TransportAddr) bool {
	return addr.Port == e.own.Port && slices.ContainsFunc(addr.Addrs, func(a netip.Addr) bool { return slices.Contains(e.own.Addrs, a) })
}

// dialSeed dials s unless its peer is known or may become so.
func (e *Engine[V]) dialSeed(now time.Time, s *seed[V]) {
	if s.peer == nil && s.link == nil && !e.isOwn(s.addr) {
		s.link = e.dial(now, s.addr)
		s.link.seed = s
	}
}

// peer returns the peer of an identifier, or nil.
func (e *Engine[V]) peer(id protocol.RegistrarID) *peer[V] {
	if i, found := e.find(id); found {
		return e.peers[i]
	}
	return nil
}

func (e *Engine[V]) find(id protocol.RegistrarID) (int, bool) {
	return slices.BinarySearchFunc(e.peers, id, func(p *peer[V], id protocol.RegistrarID) int {
		return cmp.Compare(p.id, id)
	})
}

// addPeer adds a peer of which nothing has been heard, unless there are too many.
func (e *Engine[V]) addPeer(id protocol.RegistrarID, addr protocol.TransportAddr) *peer[V] {
	if len(e.peers) >= e.cfg.MaxPeers {
		return nil
	}
	p := &peer[V]{id: id, addr: addr}
	i, _ := e.find(id)
	e.peers = slices.Insert(e.peers, i, p)
	for _, s := range e.seeds {
		if s.peer == nil && sameHost(s.addr, addr) {
			s.peer = p
		}
	}
	return p
}

// sameHost reports whether two addresses lead to the same registrar.
func sameHost(a, b protocol.TransportAddr) bool {
	if a.Protocol != b.Protocol || a.Port != b.Port {
		return false
	}
	for _, addr := range a.Addrs {
		if slices.Contains(b.Addrs, addr) {
			return true
		}
	}
	return false
}

// drop removes p from the peer list. Whoever has lost a peer asks the others for their lists
// again: some may reach it still, or again.
func (e *Engine[V]) drop(now time.Time, p *peer[V]) {
	i, found := e.find(p.id)
	if !found {
		return
	}
	e.peers = slices.Delete(e.peers, i, i+1)
	p.waiting, p.winner = nil, 0
	for _, l := range e.linksOf(p) {
		e.forget(l)
		e.effects.Abort(l.id)
	}
	for _, s := range e.seeds {
		if s.peer == p {
			s.peer = nil
		}
	}
	for _, q := range e.peers {
		q.listAsked = false
	}
	if !p.lastHeard.IsZero() {
		e.effects.Tell(PeerLost{p.id})
	}
	e.cannotHear(now, p)
	e.resumeTakeovers(now, p.id)
}

// linksOf returns all links to p, oldest first.
func (e *Engine[V]) linksOf(p *peer[V]) []*link[V] {
	var links []*link[V]
	for _, l := range e.links {
		if l.peer == p {
			links = append(links, l)
		}
	}
	slices.SortFunc(links, func(a, b *link[V]) int { return cmp.Compare[effect.AssocID](a.id, b.id) })
	return links
}

// identify learns who is at the other end of l. It returns nil if that must not be.
func (e *Engine[V]) identify(now time.Time, l *link[V], id protocol.RegistrarID, addr protocol.TransportAddr) *peer[V] {
	if l.known {
		if l.peer.id != id {
			e.stats.Ignored++
			return nil
		}
		return l.peer
	}
	p := e.peer(id)
	if p == nil {
		if p = e.addPeer(id, addr); p == nil {
			e.abort(now, l)
			return nil
		}
	}
	if len(e.linksOf(p)) >= maxLinks {
		e.abort(now, l)
		return nil
	}
	dialed := l.peer
	e.attach(l, p)
	if dialed != nil && dialed != p {
		// Where it was is another registrar: it has been started anew.
		dialed.link = nil
		e.cannotHear(now, dialed)
		e.dead(now, dialed)
	}
	return p
}

// attach makes l one of p's.
func (e *Engine[V]) attach(l *link[V], p *peer[V]) {
	e.strangers = slices.DeleteFunc(e.strangers, func(s *link[V]) bool { return s == l })
	l.peer, l.known, l.deadline = p, true, time.Time{}
	if s := l.seed; s != nil {
		s.peer, s.link, l.seed = p, nil, nil
	}
	if p.link == nil || !p.link.known {
		p.link = l
	}
}

// linkLost follows the end of a link to p. A peer whose last association ends is not left
// alone until it has been silent for PeerMaxTimeLastHeard, but probed at once, and
// when its machine says that nobody serves there, it is dead.
func (e *Engine[V]) linkLost(now time.Time, p *peer[V], l *link[V], refused bool) {
	if p.link != l {
		return
	}
	p.link = nil
	for _, other := range e.linksOf(p) {
		if other.known {
			p.link = other
			return
		}
	}
	e.cannotHear(now, p)
	switch {
	case p.state > peerProbed:
	case refused:
		e.dead(now, p)
	case l.up && p.state == peerAlive:
		e.becomeProbed(now, p)
	case l.up:
		e.dialPeer(now, p)
	}
}

// cannotHear stops everything that waits for an answer of p.
func (e *Engine[V]) cannotHear(now time.Time, p *peer[V]) {
	p.page, p.listAsked = page{}, false
	e.stopWaitingFor(now, p.id)
	if p.sync.running() {
		e.failSync(now, p)
	}
	if e.handOver.to == p.id && e.handOver.running() {
		e.HandOver(now, 0)
	}
}

func (e *Engine[V]) dialPeer(now time.Time, p *peer[V]) {
	if p.link == nil {
		p.link = e.dial(now, p.addr)
		p.link.peer = p
	}
}

// linked reports whether p can be sent something.
func (p *peer[V]) linked() bool { return p.link != nil && p.link.known }

// heard notes a sign of life of p.
func (e *Engine[V]) heard(now time.Time, p *peer[V]) {
	if p.lastHeard.IsZero() {
		e.effects.Tell(PeerUp{p.id, p.addr})
	}
	p.lastHeard = now
	e.becomeAlive(p)
}

// becomeAlive ends any doubt about p, and any takeover of it.
func (e *Engine[V]) becomeAlive(p *peer[V]) {
	p.state, p.waiting, p.winner = peerAlive, nil, 0
	p.deadline = p.lastHeard.Add(e.cfg.PeerMaxTimeLastHeard)
}

// becomeProbed asks p for a PRESENCE, over a new association if there is none.
func (e *Engine[V]) becomeProbed(now time.Time, p *peer[V]) {
	p.state = peerProbed
	p.deadline = now.Add(e.cfg.PeerMaxTimeNoResponse)
	if p.linked() {
		e.sendPresence(p.link, true)
	} else {
		e.dialPeer(now, p)
	}
}

// peerExpired acts on the deadline of p's state.
func (e *Engine[V]) peerExpired(now time.Time, p *peer[V]) {
	switch p.state {
	case peerAlive:
		e.becomeProbed(now, p)
	case peerProbed, peerYielded:
		e.dead(now, p)
	case peerTaken:
		e.completeTakeover(now, p)
	default:
		panic(fmt.Sprintf("enrp: peer state %d", p.state))
	}
}

// dead removes a peer that does not live any more, at once if it leaves nothing behind.
// Who has never heard it leaves its PEs to those who have.
func (e *Engine[V]) dead(now time.Time, p *peer[V]) {
	if p.lastHeard.IsZero() || !e.ownsAny(p.id) {
		e.drop(now, p)
		return
	}
	e.becomeTaken(now, p)
}

// ownsAny reports whether a registrar is the home of any PE.
func (e *Engine[V]) ownsAny(id protocol.RegistrarID) bool {
	for range e.space.OwnedBy(id) {
		return true
	}
	return false
}
