package rsp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// RFC 5352 section 3.8: "If the PU's ASAP Endpoint detects a failure and initiates a
// failover to a different PE, it SHOULD send the latest received cookie parameter in an
// ASAP_COOKIE_ECHO message to the new PE as the first message on the control channel."
func TestFailoverShowsLatestCookieFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "state of A" })
		session := s.connect(rsp.Dialer{})
		exchange(t, session, "one", 1)
		synctest.Wait()
		if session.HasCookie() {
			t.Fatal("the cookie was stored before it was read")
		}
		exchange(t, session, "more", 1) // reads the cookie first
		b := s.pe("b", 2, nil)
		a.die()
		exchange(t, session, "two", 2)
		if !session.HasCookie() {
			t.Error("the session has lost its cookie")
		}
		for _, want := range []string{"cookie state of A", "two"} {
			if got := <-b.got; got != want {
				t.Errorf("B got %q, want %q", got, want)
			}
		}
		if session.PeerPE() != 2 {
			t.Errorf("PeerPE = %v, want B", session.PeerPE())
		}
	})
}

// spec: without a stored cookie, no COOKIE_ECHO is sent.
func TestFailoverWithoutCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		b := s.pe("b", 2, nil)
		a.die()
		exchange(t, session, "hello", 2)
		if got := <-b.got; got != "hello" {
			t.Errorf("B got %q first", got)
		}
	})
}

// The failover handler is called with the cookie's state known, between the new
// association and the first new data.
func TestOnFailoverSendsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "c" })
		var event rsp.FailoverEvent
		session := s.connect(rsp.Dialer{OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			event = *f
			_, err := io.WriteString(f, "again")
			return err
		}})
		exchange(t, session, "one", 1)
		exchange(t, session, "more", 1) // reads the cookie first
		b := s.pe("b", 2, nil)
		a.die()
		if err := session.SendMsg(t.Context(), []byte("new"), rsp.MsgInfo{}); err != nil {
			t.Fatal(err)
		}
		wantMsg(t, session, "again", 2)
		wantMsg(t, session, "new", 2)
		for _, want := range []string{"cookie c", "again", "new"} {
			if got := <-b.got; got != want {
				t.Errorf("B got %q, want %q", got, want)
			}
		}
		if event.Pool != "EchoPool" || event.Lost != 1 || event.PE != 2 || !event.HasCookie || string(event.Cookie) != "c" ||
			!errors.Is(event.Cause, rsp.ErrAborted) || event.LostAt.IsZero() {
			t.Errorf("the handler saw %+v", event)
		}
	})
}

// A handler that refuses ends the session with its error.
func TestOnFailoverRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		refusal := errors.New("not with me")
		session := s.connect(rsp.Dialer{OnFailover: func(context.Context, *rsp.FailoverEvent) error { return refusal }})
		s.pe("b", 2, nil)
		a.Abort()
		if _, err := session.Read(make([]byte, 10)); !errors.Is(err, refusal) {
			t.Errorf("Read: %v, want the handler's error", err)
		}
		if _, err := session.Write([]byte("x")); !errors.Is(err, refusal) {
			t.Errorf("Write: %v, want the handler's error", err)
		}
	})
}

// A new pool element that is lost while the handler uses it is passed over.
func TestOnFailoverToDyingPE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		calls := 0
		var b *testPE
		session := s.connect(rsp.Dialer{OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			if calls++; f.PE == 2 {
				b.die()
			}
			_, err := f.Write([]byte("again"))
			return err
		}})
		b = s.pe("b", 2, nil)
		a.Abort()
		time.Sleep(10 * latency)
		synctest.Wait()
		s.pe("c", 3, nil)
		wantMsg(t, session, "again", 3)
		if calls != 2 {
			t.Errorf("handler called %d times, want 2", calls)
		}
	})
}

