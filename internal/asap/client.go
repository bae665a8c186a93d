// Package asap holds ASAP (RFC 5352) as pure engines, a file per role:
//
//	client.go        the PE's and PU's side of the registrar: what both share
//	hunt.go          finding a registrar and keeping one (section 3.6)
//	registration.go  a PE's registrations and keep-alives (sections 3.1, 3.2, 3.4)
//	resolution.go    a PU's handle resolutions and reports (sections 3.3, 3.5)
//	session.go       the control channel between PU and PE (sections 3.8, 3.9)
//	home.go          the registrar's side
//
// An engine takes inputs with the current time and queues effects; it has no socket,
// no clock, no goroutine and no logger.
package asap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// ClientConfig tunes a Client. Every field must be set.
type ClientConfig struct {
	// Registrars lists the addresses of the registrars that are known now.
	Registrars func(now time.Time) []protocol.TransportAddr
	// Announced takes what a registrar has announced, from an address, into that list. It
	// returns the addresses that were not there; the message is valid during the call only.
	Announced func(now time.Time, m *wire.ServerAnnounce, from netip.AddrPort) (added []protocol.TransportAddr)
	Rand      *rand.Rand

	RequestTimeout        time.Duration // how long a request may wait for a registrar
	ResponseTimeout       time.Duration // T1-ENRPrequest, T2-registration, T3-deregistration
	MaxRequestAttempts    int           // how often a request is sent before it fails
	ReregistrationTimeout time.Duration // T4-reregistration; the registration life is three times as long
	HuntTimeout           time.Duration // T5-Serverhunt, first value
	MaxHuntTimeout        time.Duration // RETRAN-MAX
}

// Client is the engine of a PE and PU: one operation scope, any number of
// registrations and requests, one registrar at a time. It implements loop.Engine.
type Client struct {
	cfg     ClientConfig
	q       effect.Queue
	decoder wire.Decoder
	hunt    hunt

	registrations map[elementKey]*registration
	waiting       []*request // for a registrar, oldest first
	sent          []*request // on the home association, answered in this order
	nextQuery     QueryID
	// nextT4 is no later than any T4-reregistration; zero: there is none.
	nextT4 time.Time
}

type elementKey struct {
	handle protocol.PoolHandle
	id     protocol.PEID
}

// NewClient returns an engine that does nothing until it is asked to.
func NewClient(cfg ClientConfig) *Client {
	return &Client{cfg: cfg, hunt: hunt{round: cfg.HuntTimeout}, registrations: make(map[elementKey]*registration)}
}

// Errors that events carry.
var (
	// ErrNoRegistrar: no registrar could be reached in time.
	ErrNoRegistrar = errors.New("no registrar reachable")
	// ErrNoResponse: registrars took the request but did not answer.
	ErrNoResponse = errors.New("registrar does not respond")
	// ErrProtocol: the registrar's answer makes no sense.
	ErrProtocol = errors.New("registrar broke the protocol")
)

// RemoteError is an error cause that a registrar has reported.
type RemoteError struct{ Cause protocol.Cause }

func (e *RemoteError) Error() string { return "registrar reports: " + e.Cause.String() }

// Is makes e match ErrNotAuthorized if that is its cause.
func (e *RemoteError) Is(target error) bool {
	return target == ErrNotAuthorized && e.Cause == protocol.CauseSecurity
}

// ErrNotAuthorized: the registrar lets somebody else do it, or nobody.
var ErrNotAuthorized = errors.New("not authorized")

// remoteError returns the first cause, as RSPLIB sends but one.
func remoteError(causes []wire.ErrorCause) error {
	if len(causes) == 0 {
		return &RemoteError{protocol.CauseUnspecified}
	}
	return &RemoteError{causes[0].Code}
}

// requestKind is what a request asks of the registrar.
type requestKind uint8

const (
	register requestKind = iota
	deregister
	resolve
	report // of an unreachable PE; it has no response
)

func (k requestKind) String() string {
	return [...]string{"registration", "deregistration", "handle resolution", "unreachable report"}[k]
}

