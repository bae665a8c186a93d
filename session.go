package rsp

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// sessionState is where a session stands. The story of a failover:
//
//	 PU's goroutines                       the session
//	                                       up, on PE 1
//	                                       suspects PE 1: seeks a spare association, see spare
//	 Read, Write, or the watcher if
//	 nobody reads, meets the loss ───────▶ becomeLost
//	 both wait (or get ErrFailover)        what PE 1 still sent is kept for Read
//	                                       the spare, else the first that a search reaches
//	                                       COOKIE_ECHO
//	                                       OnFailover sends again what was not answered
//	 both go on ◀───────────────────────── becomeUp, on PE 2
//
//	                     loss, Automatic                  found another
//	       ┌──────── up ────────────────▶ failingOver ─────────────────▶ up
//	Close  │          │                     ▲   │
//	       ▼          │ loss, Manual        │   │ gave up, or the handler refused
//	     ended ◀──────┤      ForceFailover  │   ▼
//	       ▲          └────────▶ lost ──────┘ ended
//	       └── loss, None or accepted
type sessionState uint8

const (
	up sessionState = iota
	lost
	failingOver
	ended
)

// session is one PU-PE session. Whoever holds reading receives from the
// association, see startReading; whoever holds writing sends on it; mu guards the rest and is never held
// across I/O.
type session struct {
	endpoint    *Endpoint
	dialer      *Dialer // nil if accepted
	pool        PoolHandle
	servedUntil <-chan struct{} // a Server's: it ends the session, calls need not watch it

	ctx    context.Context // ends at Close
	cancel context.CancelFunc

	reading   semaphore
	gathering []byte // control message that has come in part; guarded by reading
	rest      rest   // of the message that was read last; guarded by reading
	writing   semaphore
	keeper    atomic.Pointer[cookieKeeper] // nil without a CookiePlan
	requests  *requests                    // nil without Resend
	sentPPID  atomic.Uint32                // of the user's latest message

	mu      sync.Mutex
	state   sessionState
	ups     int   // how often it came up
	err     error // why it ended or was lost
	changed chan struct{}
	assoc   transport.Assoc // the latest; its deadlines are those below
	behind  bool            // assoc is lost, and what came before that has not all been received
	peer    PEID
	control asap.Control
	echoed  []byte    // accepted: the cookie that the PU has shown last
	card    []byte    // our business card, if the user sent one: a message
	prefer  []PEID    // pool elements that a business card prefers
	unread  []message // that nobody was there to read, oldest first; the last may be a part
	notes   []*Notification
	upSince time.Time // with peer
	lostAt  time.Time
	rtt     time.Duration // to the peer; 0: not known

	suspected bool   // the peer misses answers
	spare     *spare // nil: none is wanted

	watching   bool        // the one who reads is the watcher
	readers    int         // who wait for the watcher to make way
	watchArmed atomic.Bool // the watcher is about to look whether anybody reads

	readingEnded                bool              // a Server that shuts down lets nobody read
	tuned                       transport.Options // by SetSessionParameters
	readDeadline, writeDeadline time.Time
	readCall, writeCall         *call // the calls that a context may interrupt
}

// message is one that was received but not read yet.
type message struct {
	data []byte
	info MsgInfo
}

// rest is whether a message has been read to its end.
type rest uint8

const (
	noRest rest = iota
	restToCome
	restLost // with its pool element
)

// call is one RecvMsg or SendMsg under way whose context can end.
type call struct{ interrupted bool }