// RSPLIB: a Manual session reports that a failover is necessary, after all pending data was
// read, and that it is complete before the new data.
func TestFailoverManual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "c" })
		session := s.connect(rsp.Dialer{Failover: rsp.FailoverManual, Notifications: true})
		if err := session.SendMsg(t.Context(), []byte("one"), rsp.MsgInfo{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * latency) // the answer and the cookie are there, unread
		s.pe("b", 2, nil)
		a.host.Kill()
		wantMsg(t, session, "one", 1)
		wantNotification(t, session, "failover necessary: PE 0x00000001, cookie: association lost: peer does not answer")
		for range 2 {
			if _, err := session.Read(make([]byte, 10)); !errors.Is(err, rsp.ErrFailover) {
				t.Errorf("Read: %v, want ErrFailover", err)
			}
			if _, err := session.Write([]byte("x")); !errors.Is(err, rsp.ErrFailover) {
				t.Errorf("Write: %v, want ErrFailover", err)
			}
		}
		if err := session.ForceFailover(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		wantNotification(t, session, "failover complete: PE 0x00000002, cookie")
		exchange(t, session, "two", 2)
		time.Sleep(10 * latency)
		if n := s.reg.Stats().FailureReports; n != 1 {
			t.Errorf("%d failure reports, want 1 (FFF_UNREACHABLE)", n)
		}
	})
}

// What a pool element sent before it was lost is read before what the next one sends, also
// when a writer meets the loss.
func TestFailoverKeepsUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "c" })
		unread := -1
		session := s.connect(rsp.Dialer{OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			unread = f.Unread
			return nil
		}})
		for _, text := range []string{"one", "two"} {
			if err := session.SendMsg(t.Context(), []byte(text), rsp.MsgInfo{PPID: 7}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * latency)
		b := s.pe("b", 2, nil)
		a.Close() // gracefully: what it sent is there
		time.Sleep(10 * latency)
		if err := session.SendMsg(t.Context(), []byte("three"), rsp.MsgInfo{}); err != nil {
			t.Fatal(err)
		}
		if unread != 2 {
			t.Errorf("handler saw %d unread messages, want 2", unread)
		}
		wantMsg(t, session, "one", 1)
		wantMsg(t, session, "two", 1)
		wantMsg(t, session, "three", 2)
		if got := <-b.got; got != "cookie c" {
			t.Errorf("B got %q first, want the cookie that was not read yet", got)
		}
	})
}

// The cookie that a pool element has given just before it dies is shown to the next one,
// though nobody has read it yet.
func TestFailoverShowsUnreadCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "last words" })
		session := s.connect(rsp.Dialer{})
		exchange(t, session, "one", 1)
		b := s.pe("b", 2, nil)
		a.die()
		exchange(t, session, "two", 2)
		if got := <-b.got; got != "cookie last words" {
			t.Errorf("B got %q first", got)
		}
	})
}

// FailoverNone: the session ends with its pool element, as a net.Conn does.
func TestFailoverNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		graceful := s.connect(rsp.Dialer{Failover: rsp.FailoverNone})
		exchange(t, graceful, "x", 1)
		a.Close()
		if n, err := graceful.Read(make([]byte, 10)); n != 0 || err != io.EOF {
			t.Errorf("Read = %d, %v, want io.EOF", n, err)
		}
		b := s.pe("b", 2, nil)
		abrupt := s.connect(rsp.Dialer{Failover: rsp.FailoverNone})
		b.Abort()
		if _, err := abrupt.Read(make([]byte, 10)); !errors.Is(err, rsp.ErrAborted) {
			t.Errorf("Read: %v, want ErrAborted", err)
		}
		if err := abrupt.ForceFailover(t.Context(), false); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("ForceFailover: %v, want ErrNoRole", err)
		}
	})
}

// RFC 5352 section 3.5: a PE that does not answer is reported to the registrar. RSPLIB's
// session takes 32 s to notice a silent one.
func TestSilentPEIsNoticedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			_, err := f.Write([]byte("two"))
			return err
		}})
		exchange(t, session, "one", 1)
		s.pe("b", 2, nil)
		a.host.Kill()
		start := time.Now()
		wantMsg(t, session, "two", 2)
		if took := time.Since(start); took > 7*time.Second {
			t.Errorf("going on took %v of network time", took)
		}
		time.Sleep(10 * latency)
		if n := s.reg.Stats().FailureReports; n == 0 {
			t.Error("the silent PE was not reported")
		}
	})
}

