package rsp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// MaxCookie is the longest cookie in bytes. RSPLIB's programs take some less: their buffers have 64 KiB in all.
const MaxCookie = 32 << 10

// ErrCookieSize: a cookie has 1 to MaxCookie bytes.
var ErrCookieSize = fmt.Errorf("a cookie has 1 to %d bytes", MaxCookie)

func checkCookie(cookie []byte) error {
	if len(cookie) == 0 || len(cookie) > MaxCookie {
		return fmt.Errorf("%w, not %d", ErrCookieSize, len(cookie))
	}
	return nil
}

// CookiePlan says when a session gives its PU a new state cookie: by count of messages, by
// time, or by whichever comes first. With neither, only FlushCookie and the end of a
// Server's session do.
//
// A cookie goes out right before the message that makes it due. So with Messages 1 the PU never has an
// answer without the state in which it was given; with more, another PE may have to repeat up to
// Messages answers.
type CookiePlan struct {
	// State appends the state of the session to b, which is empty, and returns the result; if that is
	// empty, there is no cookie. Before a message is sent the state should count that as sent. State is called
	// by the goroutine that sends and, for Interval and at the end of a Server's session, by others: the
	// session's state needs a lock if they may be busy at the same time. It must not send on the session.
	State func(b []byte) []byte
	// Messages: every so many-th message, or Write, has a cookie before it. 0: none has.
	Messages int
	// Interval: a cookie goes out at the latest so long after a message that had none before it. 0:
	// it may stay without.
	Interval time.Duration
	// Sealer, if set, seals the cookies. What the PU shows the next PE is for that one's CookieSealer to
	// open.
	Sealer *CookieSealer
}

// KeepCookie makes the session of a PE send cookies by a plan, which replaces the one before, from the
// next message on. A cookie that is too long makes SendMsg and Write fail with ErrCookieSize, and their message is
// not sent.
func (s *Socket) KeepCookie(plan CookiePlan) error {
	session, err := s.activeSession("keep cookie")
	if err != nil {
		return err
	}
	switch {
	case session.dialer != nil:
		err = ErrNoRole
	case plan.State == nil:
		err = errors.New("a plan needs a State")
	case plan.Messages < 0 || plan.Interval < 0:
		err = fmt.Errorf("every %d messages or %v: must not be negative", plan.Messages, plan.Interval)
	}
	if err != nil {
		return session.opError("keep cookie", err)
	}
	session.keeper.Store(&cookieKeeper{session: session, plan: plan})
	return nil
}

// FlushCookie sends a cookie by the plan of KeepCookie at once, due or not. Without a plan, it
// does nothing.
func (s *Socket) FlushCookie(ctx context.Context) error {
	session, err := s.activeSession("flush cookie")
	if err != nil {
		return err
	}
	k := session.keeper.Load()
	if k == nil {
		return nil
	}
	return session.sendAll(ctx, "flush cookie", nil, func([]byte) error { return k.send(ctx) })
}

// SendCookie gives the session's PU a cookie, which replaces the one before: the state from
// which another pool element can go on (rsp_send_cookie, RFC 5352 section 3.8). The PU shows it
// unchanged, but who runs a PU can change it: see CookieSealer. KeepCookie sends cookies by itself.
func (s *Socket) SendCookie(ctx context.Context, cookie []byte) error {
	session, err := s.activeSession("send cookie")
	if err != nil {
		return err
	}
	if err := checkCookie(cookie); err != nil {
		return session.opError("send cookie", err)
	}
	return session.sendAll(ctx, "send cookie", cookie, func(cookie []byte) error {
		return session.send(ctx, asap.AppendCookie(nil, cookie), transport.SendInfo{PPID: protocol.PPIDASAP})
	})
}

// cookieKeeper carries out a CookiePlan. Whoever holds the session's writing has it.
type cookieKeeper struct {
	session *session
	plan    CookiePlan

	uncovered                int         // messages since the last cookie
	timer                    *time.Timer // nil before its first use
	timing                   bool
	state, sealed, asMessage []byte // kept for the next cookie
}

// beforeMessage sends the cookie that a message makes due; the caller holds writing.
func (s *session) beforeMessage(ctx context.Context) error {
	if k := s.keeper.Load(); k != nil {
		return k.beforeMessage(ctx)
	}
	return nil
}

func (k *cookieKeeper) beforeMessage(ctx context.Context) error {
	k.uncovered++
	if k.plan.Messages > 0 && k.uncovered >= k.plan.Messages {
		return k.send(ctx)
	}
	if k.plan.Interval > 0 && !k.timing {
		k.timing = true
		if k.timer == nil {
			k.timer = time.AfterFunc(k.plan.Interval, func() { k.session.endpoint.spawn(k.sendLate) })
		} else {
			k.timer.Reset(k.plan.Interval)
		}
	}
	return nil
}

// send sends a cookie of the state as it is.
func (k *cookieKeeper) send(ctx context.Context) error {
	k.state = k.plan.State(k.state[:0])
	if len(k.state) == 0 {
		return nil
	}
	cookie := k.state
	if k.plan.Sealer != nil {
		k.sealed = k.plan.Sealer.Seal(k.sealed[:0], k.state)
		cookie = k.sealed
	}
	if err := checkCookie(cookie); err != nil {
		return err
	}
	k.asMessage = asap.AppendCookie(k.asMessage[:0], cookie)
	if err := k.session.send(ctx, k.asMessage, transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
		return err
	}
	k.uncovered = 0
	k.stopTiming()
	return nil
}

// sendLate sends the cookie that Interval asks for, unless another has been sent meanwhile.
func (k *cookieKeeper) sendLate() {
	s := k.session
	if s.writing.acquire(s.ctx) != nil {
		return
	}
	defer s.writing.release()
	if !k.timing || s.keeper.Load() != k || s.ctx.Err() != nil {
		return
	}
	k.timing = false
	if err := k.send(s.ctx); errors.Is(err, ErrCookieSize) { // all else is the session's end
		s.endpoint.log.Warn("cookie not sent", "err", err)
	}
}

func (k *cookieKeeper) stopTiming() {
	if k.timing {
		k.timer.Stop()
		k.timing = false
	}
}
