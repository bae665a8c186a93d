package rsp_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// RFC 3237 section 2.1 wants failures to be detected: a session that nobody reads or writes notices the loss of
// its pool element, too, and is with the next one when it is needed.
func TestIdleSessionFailsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "c" })
		session := s.connect(rsp.Dialer{})
		if err := session.SendMsg(t.Context(), []byte("one"), rsp.MsgInfo{PPID: 7}); err != nil {
			t.Fatal(err)
		}
		b := s.pe("b", 2, nil)
		time.Sleep(time.Second)
		a.host.Kill()
		time.Sleep(10 * time.Second)
		if session.PeerPE() != 2 {
			t.Fatalf("PeerPE = %v, want the other one", session.PeerPE())
		}
		if got := <-b.got; got != "cookie c" {
			t.Errorf("B got %q first", got)
		}
		wantMsg(t, session, "one", 1) // what came meanwhile is not lost
		exchange(t, session, "two", 2)
	})
}

// What comes while nobody reads is kept, whole, in order, and within bounds; then the pool element has to wait.
func TestUnreadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pe", s.host(), rsp.Config{})
		listener, err := e.Listen(ctx(), "EchoPool", rsp.PE{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		const messages, size = 100, 50_000 // far more than the buffers on the way
		sent := make(chan int, messages)
		go func() {
			session, err := listener.AcceptSocket(ctx())
			if err != nil {
				return
			}
			for i := range messages {
				if session.SendMsg(context.Background(), fmt.Appendf(make([]byte, 0, size), "%0*d", size, i), rsp.MsgInfo{}) != nil {
					return
				}
				sent <- i
			}
		}()
		session := s.connect(rsp.Dialer{})
		time.Sleep(time.Minute)
		if n := len(sent); n == 0 || n > messages/2 {
			t.Errorf("%d messages of %d were sent to one who does not read", n, messages)
		}
		for i := range messages {
			if i%10 == 5 {
				time.Sleep(time.Second) // the session is watched again
			}
			wantMsg(t, session, fmt.Sprintf("%0*d", size, i), 1)
		}
	})
}

// Deadlines and contexts bound a reader who comes to a session that is watched.
func TestReaderOfIdleSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		for range 3 {
			time.Sleep(time.Second)
			session.SetReadDeadline(time.Now().Add(time.Minute))
			start := time.Now()
			if _, err := session.Read(make([]byte, 10)); err == nil || time.Since(start) != time.Minute {
				t.Fatalf("Read: %v after %v", err, time.Since(start))
			}
			session.SetReadDeadline(time.Time{})
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, _, err := session.RecvMsg(ctx, make([]byte, 10)); err == nil || ctx.Err() == nil {
				t.Fatalf("RecvMsg: %v", err)
			}
			cancel()
			time.Sleep(time.Second)
			exchange(t, session, "still here", 1)
		}
	})
}
