package asap

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// huntState is where the search for a home registrar stands.
//
//	      something to send            first association up (SH3, SH6)
//	idle ───────────────────▶ hunting ───────────────────────────────▶ connected
//	 ▲ ▲                       │ ▲ │                                     │
//	 │ └─ nothing left to send ┘ │ │ T5-Serverhunt: doubled, next round  │
//	 │                           └─┘ (SH5)                               │
//	 └───────── lost, no response, or protocol broken ──────────────────┘
//
// A registrar that has taken a PE over comes by itself: an association to our
// port with a keep-alive whose H bit is set makes it the home at once, from any state.
type huntState uint8

const (
	idle huntState = iota
	hunting
	connected
)

// hunt is the state of RFC 5352 section 3.6.
type hunt struct {
	state   huntState
	home    effect.AssocID         // connected: the home registrar's association, else 0
	remote  protocol.TransportAddr // of home
	local   protocol.TransportAddr // our end of its association
	since   time.Time              // home is
	id      protocol.RegistrarID   // of home; 0: it has not told
	mute    bool                   // home has said nothing yet
	unfit   protocol.TransportAddr // a registrar that was dropped, until the next one is found
	lost    protocol.TransportAddr // one that has ended its association, until then
	lastErr error                  // why the last attempt or association failed

	candidates []protocol.TransportAddr // of this round, not tried yet
	tried      []protocol.TransportAddr // in this round
	best       int                      // grade of the first candidate
	dialing    map[effect.AssocID]protocol.TransportAddr
	incoming   []registrarAssoc // not adopted, oldest first

	headStart    time.Time     // until then this round is that of the first choice; zero: of all
	t5Serverhunt time.Time     // end of this round or pause; zero: there is none
	round        time.Duration // length of this round
	pause        time.Duration // length of the last pause
}

// registrarAssoc is an association with some registrar.
type registrarAssoc struct {
	id            effect.AssocID
	local, remote protocol.TransportAddr
}

const (
	// maxParallel is how many associations a hunt opens at once (SH1).
	maxParallel = 3
	// maxIncoming bounds the associations that strangers may keep open to us.
	maxIncoming = 16
	// headStart is how long a round has only those candidates that are as good as the first one.
	headStart = 250 * time.Millisecond
	// firstPause and maxPause bound the pause after a round in which every registrar refused
	// at once, and after one that took the association and said nothing. It doubles, so
	// that a registrar that is just being started is found soon, and a broken one is
	// not asked all the time.
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
)

func (h *hunt) deadline() time.Time {
	switch {
	case h.state != hunting:
		return time.Time{}
	case !h.headStart.IsZero() && h.headStart.Before(h.t5Serverhunt):
		return h.headStart
	}
	return h.t5Serverhunt
}

// becomeIdle forgets the home association.
func (h *hunt) becomeIdle(cause error) {
	h.state, h.home, h.mute, h.id, h.lastErr = idle, 0, false, 0, cause
	h.local, h.remote = protocol.TransportAddr{}, protocol.TransportAddr{}
	h.t5Serverhunt = time.Time{}
}

// becomeHunting starts the hunt, at once or after the pause that was ordered.
func (c *Client) becomeHunting(now time.Time) {
	c.hunt.state = hunting
	if !c.hunt.t5Serverhunt.After(now) {
		c.startRound(now)
	}
}

// startRound dials up to three candidates (SH1) and starts T5-Serverhunt (SH2).
func (c *Client) startRound(now time.Time) {
	h := &c.hunt
	h.t5Serverhunt = now.Add(h.round)
	h.candidates = slices.Clone(c.cfg.Registrars(now))
	c.cfg.Rand.Shuffle(len(h.candidates), func(i, j int) {
		h.candidates[i], h.candidates[j] = h.candidates[j], h.candidates[i]
	})
	slices.SortStableFunc(h.candidates, func(a, b protocol.TransportAddr) int {
		return cmp.Compare(h.rank(a), h.rank(b))
	})
	h.tried, h.headStart = nil, time.Time{}
	if len(h.candidates) > 0 {
		h.best = h.grade(h.candidates[0])
	}
	if slices.ContainsFunc(h.candidates, func(to protocol.TransportAddr) bool { return h.grade(to) > h.best }) {
		h.headStart = now.Add(headStart)
	}
	h.dialing = make(map[effect.AssocID]protocol.TransportAddr)
	for range maxParallel {
		c.dialNext()
	}
	if len(h.dialing) == 0 {
		c.pauseHunt(now)
	}
}

