package rsp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// SearchError is a search for a pool element that can be reached which has found none. It matches the
// errors of all its parts.
type SearchError struct {
	// Attempts are the pool elements that were tried, each with its latest attempt.
	Attempts []Attempt
	// Resolution is why the handle resolution gave none, such as ErrUnknownPool or ErrNoRegistrar; nil
	// if it gave some.
	Resolution error
	// Err is why the search went no further: ErrNoPoolElement, when all that were given had been tried, a
	// context's error or FailoverTimeout; nil if Resolution is the reason.
	Err error
}

// Attempt is the latest attempt to reach a pool element.
type Attempt struct {
	PE    PEID
	Addrs []netip.AddrPort
	Tries int // how often it was tried in all
	Err   error
}

func (a *Attempt) String() string {
	return fmt.Sprintf("PE %v at %v (tried %d times): %v", a.PE, a.Addrs, a.Tries, a.Err)
}

func (e *SearchError) Error() string {
	var parts []string
	for _, err := range []error{e.Err, e.Resolution} {
		if err != nil {
			parts = append(parts, err.Error())
		}
	}
	for i := range e.Attempts {
		parts = append(parts, e.Attempts[i].String())
	}
	return strings.Join(parts, "; ")
}

// Unwrap returns Err, Resolution, and the errors of the attempts.
func (e *SearchError) Unwrap() []error {
	errs := []error{e.Err, e.Resolution}
	for _, a := range e.Attempts {
		errs = append(errs, a.Err)
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

const (
	// answerGrace is how long the search of a session that had a pool element waits for the answer of a
	// registrar before it uses all that is known of the pool, however old.
	answerGrace = 30 * time.Millisecond
	// An association that is not up after three round trips is a reason to try the next PE beside it, within
	// these bounds. The upper one is RFC 8305's Connection Attempt Delay; it counts as long as no round trip is known.
	minStagger = 30 * time.Millisecond
	maxStagger = 250 * time.Millisecond
	// firstRetry is the pause after the first round that found no pool element; it
	// doubles up to search.maxPause. Each pause is cut by up to a half at random, so that those
	// who have lost the same pool do not all come at once when it returns.
	firstRetry = 10 * time.Millisecond
)

var errNotYet = errors.New("no answer yet")

// search looks for a pool element that can be reached:
//
//	      answer, or the cache is fresh
//	ask ────────────────────────────────▶ queue ──▶ the first is tried; the next one when
//	 │ ▲  no answer within answerGrace:     ▲       it fails, or beside it after a stagger
//	 │ │  what is known of the pool ────────┘               │             │
//	 │ │                                                    │ up          │ all have failed
//	 │ └────── something was tried since the answer ────────┼─────────────┤
//	 │         the pause is over                            ▼             ▼
//	 └───────────────────────────────◀─ pause ─┬─────── found it      round is over
//	                                           └─ maxPause > 0 ───────────┴─▶ SearchError
//
// Who is tried and fails is reported, also when another one was found meanwhile; what comes up after
// that is aborted. A search belongs to one goroutine.
type search struct {
	session  *session
	avoid    PEID          // is not tried; 0: none
	maxPause time.Duration // 0: there is one round, which waits for the registrar
	level    slog.Level    // of the message that a round has found nothing

	queue    []Element
	tried    map[PEID]protocol.TransportAddr // in this round, or not to be tried in it wherever it is: the zero value
	met      []Element                       // that were tried in any round
	attempts []Attempt
	news     bool // something was tried since the last answer
	pause    time.Duration
	told     error // by the last handle resolution

	// Of a call of next:
	running  []Element
	results  chan found
	over     chan struct{}
	resolved chan resolved    // nil: nobody is asked
	grace    <-chan time.Time // of that
	stagger  <-chan time.Time // nil: another one may be tried
	retry    <-chan time.Time // nil: the round is not over
}

// found is the end of an attempt.
type found struct {
	element Element
	assoc   transport.Assoc
	err     error
}

// resolved is the end of a handle resolution.
type resolved struct {
	elements []Element
	err      error
}

func newSearch(s *session, maxPause time.Duration) *search {
	return &search{session: s, maxPause: maxPause, level: slog.LevelWarn, pause: firstRetry, tried: make(map[PEID]protocol.TransportAddr)}
}

// next returns the next pool element that can be reached, with an association that is up. An error is
// a SearchError.
func (x *search) next(ctx context.Context) (found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x.running, x.results, x.over = nil, make(chan found), make(chan struct{})
	x.resolved, x.grace, x.stagger, x.retry = nil, nil, nil, nil
	defer close(x.over)
	if len(x.queue) == 0 {
		x.ask(ctx)
	}
	for {
		if err := x.advance(ctx); err != nil {
			return found{}, err
		}
		select {
		case f := <-x.results:
			x.running = slices.DeleteFunc(x.running, func(el Element) bool { return el.is(f.element) && el.user.Equal(f.element.user) })
			if f.err == nil {
				x.requeue()
				return f, nil
			}
			x.note(f.element, f.err)
			x.stagger = nil
		case r := <-x.resolved:
			x.take(r)
		case <-x.grace:
			x.grace = nil
			x.useKnown()
		case <-x.stagger:
			x.stagger = nil
		case <-x.retry:
			x.beginRound(ctx)
		case <-ctx.Done():
			return found{}, x.fail(context.Cause(ctx))
		}
	}
}

// advance does what may be done without waiting. It gives an error when there is nothing left to do.
func (x *search) advance(ctx context.Context) error {
	if len(x.queue) > 0 && x.stagger == nil {
		el := x.queue[0]
		x.queue = x.queue[1:]
		x.try(el)
		x.stagger, x.retry = time.After(x.session.stagger()), nil
	}
	switch {
	case len(x.running) > 0 || len(x.queue) > 0 || x.retry != nil:
	case x.resolved != nil && (x.maxPause == 0 || x.grace != nil || len(x.met) == 0):
	case x.resolved == nil && x.news:
		x.ask(ctx) // others come up, now that these are reported
	case x.maxPause == 0:
		return x.fail(nil)
	default:
		x.session.endpoint.log.Log(ctx, x.level, "session found no other pool element yet", "pool", x.session.pool, "err", x.fail(nil))
		x.retry = time.After(x.pause - rand.N(x.pause/2))
	}
	return nil
}

// beginRound begins another round. Who could not be reached may be back; only that others come first
// was worth to know.
func (x *search) beginRound(ctx context.Context) {
	x.retry, x.pause = nil, min(2*x.pause, x.maxPause)
	clear(x.tried)
	if x.resolved == nil {
		x.ask(ctx)
	} else {
		x.useKnown()
	}
}

// ask begins a handle resolution. Who has had a pool element does not wait for the answer: the one that the
// last answer would have given next may be up before it comes.
func (x *search) ask(ctx context.Context) {
	s := x.session
	answer := make(chan resolved, 1)
	x.resolved, x.news = answer, false
	if x.maxPause > 0 {
		x.grace = time.After(answerGrace)
		x.enqueue(s.endpoint.cache.living(time.Now(), s.pool))
	}
	s.endpoint.spawn(func() {
		r, err := s.endpoint.resolve(ctx, s.pool, s.wanted())
		if err != nil {
			answer <- resolved{err: err}
			return
		}
		answer <- resolved{elements: r.Elements}
	})
}

// take takes the end of a handle resolution.
func (x *search) take(r resolved) {
	x.resolved, x.grace, x.told = nil, nil, r.err
	x.enqueue(r.elements)
	if r.err != nil && x.maxPause > 0 && !errors.Is(r.err, ErrUnknownPool) {
		x.useKnown()
	}
}

// useKnown goes on without a registrar: with what is known of the pool, and what was tried before.
func (x *search) useKnown() {
	if r := x.session.endpoint.cache.known(time.Now(), x.session.pool); r != nil {
		x.enqueue(r.Elements)
	}
	x.enqueue(x.met)
}

func (x *search) enqueue(elements []Element) {
	s := x.session
	for _, el := range s.endpoint.cache.reportedLast(time.Now(), s.pool, s.preferred(elements)) {
		if el.ID != x.avoid && !x.wasTried(el) && !slices.ContainsFunc(x.queue, el.is) {
			x.queue = append(x.queue, el)
		}
	}
}

// wasTried reports whether el was tried where it is: one that has begun anew may be elsewhere.
func (x *search) wasTried(el Element) bool {
	at, tried := x.tried[el.ID]
	return tried && (len(at.Addrs) == 0 || at.Equal(el.user))
}

// requeue makes those that are being tried the next ones, since their attempts are of no use.
func (x *search) requeue() {
	for _, el := range x.running {
		delete(x.tried, el.ID)
	}
	x.queue = slices.Concat(x.running, x.queue)
}

// try begins an attempt, which ends by itself.
func (x *search) try(el Element) {
	x.tried[el.ID], x.news = el.user, true
	x.running = append(x.running, el)
	s, results, over := x.session, x.results, x.over
	s.endpoint.spawn(func() {
		assoc, err := s.dial(el)
		if err != nil && s.ctx.Err() == nil {
			s.endpoint.log.Warn("pool element not reachable", "pool", s.pool, "pe", el.ID, "err", err)
			s.publish(EventElementUnreachable, el.ID, err)
			if !errors.Is(err, transport.ErrUnsupported) { // others may reach it
				s.reportFailure(el.ID)
			}
		}
		select {
		case results <- found{el, assoc, err}:
		case <-over:
			if err == nil {
				_ = assoc.Abort()
			}
		}
	})
}

// note keeps how an attempt has failed.
func (x *search) note(el Element, err error) {
	x.tried[el.ID] = el.user
	i := slices.IndexFunc(x.attempts, func(a Attempt) bool { return a.PE == el.ID })
	if i < 0 {
		i = len(x.attempts)
		x.attempts = append(x.attempts, Attempt{PE: el.ID})
		x.met = append(x.met, el)
	}
	a := &x.attempts[i]
	a.Addrs, a.Err = el.Addrs, err
	a.Tries++
	x.met[i] = el
}

// fail returns the search's error as it is now.
func (x *search) fail(cause error) *SearchError {
	for _, el := range x.running {
		x.note(el, errNotYet)
	}
	if cause == nil && (x.told == nil || len(x.attempts) > 0) {
		cause = ErrNoPoolElement
	}
	return &SearchError{Attempts: slices.Clone(x.attempts), Resolution: x.told, Err: cause}
}

func (el Element) is(other Element) bool { return el.ID == other.ID }

// stagger is how long an attempt is the only one.
func (s *session) stagger() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rtt == 0 {
		return maxStagger
	}
	return min(max(3*s.rtt, minStagger), maxStagger)
}

// dial opens an association to one pool element.
func (s *session) dial(el Element) (transport.Assoc, error) {
	timeout := cmp.Or(s.dialer.ConnectTimeout, defaultConnectTimeout)
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	for _, n := range s.endpoint.networks.members {
		if n.Protocol() == el.user.Protocol && el.user.Use == protocol.DataAndControl {
			assoc, err := n.Dial(ctx, el.user, s.options())
			if ctx.Err() == context.DeadlineExceeded && err != nil {
				// Not the context's error: nobody's deadline has passed but ours.
				err = fmt.Errorf("no answer within %v", timeout)
			}
			return assoc, err
		}
	}
	return nil, fmt.Errorf("%v: %w", el.user, transport.ErrUnsupported)
}

// reportFailure reports a pool element. The Endpoint being closed is the only error, and
// then nobody needs the report.
func (s *session) reportFailure(id PEID) { _ = s.endpoint.ReportFailure(s.pool, id) }
