package rsp

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// FailoverEvent is a failover of a session, as OnFailover sees it: the association to the new
// pool element is up, and nothing but the cookie has been sent on it. It is valid until the handler returns.
type FailoverEvent struct {
	Pool      PoolHandle
	Lost      PEID      // the pool element that was lost
	Cause     error     // how
	LostAt    time.Time // when it was noticed
	PE        PEID      // the new one
	HasCookie bool      // it has been shown Cookie
	Cookie    []byte    // the latest of the lost pool element
	Unread    int       // messages of the lost pool element that are still to be read
	// Unanswered is how many requests Resend sends to the new one after the handler. 0 without Resend: what
	// SendMsg or Write has sent may have been delivered or not, only the protocol's answers tell.
	Unanswered int

	assoc transport.Assoc
	err   error // the new one's loss, if the handler met it
}

// SendMsg sends b as one message to the new pool element, before everything else that the
// session sends.
func (f *FailoverEvent) SendMsg(b []byte, info MsgInfo) error {
	if err := checkMessage(b, info); err != nil {
		return err
	}
	err := f.assoc.Send(b, info.sendInfo())
	if isLoss(err) {
		f.err = err
	}
	return err
}

// Write is SendMsg with PPID 0.
func (f *FailoverEvent) Write(b []byte) (int, error) {
	if err := f.SendMsg(b, MsgInfo{}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// PeerCertificate is the certificate by which the new pool element has proven who it is; nil without TLS. A handler that
// does not trust it ends the session by an error.
func (f *FailoverEvent) PeerCertificate() *x509.Certificate {
	return transport.PeerCertificate(f.assoc)
}

const (
	// maxRetry bounds the pause of a session that has no pool element between two rounds of its search.
	maxRetry = time.Second
	// lostDrain and forcedDrain bound the reading of what a pool element has sent before it was
	// left: one that is lost sends nothing more, so that the end comes at once; one that lives may go on.
	lostDrain   = time.Second
	forcedDrain = time.Millisecond
)

// connect makes a fresh Socket a session with a pool.
func (s *Socket) connect(ctx context.Context, pool PoolHandle, d *Dialer, prefer []PEID) error {
	if err := pool.Validate(); err != nil {
		return &OpError{Op: "connect", Pool: pool, Err: err}
	}
	requests, err := newRequests(d)
	if err != nil {
		return &OpError{Op: "connect", Pool: pool, Err: err}
	}
	session := newSession(s.endpoint)
	session.dialer, session.pool, session.state, session.prefer, session.requests = d, pool, failingOver, prefer, requests
	component := s.endpoint.userOf(d)
	s.mu.Lock()
	s.session, s.component = session, component
	s.mu.Unlock()
	component.join(s, false)
	if err := s.endpoint.add(s); err != nil {
		return &OpError{Op: "connect", Pool: pool, Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(session.ctx, cancel)()

	f, err := newSearch(session, 0).next(ctx)
	if err == nil {
		_ = session.sendCard(f.assoc) // if it is lost, the session's user meets that
		if err = session.becomeUp(f.assoc, f.element.ID); err != nil {
			f.assoc.Abort()
		}
	}
	if err != nil {
		return &OpError{Op: "connect", Pool: pool, Err: err}
	}
	return nil
}

// isLoss reports whether an error of Send means that the association has ended.
func isLoss(err error) bool {
	for _, end := range []error{transport.ErrAborted, transport.ErrLost, transport.ErrShutdown, net.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// failover moves the session to another pool element: state is failingOver, and only this
// goroutine ends that, but for Close. report tells the registrar that the old one cannot be reached.
func (s *session) failover(ctx context.Context, report bool, drain time.Duration) error {
	timeout := cmp.Or(s.dialer.FailoverTimeout, defaultFailoverTimeout)
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("FailoverTimeout of %v has passed", timeout))
		defer cancel()
	}
	old := s.leave(drain)
	if report {
		s.reportFailure(old)
	} else {
		s.endpoint.cache.setAside(s.pool, old)
	}
	x := newSearch(s, maxRetry)
	x.tried[old] = protocol.TransportAddr{}
	for f, ready := s.takeSpare(); ; ready = false {
		if !ready {
			var err error
			if f, err = x.next(ctx); err != nil {
				return s.giveUp(err)
			}
		}
		err := s.moveOn(ctx, old, f)
		if err == nil {
			return nil
		}
		if errors.As(err, new(*handlerError)) {
			return s.giveUp(err)
		}
		x.note(f.element, err)
	}
}

// leave ends the association to the old pool element. What it still sent is kept: data to be
// read, and its cookie.
func (s *session) leave(drain time.Duration) PEID {
	_ = s.startReading(context.Background()) // a reader lets go when it meets the loss, or has got a message
	defer s.reading.release()
	s.mu.Lock()
	assoc, peer := s.assoc, s.peer
	s.mu.Unlock()
	_ = assoc.SetReadDeadline(time.Now().Add(drain))
	buf := make([]byte, writeSize)
	for {
		n, info, err := assoc.Recv(buf)
		switch {
		case err != nil: // the loss itself, or drain has passed
			s.endUnread()
			_ = assoc.Abort()
			return peer
		case info.Notice == transport.NoticeNone:
			s.keep(buf[:n], info)
		}
	}
}

// readsFrom reports whether readers receive from assoc: also from one whose loss a writer
// has met, until they have met it too; s.mu is held.
func (s *session) readsFrom(assoc transport.Assoc) bool {
	return s.assoc == assoc && (s.state == up || s.behind && s.state != failingOver)
}

func (s *session) mayRecv(assoc transport.Assoc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readsFrom(assoc)
}

// handleEnd takes the loss of assoc as a reader has met it, with all that came before received.
func (s *session) handleEnd(assoc transport.Assoc, cause error) {
	s.handleLoss(assoc, cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.behind && s.readsFrom(assoc) {
		s.behind, s.err = false, cause // a writer's error says less: not whether it was a good-bye
	}
}

// moveOn goes on with another pool element, to which there is an association.
func (s *session) moveOn(ctx context.Context, old PEID, to found) (err error) {
	assoc, pe := to.assoc, to.element.ID
	stop := context.AfterFunc(ctx, func() { _ = assoc.SetWriteDeadline(pastDeadline) })
	s.mu.Lock()
	echo, hasCookie := s.control.AppendCookieEcho(nil)
	f := &FailoverEvent{
		Pool: s.pool, Lost: old, Cause: s.err, LostAt: s.lostAt, PE: pe,
		HasCookie: hasCookie, Cookie: s.control.Cookie(), Unread: len(s.unread), Unanswered: s.requests.unanswered(), assoc: assoc,
	}
	s.mu.Unlock()
	if hasCookie {
		// RFC 5352 section 3.8: the first message on the control channel.
		err = assoc.Send(echo, transport.SendInfo{PPID: protocol.PPIDASAP})
	}
	if err == nil {
		err = s.sendCard(assoc)
	}
	if err == nil {
		err = s.callHandler(ctx, f)
	}
	stop() // the deadline must not become that of the session's user
	if err == nil {
		err = ctx.Err() // a handler that waits for its end may return before stop tells of it
	}
	if err == nil {
		err = s.completeFailover(f)
	}
	if err != nil {
		_ = assoc.Abort()
		if ctx.Err() == nil && !errors.As(err, new(*handlerError)) {
			s.reportFailure(pe)
		}
	}
	return err
}

// handlerError is the OnFailover handler's refusal to go on.
type handlerError struct{ err error }

func (e *handlerError) Error() string { return "failover handler: " + e.err.Error() }
func (e *handlerError) Unwrap() error { return e.err }

func (s *session) callHandler(ctx context.Context, f *FailoverEvent) error {
	if s.dialer.OnFailover == nil {
		return nil
	}
	err := s.dialer.OnFailover(ctx, f)
	switch {
	case err == nil:
		return nil
	case f.err != nil:
		return f.err
	}
	return &handlerError{err}
}

// completeFailover lets the session's readers and writers go on.
func (s *session) completeFailover(f *FailoverEvent) error {
	s.mu.Lock()
	s.note(&Notification{Type: FailoverComplete, PE: f.PE, HasCookie: f.HasCookie})
	s.mu.Unlock()
	if err := s.becomeUp(f.assoc, f.PE); err != nil {
		return err
	}
	s.publish(EventFailoverComplete, f.PE, nil)
	if f.Unanswered > 0 {
		s.endpoint.spawn(func() { s.resend(f.assoc) })
	}
	s.endpoint.log.Info("session failed over", "pool", s.pool, "from", f.Lost, "to", f.PE,
		"cookie", f.HasCookie, "resent", f.Unanswered, "after", time.Since(f.LostAt))
	return nil
}

// giveUp ends a failover without success.
func (s *session) giveUp(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != failingOver {
		return s.err
	}
	err = fmt.Errorf("failover: %w", err)
	s.publish(EventFailoverFailed, 0, err)
	if s.dialer.Failover == FailoverManual && !errors.As(err, new(*handlerError)) {
		s.state, s.err = lost, err
		s.notify()
	} else {
		s.becomeEnded(err)
	}
	return err
}

// ForceFailover moves a session to another pool element (rsp_forcefailover): one that has
// lost its own (FailoverManual), or one that is not content with it. It waits until that is
// done, FailoverTimeout has passed, or ctx ends. unreachable tells the registrar that the old one cannot be
// reached (FFF_UNREACHABLE).
func (s *Socket) ForceFailover(ctx context.Context, unreachable bool) error {
	session, err := s.activeSession("failover")
	if err != nil {
		return err
	}
	if !session.failsOver() {
		return session.opError("failover", ErrNoRole)
	}
	if err := session.force(ctx, unreachable); err != nil {
		return session.opError("failover", err)
	}
	return nil
}

var errForced = errors.New("failover forced by the user")

func (s *session) force(ctx context.Context, report bool) error {
	s.mu.Lock()
	before := s.ups
	if s.state == up || s.state == lost {
		drain := lostDrain
		if s.state == up {
			s.err, s.lostAt, drain = errForced, time.Now(), forcedDrain
		}
		s.becomeFailingOver()
		failoverCtx, cancel := context.WithCancel(s.ctx)
		if s.dialer.Failover == FailoverManual {
			context.AfterFunc(ctx, cancel)
		}
		s.mu.Unlock()
		s.endpoint.spawn(func() {
			defer cancel()
			_ = s.failover(failoverCtx, report, drain) // ready tells its end
		})
		s.mu.Lock()
	}
	s.mu.Unlock()
	_, err := s.ready(ctx, &time.Time{})
	if errors.Is(err, ErrFailover) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ups != before {
			return nil // the new one is lost already, which the next call tells
		}
		err = s.err
	}
	return err
}
