package asap

import (
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
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
	lastErr error                  // why the last attempt or association failed

	candidates []protocol.TransportAddr // of this round, not tried yet
	dialing    map[effect.AssocID]bool
	incoming   []incoming // not adopted

	t5Serverhunt time.Time     // hunting: end of this round
	round        time.Duration // length of this round
	pause        time.Duration // before the next round, when all candidates failed early
}

// incoming is an association that some registrar has opened to us.
type incoming struct {
	id     effect.AssocID
	remote protocol.TransportAddr
}

const (
	// maxParallel is how many associations a hunt opens at once (SH1).
	maxParallel = 3
	// maxIncoming bounds the associations that strangers may keep open to us.
	maxIncoming = 16
	// firstPause is the pause after a round in which every registrar refused at once. It
	// doubles up to the length of a round, so that a registrar that is just being started
	// is found soon.
	firstPause = 50 * time.Millisecond
)

func (h *hunt) deadline() time.Time {
	if h.state == hunting {
		return h.t5Serverhunt
	}
	return time.Time{}
}

// becomeIdle forgets the home association.
func (h *hunt) becomeIdle(cause error) {
	h.state, h.home, h.remote, h.lastErr = idle, 0, protocol.TransportAddr{}, cause
}

// becomeHunting starts a round (SH1, SH2).
func (c *Client) becomeHunting(now time.Time) {
	h := &c.hunt
	h.state = hunting
	h.t5Serverhunt = now.Add(h.round)
	h.candidates = slices.Clone(c.cfg.Registrars(now))
	c.cfg.Rand.Shuffle(len(h.candidates), func(i, j int) {
		h.candidates[i], h.candidates[j] = h.candidates[j], h.candidates[i]
	})
	h.dialing = make(map[effect.AssocID]bool)
	for range maxParallel {
		c.dialNext(now)
	}
	if len(h.dialing) == 0 {
		c.pauseHunt(now)
	}
}

// dialNext tries the next candidate (SH4).
func (c *Client) dialNext(now time.Time) {
	h := &c.hunt
	if len(h.candidates) == 0 {
		return
	}
	to := h.candidates[0]
	h.candidates = h.candidates[1:]
	h.dialing[c.q.Dial(to)] = true
}

// pauseHunt ends a round early, since there is nobody left to try.
func (c *Client) pauseHunt(now time.Time) {
	h := &c.hunt
	h.pause = min(max(2*h.pause, firstPause), h.round)
	h.t5Serverhunt = earliest(h.t5Serverhunt, now.Add(h.pause))
}

func (c *Client) stopDialing() {
	for id := range c.hunt.dialing {
		c.q.Abort(id)
	}
	c.hunt.dialing, c.hunt.candidates = nil, nil
}

// stopHunt: nobody needs a registrar any more.
func (c *Client) stopHunt() {
	c.stopDialing()
	c.hunt.becomeIdle(c.hunt.lastErr)
}

// advanceHunt starts the next round when T5-Serverhunt has expired (SH5).
func (c *Client) advanceHunt(now time.Time) {
	h := &c.hunt
	if h.state != hunting || h.t5Serverhunt.After(now) {
		return
	}
	if len(h.dialing) > 0 {
		h.round = min(2*h.round, c.cfg.MaxHuntTimeout)
	}
	c.stopDialing()
	c.becomeHunting(now)
}

// HandleUp takes an association that is up: one of the hunt's, or one that a
// registrar has opened to us.
func (c *Client) HandleUp(now time.Time, id effect.AssocID, _, remote protocol.TransportAddr) {
	h := &c.hunt
	if h.dialing[id] {
		delete(h.dialing, id)
		c.becomeConnected(now, id, remote)
		return
	}
	// Only a PE is visited by registrars.
	if len(c.registrations) == 0 || len(h.incoming) == maxIncoming {
		c.q.Abort(id)
		return
	}
	h.incoming = append(h.incoming, incoming{id, remote})
}

// becomeConnected makes an association the home registrar's, and sends what has waited
// for one (SH6).
func (c *Client) becomeConnected(now time.Time, id effect.AssocID, remote protocol.TransportAddr) {
	h := &c.hunt
	c.stopDialing()
	h.state, h.home, h.remote = connected, id, remote
	h.lastErr, h.round, h.pause = nil, c.cfg.HuntTimeout, 0
	c.q.Tell(HomeFound{Addr: remote})
	waiting := c.waiting
	c.waiting = nil
	for _, r := range waiting {
		c.send(now, r)
	}
}

// HandleLost takes the end of an association, or of the attempt to open one.
func (c *Client) HandleLost(now time.Time, id effect.AssocID, err error) {
	h := &c.hunt
	switch {
	case id == h.home:
		c.becomeHomeless(now, err)
	case h.dialing[id]:
		delete(h.dialing, id)
		h.lastErr = err
		c.dialNext(now)
		if len(h.dialing) == 0 {
			c.pauseHunt(now)
		}
	default:
		c.hunt.forgetIncoming(id)
	}
}

// forgetIncoming removes an incoming association and returns its peer.
func (h *hunt) forgetIncoming(id effect.AssocID) (protocol.TransportAddr, bool) {
	i := slices.IndexFunc(h.incoming, func(in incoming) bool { return in.id == id })
	if i < 0 {
		return protocol.TransportAddr{}, false
	}
	remote := h.incoming[i].remote
	h.incoming = slices.Delete(h.incoming, i, i+1)
	return remote, true
}

// adopt makes the registrar behind an incoming association the home (RFC 5352
// section 3.4 KA2.4), and leaves the old one.
func (c *Client) adopt(now time.Time, id effect.AssocID) {
	remote, ok := c.hunt.forgetIncoming(id)
	if !ok {
		return
	}
	unanswered := c.sent
	c.sent = nil
	if c.hunt.state == connected {
		c.q.Abort(c.hunt.home)
	}
	c.becomeConnected(now, id, remote)
	for _, r := range unanswered {
		c.send(now, r)
	}
}

// HomeFound is told when a home registrar is there.
type HomeFound struct{ Addr protocol.TransportAddr }

// HomeLost is told when the home registrar is gone; PEs and requests wait for the
// next one.
type HomeLost struct{ Err error }