// rank orders the candidates of a round: "It SHOULD attempt to select a different set
// of transport addresses" than in the last one (SH5.2), and a registrar that has
// just been dropped comes last of all.
func (h *hunt) rank(to protocol.TransportAddr) int {
	switch {
	case is(h.unfit, to):
		return 8
	case slices.ContainsFunc(h.tried, to.Equal):
		return 4 + h.grade(to)
	}
	return h.grade(to)
}

// grade tells which candidates have the head start. A registrar that has just been lost may be a
// process that is being killed, whose kernel still takes associations; and RSPLIB's registrars
// can only take over PEs that have registered over SCTP.
func (h *hunt) grade(to protocol.TransportAddr) (grade int) {
	if is(h.lost, to) {
		grade += 2
	}
	if to.Protocol != protocol.SCTP {
		grade++
	}
	return grade
}

// is reports whether to is an address of a registrar, over any transport.
func is(registrar, to protocol.TransportAddr) bool {
	return to.Port == registrar.Port &&
		slices.ContainsFunc(to.Addrs, func(a netip.Addr) bool { return slices.Contains(registrar.Addrs, a) })
}

// dialNext tries the next candidate (SH4). One that might win against better ones waits
// until no other is left: a second choice for the end of the head start at most.
func (c *Client) dialNext() {
	h := &c.hunt
	if len(h.candidates) == 0 {
		return
	}
	to := h.candidates[0]
	waits := is(h.unfit, to) || !h.headStart.IsZero() && h.grade(to) > h.best
	if waits && len(h.dialing) > 0 {
		return
	}
	h.candidates = h.candidates[1:]
	h.tried = append(h.tried, to)
	h.dialing[c.q.Dial(to, protocol.PPIDASAP)] = to
}

// pauseHunt lets the next round wait.
func (c *Client) pauseHunt(now time.Time) {
	h := &c.hunt
	h.pause = min(max(2*h.pause, firstPause), maxPause, h.round)
	h.t5Serverhunt = now.Add(h.pause)
}

func (c *Client) stopDialing() {
	for _, id := range slices.Sorted(maps.Keys(c.hunt.dialing)) {
		c.q.Abort(id)
	}
	c.hunt.dialing, c.hunt.candidates = nil, nil
}

// stopHunt ends a hunt that nobody waits for any more.
func (c *Client) stopHunt() {
	if c.hunt.state == hunting && len(c.waiting) == 0 {
		c.stopDialing()
		c.hunt.becomeIdle(c.hunt.lastErr)
	}
}

// advanceHunt starts the next round when T5-Serverhunt has expired (SH5), or the pause is
// over, and ends a head start.
func (c *Client) advanceHunt(now time.Time) {
	h := &c.hunt
	if h.state == hunting && !h.headStart.IsZero() && !h.headStart.After(now) {
		h.headStart = time.Time{}
		for range maxParallel - len(h.dialing) {
			c.dialNext()
		}
	}
	if h.state != hunting || h.t5Serverhunt.After(now) {
		return
	}
	if len(h.dialing) > 0 {
		h.round = min(2*h.round, c.cfg.MaxHuntTimeout)
		h.unfit = protocol.TransportAddr{} // the others are no better
	}
	c.stopDialing()
	c.startRound(now)
}

// HandleDatagram takes a registrar's announce. One that is new is tried at once, if a hunt
// has room for it.
func (c *Client) HandleDatagram(now time.Time, _ protocol.PPID, from netip.AddrPort, data []byte) {
	m, err := c.decoder.ASAP(data)
	if err != nil {
		return // anybody can send anything to the group
	}
	announce, ok := m.(*wire.ServerAnnounce)
	if !ok {
		return
	}
	if added := c.cfg.Announced(now, announce, from); len(added) > 0 && c.Hunting() {
		c.tryNew(now, added)
	}
}

// tryNew tries registrars that a hunt under way does not know yet.
func (c *Client) tryNew(now time.Time, added []protocol.TransportAddr) {
	h := &c.hunt
	if len(h.dialing) == 0 { // it pauses
		c.startRound(now)
		return
	}
	h.candidates = slices.Concat(added, h.candidates)
	for range min(len(added), maxParallel-len(h.dialing)) {
		c.dialNext()
	}
}

// Hunting reports whether a registrar is sought.
func (c *Client) Hunting() bool { return c.hunt.state == hunting }

// HuntError is why none has been found yet; nil: none is sought, or nothing has failed.
func (c *Client) HuntError() error {
	if !c.Hunting() {
		return nil
	}
	return c.hunt.lastErr
}