// request is one message to the registrar until it is answered:
//
//	           connected            response
//	waiting ─────────────▶ sent ─────────────▶ done
//	   │  ▲                 │
//	   │  └─────────────────┘ association lost or response timeout, attempts left
//	   ▼
//	failed: no registrar in time, or no attempt left
type request struct {
	kind     requestKind
	key      elementKey // id 0 for a resolution
	items    uint32
	query    QueryID
	attempts int       // times it was sent
	deadline time.Time // waiting: give up; sent: T1, T2 or T3. Zero while waiting: never
}

// Next takes the oldest effect.
func (c *Client) Next() (effect.Effect, bool) { return c.q.Next() }

// HandleMessage takes a message from a registrar.
func (c *Client) HandleMessage(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte) {
	if ppid != protocol.PPIDASAP {
		return
	}
	m, err := c.decoder.ASAP(data)
	if err != nil {
		if id == c.hunt.home && !errors.Is(err, wire.ErrUnknownMessage) {
			c.dropHome(now, fmt.Errorf("%w: %w", ErrProtocol, err))
		}
		return
	}
	if m, ok := m.(*wire.EndpointKeepAlive); ok {
		c.handleKeepAlive(now, id, m)
		return
	}
	if id == c.hunt.home {
		c.hunt.mute, c.hunt.pause = false, 0
		c.handleResponse(now, m)
	}
}

// handleResponse takes an answer on the home association.
func (c *Client) handleResponse(now time.Time, m wire.Message) {
	switch m := m.(type) {
	case *wire.RegistrationResponse:
		if c.take(register, elementKey{m.Handle, m.ID}) != nil {
			c.handleRegistrationResponse(now, m)
		}
	case *wire.DeregistrationResponse:
		if c.take(deregister, elementKey{m.Handle, m.ID}) != nil {
			c.handleDeregistrationResponse(m)
		}
	case *wire.HandleResolutionResponse:
		if r := c.take(resolve, elementKey{handle: m.Handle}); r != nil {
			c.handleResolutionResponse(r, m)
		}
	case *wire.ASAPError:
		// The registrar answers in order: the error is about our oldest request.
		if len(c.sent) > 0 {
			r := c.sent[0]
			c.sent = slices.Delete(c.sent, 0, 1)
			c.fail(r, remoteError(m.Causes))
		}
	}
}

// take removes the oldest request of this kind and key that was sent. An answer
// nobody waits for (nil) is dropped.
func (c *Client) take(kind requestKind, key elementKey) *request {
	i := slices.IndexFunc(c.sent, func(r *request) bool { return r.kind == kind && r.key == key })
	if i < 0 {
		return nil
	}
	r := c.sent[i]
	c.sent = slices.Delete(c.sent, i, i+1)
	return r
}

// submit sends a request, or lets it wait for a registrar: a registration for ever,
// since a PE serves those who know it meanwhile (so that MAX-REG-ATTEMPT of RFC
// 5352 section 3.1 has no use here).
func (c *Client) submit(now time.Time, r *request) {
	if c.hunt.state == connected {
		c.send(now, r)
		return
	}
	r.deadline = time.Time{}
	if r.kind != register {
		r.deadline = now.Add(c.cfg.RequestTimeout)
	}
	c.waiting = append(c.waiting, r)
	if c.hunt.state == idle {
		c.becomeHunting(now)
	}
}

// send sends a request on the home association.
func (c *Client) send(now time.Time, r *request) {
	r.attempts++
	r.deadline = now.Add(c.cfg.ResponseTimeout)
	home := c.hunt.home
	switch r.kind {
	case register:
		reg := c.registrations[r.key]
		reg.changed = false
		c.q.Send(home, protocol.PPIDASAP, &wire.Registration{Handle: r.key.handle, Element: c.element(reg)})
	case deregister:
		c.q.Send(home, protocol.PPIDASAP, &wire.Deregistration{Handle: r.key.handle, ID: r.key.id})
	case resolve:
		c.q.Send(home, protocol.PPIDASAP, &wire.HandleResolution{Handle: r.key.handle, Items: r.items})
	case report:
		c.q.Send(home, protocol.PPIDASAP, &wire.EndpointUnreachable{Handle: r.key.handle, ID: r.key.id})
		return
	}
	c.sent = append(c.sent, r)
}

