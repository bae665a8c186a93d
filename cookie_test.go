package rsp_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// cookieScope is a session whose PE is in the test's hands: accepted is its end of it.
func cookieScope(t *testing.T) (s *scope, accepted, session *rsp.Socket) {
	t.Helper()
	s = newScope(t)
	listener, err := s.endpoint("a", s.host(), rsp.Config{}).Listen(ctx(), "EchoPool", rsp.PE{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	session = s.connect(rsp.Dialer{})
	if accepted, err = listener.AcceptSocket(ctx()); err != nil {
		t.Fatal(err)
	}
	return s, accepted, session
}

// shown is the cookie that the next PE is shown when that of a session is lost now.
func shown(t *testing.T, s *scope, accepted, session *rsp.Socket) string {
	t.Helper()
	b := s.pe("b", 2, nil)
	accepted.Abort()
	time.Sleep(10 * latency)
	exchange(t, session, "go on", 2)
	return <-b.got
}

// A cookie by count goes before the message that makes it due, so that no answer is seen
// without it.
func TestKeepCookieByCount(t *testing.T) {
	for _, messages := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s, accepted, session := cookieScope(t)
			sent := 0
			plan := rsp.CookiePlan{State: func(b []byte) []byte { return fmt.Append(b, "sent ", sent) }, Messages: messages}
			if err := accepted.KeepCookie(plan); err != nil {
				t.Fatal(err)
			}
			for i := range 7 {
				sent = i + 1
				text := fmt.Sprint("message ", sent)
				if _, err := accepted.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
				wantMsg(t, session, text, 1)
				if has := session.HasCookie(); has != (sent >= messages) {
					t.Errorf("every %d: cookie %v after message %d was read", messages, has, sent)
				}
			}
			want := fmt.Sprint("cookie sent ", 7/messages*messages)
			if got := shown(t, s, accepted, session); got != want {
				t.Errorf("every %d: the next PE is shown %q, want %q", messages, got, want)
			}
		})
	}
}

// RSPLIB's fractal generator: a cookie "when >= cookie max packets (10) DATA or >= cookie max
// time (1000 ms) since last"; here the time counts from the first message without one, also when
// nothing more is sent.
func TestKeepCookieByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, accepted, session := cookieScope(t)
		var calls atomic.Int32
		plan := rsp.CookiePlan{
			State:    func(b []byte) []byte { return fmt.Append(b, "call ", calls.Add(1)) },
			Messages: 10, Interval: time.Second,
		}
		if err := accepted.KeepCookie(plan); err != nil {
			t.Fatal(err)
		}
		wantCalls := func(what string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := calls.Load(); got != want {
				t.Errorf("%s: %d cookies, want %d", what, got, want)
			}
		}
		send := func(n int) {
			for range n {
				if err := accepted.SendMsg(ctx(), []byte("x"), rsp.MsgInfo{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Hour)
		wantCalls("nothing sent", 0)
		send(1)
		time.Sleep(time.Second - 1)
		send(1)
		wantCalls("before the interval", 0)
		time.Sleep(time.Nanosecond)
		wantCalls("an interval after the first message", 1)
		time.Sleep(time.Hour)
		wantCalls("nothing sent since", 1)
		send(5)
		time.Sleep(time.Second / 2)
		send(5)
		wantCalls("ten messages", 2)
		time.Sleep(time.Hour)
		wantCalls("the count came before the time", 2)
		send(1)
		accepted.Close()
		time.Sleep(time.Hour)
		wantCalls("the session has ended", 2)
		session.Close()
	})
}

// FlushCookie sends at once; a cookie that is too long is an error that says so, and its message
// is not sent.
func TestFlushCookieAndSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, accepted, session := cookieScope(t)
		if err := accepted.FlushCookie(ctx()); err != nil {
			t.Errorf("without a plan: %v", err)
		}
		state := strings.Repeat("s", rsp.MaxCookie)
		if err := accepted.KeepCookie(rsp.CookiePlan{State: func(b []byte) []byte { return append(b, state...) }, Messages: 1}); err != nil {
			t.Fatal(err)
		}
		if err := accepted.FlushCookie(ctx()); err != nil {
			t.Fatal(err)
		}
		state += "s"
		for name, err := range map[string]error{
			"FlushCookie": accepted.FlushCookie(ctx()),
			"SendMsg":     accepted.SendMsg(ctx(), []byte("x"), rsp.MsgInfo{}),
			"Write":       second(accepted.Write([]byte("x"))),
			"SendCookie":  accepted.SendCookie(ctx(), []byte(state)),
		} {
			if !errors.Is(err, rsp.ErrCookieSize) || !strings.Contains(err.Error(), "1 to 32768 bytes, not 32769") {
				t.Errorf("%s: %v", name, err)
			}
		}
		state = ""
		if err := accepted.SendMsg(ctx(), []byte("no state"), rsp.MsgInfo{}); err != nil {
			t.Fatal(err)
		}
		wantMsg(t, session, "no state", 1)
		if got, want := shown(t, s, accepted, session), "cookie "+strings.Repeat("s", rsp.MaxCookie); got != want {
			t.Errorf("the next PE is shown %d bytes", len(got))
		}
	})
}

// A sealed cookie is opened by another PE of the pool.
func TestKeepCookieSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, accepted, session := cookieScope(t)
		plan := rsp.CookiePlan{
			State: func(b []byte) []byte { return append(b, "secret"...) }, Messages: 1,
			Sealer: newSealer(t, "EchoPool", cookieKey(1)),
		}
		if err := accepted.KeepCookie(plan); err != nil {
			t.Fatal(err)
		}
		if _, err := accepted.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		wantMsg(t, session, "x", 1)
		cookie, ok := strings.CutPrefix(shown(t, s, accepted, session), "cookie ")
		state, err := newSealer(t, "EchoPool", cookieKey(1)).Open(nil, []byte(cookie))
		if !ok || err != nil || string(state) != "secret" {
			t.Errorf("the next PE opens %q: %q, %v", cookie, state, err)
		}
	})
}

func TestKeepCookieErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, accepted, session := cookieScope(t)
		state := func(b []byte) []byte { return b }
		if err := session.KeepCookie(rsp.CookiePlan{State: state}); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("a PU's session: %v", err)
		}
		for name, plan := range map[string]rsp.CookiePlan{
			"no state": {Messages: 1}, "messages": {State: state, Messages: -1}, "interval": {State: state, Interval: -1},
		} {
			if accepted.KeepCookie(plan) == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}