// HandleLookup takes what a lookup of names has changed in the list of registrars, or why it has
// failed. A hunt tries those that are new at once, and waits no longer for those that are gone.
func (c *Client) HandleLookup(now time.Time, added, gone []protocol.TransportAddr, err error) {
	h := &c.hunt
	if !c.Hunting() {
		return
	}
	if err != nil {
		h.lastErr = err
	}
	isGone := func(to protocol.TransportAddr) bool { return slices.ContainsFunc(gone, to.Equal) }
	h.candidates = slices.DeleteFunc(h.candidates, isGone)
	dialed := len(h.dialing)
	for _, id := range slices.Sorted(maps.Keys(h.dialing)) {
		if isGone(h.dialing[id]) {
			c.q.Abort(id)
			delete(h.dialing, id)
		}
	}
	if len(added) > 0 {
		c.tryNew(now, added)
	}
	if dialed == 0 {
		return // it pauses, unless it has tried the new ones
	}
	for range maxParallel - len(h.dialing) {
		c.dialNext()
	}
	if len(h.dialing) == 0 {
		c.pauseHunt(now)
	}
}

// HandleUp takes an association that is up: one of the hunt's, or one that a
// registrar has opened to us.
func (c *Client) HandleUp(now time.Time, id effect.AssocID, _ protocol.PPID, local, remote protocol.TransportAddr) {
	h := &c.hunt
	if _, dialed := h.dialing[id]; dialed {
		delete(h.dialing, id)
		c.becomeConnected(now, registrarAssoc{id, local, remote})
		return
	}
	if len(c.registrations) == 0 {
		c.q.Abort(id) // only a PE is visited by registrars
		return
	}
	if len(h.incoming) == maxIncoming {
		c.q.Abort(h.incoming[0].id) // it had its time to say what it wants
		h.incoming = slices.Delete(h.incoming, 0, 1)
	}
	h.incoming = append(h.incoming, registrarAssoc{id, local, remote})
}

// becomeConnected makes an association the home registrar's, and sends what has waited
// for one (SH6).
func (c *Client) becomeConnected(now time.Time, to registrarAssoc) {
	h := &c.hunt
	c.stopDialing()
	h.state, h.home, h.local, h.remote, h.mute = connected, to.id, to.local, to.remote, true
	h.since, h.id = now, 0
	h.lastErr, h.unfit, h.lost = nil, protocol.TransportAddr{}, protocol.TransportAddr{}
	h.t5Serverhunt, h.round = time.Time{}, c.cfg.HuntTimeout // SH3
	c.q.Tell(HomeFound{Addr: to.remote})
	waiting := c.waiting
	c.waiting = nil
	for _, r := range waiting {
		c.send(now, r)
	}
}

// HandleLost takes the end of an association, or of the attempt to open one.
func (c *Client) HandleLost(now time.Time, id effect.AssocID, err error) {
	h := &c.hunt
	_, dialed := h.dialing[id]
	switch {
	case id == h.home:
		h.lost = h.remote
		c.becomeHomeless(now, err)
	case dialed:
		delete(h.dialing, id)
		h.lastErr = err
		c.dialNext()
		if len(h.dialing) == 0 {
			c.pauseHunt(now)
		}
	default:
		h.forgetIncoming(id)
	}
}

// forgetIncoming removes an incoming association and returns it.
func (h *hunt) forgetIncoming(id effect.AssocID) registrarAssoc {
	i := slices.IndexFunc(h.incoming, func(in registrarAssoc) bool { return in.id == id })
	in := h.incoming[i]
	h.incoming = slices.Delete(h.incoming, i, i+1)
	return in
}

// adopt makes the registrar behind an incoming association the home (RFC 5352
// section 3.4 KA2.4), and leaves the old one. What that has not answered goes to
// the new one.
func (c *Client) adopt(now time.Time, id effect.AssocID) {
	in := c.hunt.forgetIncoming(id)
	if c.hunt.state == connected {
		c.q.Abort(c.hunt.home)
	}
	unanswered := slices.DeleteFunc(c.sent, func(r *request) bool { return !c.wanted(r) })
	c.waiting = append(unanswered, c.waiting...)
	c.sent = nil
	c.becomeConnected(now, in)
	c.hunt.mute = false
}

// HomeRegistrar describes the home registrar.
type HomeRegistrar struct {
	Addr    protocol.TransportAddr // zero: there is none
	Since   time.Time
	ID      protocol.RegistrarID // 0: it has not told
	Hunting bool                 // one is being looked for
}

// HomeRegistrar returns what is known of it.
func (c *Client) HomeRegistrar() HomeRegistrar {
	h := &c.hunt
	return HomeRegistrar{Addr: h.remote.Clone(), Since: h.since, ID: h.id, Hunting: h.state == hunting}
}

// HomeFound is told when a home registrar is there.
type HomeFound struct{ Addr protocol.TransportAddr }

// HomeLost is told when the home registrar is gone; PEs and requests wait for the
// next one.
type HomeLost struct{ Err error }