func newSession(e *Endpoint) *session {
	s := &session{endpoint: e, reading: newSemaphore(), writing: newSemaphore(), changed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

func newAcceptedSession(e *Endpoint, assoc transport.Assoc) *session {
	s := newSession(e)
	s.assoc = assoc
	return s
}

// notify wakes all who wait for the session to change; s.mu is held.
func (s *session) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// becomeEnded makes the session report err for ever; s.mu is held.
func (s *session) becomeEnded(err error) {
	s.state, s.err = ended, err
	s.notify()
}

// handleLoss takes the loss of assoc, which some reader or writer has met.
func (s *session) handleLoss(assoc transport.Assoc, cause error) {
	s.mu.Lock()
	met := s.state == up && s.assoc == assoc // else somebody has met it before
	if met {
		s.publishLoss(cause)
		s.becomeLost(cause)
	}
	pe := s.peer
	s.mu.Unlock()
	if met && s.failsOver() {
		s.endpoint.log.Warn("session lost its pool element", "pool", s.pool, "pe", pe, "err", cause)
	}
}

// becomeLost leaves the state up; s.mu is held.
func (s *session) becomeLost(cause error) {
	s.lostAt, s.behind = time.Now(), true
	if !s.failsOver() {
		s.becomeEnded(cause)
		return
	}
	s.note(&Notification{Type: FailoverNecessary, PE: s.peer, HasCookie: s.control.HasCookie(), Err: cause})
	s.err = cause
	if s.dialer.Failover == FailoverManual {
		s.state = lost
		s.notify()
		return
	}
	s.becomeFailingOver()
	s.endpoint.spawn(func() { _ = s.failover(s.ctx, unreachable(cause), lostDrain) }) // readers and writers are told
}

// becomeFailingOver makes readers and writers wait; s.mu is held.
func (s *session) becomeFailingOver() {
	s.state = failingOver
	s.publish(EventFailoverBegun, s.peer, s.err)
	_ = s.assoc.SetReadDeadline(pastDeadline) // a reader lets go: what is left is kept for it
	s.notify()
}

// becomeUp makes assoc, to peer, the one that is read and written.
func (s *session) becomeUp(assoc transport.Assoc, peer PEID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended {
		return s.err
	}
	s.state, s.err, s.assoc, s.peer, s.upSince = up, nil, assoc, peer, time.Now()
	s.ups++
	s.becomeResending()
	s.rtt = cmp.Or(assoc.RTT(), s.rtt)
	s.applyDeadlines()
	s.armWatch()
	s.suspected = false
	s.updateSpare()
	s.notify()
	return nil
}

// failsOver reports whether the session goes on when it loses its pool element.
func (s *session) failsOver() bool { return s.dialer != nil && s.dialer.Failover != FailoverNone }

// note queues a notification, if they are wanted; s.mu is held.
func (s *session) note(n *Notification) {
	if s.dialer.Notifications {
		s.notes = append(s.notes, n)
	}
}

// unreachable reports whether a loss means that the PE cannot be reached, rather
// than that it said good-bye.
func unreachable(cause error) bool {
	return !errors.Is(cause, io.EOF) && !errors.Is(cause, transport.ErrShutdown) // the reader's, the writer's
}

// ready waits until the session can be used and returns its association. In the states lost
// and ended it returns their errors.
func (s *session) ready(ctx context.Context, deadline *time.Time) (transport.Assoc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch s.state {
		case up:
			return s.assoc, nil
		case lost:
			return nil, ErrFailover
		case ended:
			return nil, s.err
		}
		if err := s.wait(ctx, *deadline, nil); err != nil {
			return nil, err
		}
	}
}

// wait waits until the session changes, or for also; s.mu is held, and released meanwhile.
func (s *session) wait(ctx context.Context, deadline time.Time, also <-chan struct{}) error {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	var expired <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-changed:
		return nil
	case <-also:
		return nil
	case <-expired:
		return os.ErrDeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send sends one message on the association that the session has by then.
func (s *session) send(ctx context.Context, b []byte, info transport.SendInfo) error {
	for {
		assoc, err := s.ready(ctx, &s.writeDeadline)
		if err != nil {
			return err
		}
		err = assoc.Send(b, info)
		switch {
		case isLoss(err):
			s.handleLoss(assoc, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if s.isUp(assoc) {
				return err
			}
		default: // sent, or a message that the transport does not take
			return err
		}
	}
}

// begin makes the end of ctx interrupt a call that is one of *slot. done must be called
// when the call returns.
func (s *session) begin(ctx context.Context, slot **call) (done func()) {
	if ctx.Done() == nil || ctx.Done() == s.servedUntil {
		return func() {}
	}
	c := &call{}
	s.mu.Lock()
	*slot = c
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if *slot == c {
			c.interrupted = true
			s.applyDeadlines()
		}
	})
	return func() {
		stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		*slot = nil
		if c.interrupted {
			s.applyDeadlines()
		}
	}
}

// applyDeadlines gives the association the deadlines of the session, which have passed for
// a call that was interrupted; s.mu is held. An association that has ended takes none and needs none.
func (s *session) applyDeadlines() {
	if !s.readsFrom(s.assoc) {
		return
	}
	read, write := s.readDeadline, s.writeDeadline
	if s.watching {
		read = time.Time{}
	}
	if s.watching && s.readers > 0 || s.readingEnded || s.readCall != nil && s.readCall.interrupted {
		read = pastDeadline
	}
	if s.writeCall != nil && s.writeCall.interrupted {
		write = pastDeadline
	}
	if s.requests.isResending() {
		write = time.Time{} // it is no call of the user's
	}
	_ = s.assoc.SetReadDeadline(read)
	_ = s.assoc.SetWriteDeadline(write)
}

func (s *session) setDeadlines(set func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended && errors.Is(s.err, net.ErrClosed) {
		return s.err
	}
	set()
	s.applyDeadlines()
	s.notify()
	return nil
}

func (s *session) isUp(assoc transport.Assoc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == up && s.assoc == assoc
}

func (s *session) peerPE() PEID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

func (s *session) addr(of func(transport.Assoc) protocol.TransportAddr, pool PoolHandle, pe PEID) PoolAddr {
	s.mu.Lock()
	assoc := s.assoc
	s.mu.Unlock()
	if assoc == nil {
		return PoolAddr{Pool: pool, PE: pe}
	}
	return poolAddr(pool, pe, of(assoc))
}

func (s *session) close() error { return s.end(transport.Assoc.Close) }

func (s *session) abort() error { return s.end(transport.Assoc.Abort) }

func (s *session) end(endAssoc func(transport.Assoc) error) error {
	s.mu.Lock()
	s.becomeEnded(net.ErrClosed)
	assoc := s.assoc
	s.unread, s.notes, s.behind = nil, nil, false
	s.mu.Unlock()
	s.cancel()
	if assoc == nil {
		return nil
	}
	if err := endAssoc(assoc); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