// wanted reports whether anybody still cares for the answer to r.
func (c *Client) wanted(r *request) bool {
	switch r.kind {
	case register:
		reg := c.registrations[r.key]
		return reg != nil && reg.state != deregistering
	case resolve:
		return r.query != cancelled
	}
	return true
}

// fail ends a request without a good answer.
func (c *Client) fail(r *request, err error) {
	switch r.kind {
	case register:
		c.becomeRejected(r.key, err)
	case deregister:
		c.becomeDeregistered(r.key, err)
	case resolve:
		c.becomeResolved(r, Resolved{Err: err})
	}
}

// dropHome lets go of a home registrar that does not do its duty, and hunts for
// "a different ENRP server" (RFC 5352 section 3.6).
func (c *Client) dropHome(now time.Time, cause error) {
	c.hunt.unfit = c.hunt.remote
	c.q.Abort(c.hunt.home)
	c.becomeHomeless(now, cause)
}

// Rehome leaves the home registrar, if there is one, gracefully and finds it or another
// again: for a PE, whose association must go out from the port where it listens.
func (c *Client) Rehome(now time.Time) {
	switch c.hunt.state {
	case connected:
		c.q.Close(c.hunt.home)
		for _, r := range c.sent {
			r.attempts-- // that it is not answered is not the registrar's fault
		}
		c.hunt.mute = false
		c.becomeHomeless(now, errRehome)
	case hunting:
		c.stopDialing()
		c.startRound(now)
	}
}

var errRehome = errors.New("registrar association is opened again for a PE")

// becomeHomeless makes everything that the lost registrar has not answered wait for
// the next one: requests are sent again while they have attempts left, and
// every PE registers anew at once, not at its next interval.
func (c *Client) becomeHomeless(now time.Time, cause error) {
	mute := c.hunt.mute
	c.hunt.becomeIdle(cause)
	if mute {
		c.pauseHunt(now)
	}
	c.q.Tell(HomeLost{Err: cause})
	unanswered := c.sent
	c.sent = nil
	for _, r := range unanswered {
		switch {
		case r.kind == register || !c.wanted(r):
		case r.attempts >= c.cfg.MaxRequestAttempts:
			c.fail(r, fmt.Errorf("%w: %w", ErrNoResponse, cause))
		default:
			c.submit(now, r)
		}
	}
	for _, key := range c.elements() {
		if reg := c.registrations[key]; reg.state != deregistering {
			reg.pe.Home = 0
			c.becomeRegistering(now, key, reg)
		}
	}
}

// Advance does what is due.
func (c *Client) Advance(now time.Time) {
	if len(c.sent) > 0 && !c.sent[0].deadline.After(now) {
		c.dropHome(now, fmt.Errorf("%v: %w", c.sent[0].kind, ErrNoResponse))
	}
	c.expireWaiting(now)
	c.advanceHunt(now)
	c.advanceRegistrations(now)
}

// expireWaiting fails the requests that no registrar came for.
func (c *Client) expireWaiting(now time.Time) {
	c.waiting = slices.DeleteFunc(c.waiting, func(r *request) bool {
		if r.deadline.IsZero() || r.deadline.After(now) {
			return false
		}
		err := ErrNoRegistrar
		if c.hunt.lastErr != nil {
			err = fmt.Errorf("%w: %w", ErrNoRegistrar, c.hunt.lastErr)
		}
		c.fail(r, err)
		return true
	})
	c.stopHunt()
}

// Deadline is the earliest of all timers.
func (c *Client) Deadline() time.Time {
	d := effect.Earliest(c.hunt.deadline(), c.nextT4)
	if len(c.sent) > 0 {
		// Answers come in order, so that the oldest request's timer is the one that matters.
		d = effect.Earliest(d, c.sent[0].deadline)
	}
	for _, r := range c.waiting {
		if !r.deadline.IsZero() {
			return effect.Earliest(d, r.deadline) // the oldest one's
		}
	}
	return d
}