// ForceFailover also leaves a pool element that works.
func TestForceFailoverFromLivingPE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		exchange(t, session, "one", 1)
		s.pe("b", 2, nil)
		read := make(chan string, 1)
		go func() {
			buf := make([]byte, 10)
			n, _ := session.Read(buf) // waits through the failover
			read <- string(buf[:n])
		}()
		synctest.Wait()
		if err := session.ForceFailover(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if session.PeerPE() != 2 {
			t.Errorf("PeerPE = %v, want the other one", session.PeerPE())
		}
		if _, err := session.Write([]byte("two")); err != nil {
			t.Fatal(err)
		}
		if got := <-read; got != "two" {
			t.Errorf("the reader got %q", got)
		}
	})
}

// ForceFailover has done what it was asked for also if the new pool element is lost at once: the session needs
// another failover then, which its user is told as ever.
func TestForceFailoverToDyingPE(t *testing.T) {
	for range 20 { // who sees the loss first is left to the scheduler
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			s.pe("a", 1, nil)
			var b *testPE
			session := s.connect(rsp.Dialer{Failover: rsp.FailoverManual, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
				if f.PE == 2 {
					b.die()
				}
				return nil
			}})
			b = s.pe("b", 2, nil)
			read := make(chan error)
			go func() { _, err := session.Read(make([]byte, 10)); read <- err }()
			synctest.Wait()
			if err := session.ForceFailover(t.Context(), false); err != nil {
				t.Errorf("ForceFailover: %v", err)
			}
			if err := <-read; !errors.Is(err, rsp.ErrFailover) {
				t.Errorf("Read: %v, want ErrFailover", err)
			}
			if err := session.ForceFailover(t.Context(), true); err != nil || session.PeerPE() != 1 {
				t.Errorf("ForceFailover: %v, with PE %v", err, session.PeerPE())
			}
		})
	}
}

// A session that finds no other pool element waits for one to come, reads and writes with
// it, up to FailoverTimeout.
func TestFailoverWaitsForPE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{FailoverTimeout: 10 * time.Second})
		a.Abort()

		session.SetReadDeadline(time.Now().Add(time.Second))
		start := time.Now()
		_, err := session.Read(make([]byte, 10))
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %v, want a timeout", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("the deadline of 1 s took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := session.SendMsg(ctx, []byte("x"), rsp.MsgInfo{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SendMsg: %v, want the context's error", err)
		}
		session.SetReadDeadline(time.Time{})
		s.pe("b", 2, nil)
		exchange(t, session, "two", 2)
	})
}

func TestFailoverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{FailoverTimeout: 10 * time.Second})
		a.Abort()
		start := time.Now()
		for range 2 {
			if _, err := session.Read(make([]byte, 10)); !errors.Is(err, rsp.ErrUnknownPool) {
				t.Errorf("Read: %v, want ErrUnknownPool", err)
			}
		}
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("gave up after %v, want about 10 s", took)
		}
	})
}

// A handler that outlasts FailoverTimeout has failed, which is not the new pool element's fault.
func TestOnFailoverTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{FailoverTimeout: time.Second, OnFailover: func(ctx context.Context, _ *rsp.FailoverEvent) error {
			<-ctx.Done()
			return nil
		}})
		s.pe("b", 2, nil)
		a.die()
		session.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := session.Read(make([]byte, 10)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Read: %v, want a timeout", err)
		}
		time.Sleep(10 * latency)
		if n := s.reg.Stats().FailureReports; n > 1 {
			t.Errorf("%d failure reports, want that of A alone", n)
		}
	})
}

// Close interrupts a failover, and those who wait for it.
func TestCloseInterruptsFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		a.die()
		done := make(chan error, 2)
		go func() { _, err := session.Read(make([]byte, 10)); done <- err }()
		go func() { _, err := session.Write([]byte("x")); done <- err }()
		time.Sleep(time.Second)
		if err := session.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for range 2 {
			if err := <-done; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v, want net.ErrClosed", err)
			}
		}
	})
}
