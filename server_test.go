package rsp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// testServer is a Server of a PE of "EchoPool" on a host of its own.
type testServer struct {
	*rsp.Server
	listener *rsp.Socket
	served   chan error // what Serve has returned
}

// server starts a Server; ctx is that of Serve.
func (s *scope) server(ctx context.Context, id rsp.PEID, policy rsp.Policy, srv *rsp.Server) *testServer {
	s.t.Helper()
	listener, err := s.endpoint(fmt.Sprint("server ", id), s.host(), rsp.Config{}).
		Listen(ctx, "EchoPool", rsp.PE{ID: id, Policy: policy})
	if err != nil {
		s.t.Fatal(err)
	}
	ts := &testServer{srv, listener, make(chan error, 1)}
	go func() { ts.served <- srv.Serve(ctx, listener) }()
	s.t.Cleanup(func() { srv.Close() })
	return ts
}

func (ts *testServer) wantServed(t *testing.T, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-ts.served:
		if !errors.Is(err, want) {
			t.Errorf("Serve returned %v, want %v", err, want)
		}
	default:
		t.Errorf("Serve has not returned, want %v", want)
	}
}

// countingEcho answers with a count that goes on from PE to PE by the cookie: "x" is answered
// by "x 1", the next one by "x 2".
func countingEcho(ctx context.Context, session *rsp.Socket) {
	answered := 0
	session.KeepCookie(rsp.CookiePlan{State: func(b []byte) []byte { return fmt.Append(b, answered) }})
	buf := make([]byte, 1000)
	for {
		n, info, err := session.RecvFullMsg(ctx, buf)
		if err != nil {
			return
		}
		if info.CookieEcho {
			fmt.Sscan(string(buf[:n]), &answered)
			continue
		}
		if text, slow := bytes.CutPrefix(buf[:n], []byte("slow ")); slow {
			n = copy(buf, text)
			time.Sleep(time.Second)
		}
		answered++
		if err := session.SendMsg(ctx, fmt.Append(buf[:n:n], " ", answered), rsp.MsgInfo{}); err != nil {
			return
		}
	}
}

func ask(t *testing.T, session *rsp.Socket, text, want string, id rsp.PEID) {
	t.Helper()
	if _, err := session.Write([]byte(text)); err != nil {
		t.Fatalf("asking %q: %v", text, err)
	}
	wantMsg(t, session, want, id)
}

// Shutdown loses nothing: the request at hand is answered, then the client goes over to another
// server with the last state. The server leaves the pool before that, and is not reported.
func TestServerShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
		busy, idle := s.connect(rsp.Dialer{}), s.connect(rsp.Dialer{})
		ask(t, busy, "x", "x 1", 1)
		ask(t, idle, "y", "y 1", 1)
		s.server(ctx(), 2, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
		busy.Write([]byte("slow x"))
		time.Sleep(500 * time.Millisecond)
		shutdown := make(chan error, 1)
		start := time.Now()
		go func() { shutdown <- a.Shutdown(ctx()) }()
		time.Sleep(10 * latency)
		if n := s.reg.Stats().Elements; n != 1 {
			t.Errorf("the pool has %d elements, want B alone", n)
		}
		ask(t, idle, "y", "y 2", 2) // it has no need to wait for the other one
		if gone := time.Since(start); gone > 20*latency {
			t.Errorf("an idle client is served by B only after %v", gone)
		}
		wantMsg(t, busy, "x 2", 1)
		ask(t, busy, "x", "x 3", 2)
		if err := <-shutdown; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		a.wantServed(t, rsp.ErrServerClosed)
		if n := s.reg.Stats().FailureReports; n != 0 {
			t.Errorf("%d reports of an unreachable PE", n)
		}
		if err := a.Shutdown(ctx()); err != nil {
			t.Errorf("second Shutdown: %v", err)
		}
	})
}

// A handler that does not return is not waited for longer than the context of Shutdown; its client
// has the last cookie all the same.
func TestServerShutdownTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: stream})
		session := s.connect(rsp.Dialer{})
		wantMsg(t, session, "1", 1)
		s.server(ctx(), 2, rsp.Policy{}, &rsp.Server{Handler: stream})
		short, cancel := context.WithTimeout(ctx(), 2500*time.Millisecond)
		defer cancel()
		if err := a.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		wantMsg(t, session, "2", 1)
		wantMsg(t, session, "3", 1)
		wantMsg(t, session, "4", 2) // the cookie said 3
		a.wantServed(t, rsp.ErrServerClosed)
	})
}

// Without a registrar to tell, Shutdown goes on after a second, or when its context ends.
func TestServerShutdownWithoutRegistrar(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{time.Hour: time.Second, 100 * time.Millisecond: 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			a := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
			session := s.connect(rsp.Dialer{Failover: rsp.FailoverNone})
			ask(t, session, "x", "x 1", 1)
			s.reg.Abort()
			time.Sleep(10 * latency)
			limited, cancel := context.WithTimeout(ctx(), limit)
			defer cancel()
			start := time.Now()
			if err := a.Shutdown(limited); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != want {
				t.Errorf("Shutdown within %v: %v after %v, want %v", limit, err, time.Since(start), want)
			}
			if _, err := session.Read(make([]byte, 10)); err != io.EOF {
				t.Errorf("the client's Read: %v", err)
			}
			a.wantServed(t, rsp.ErrServerClosed)
		})
	}
}

// stream counts aloud, one number a second, and never reads but at the beginning.
func stream(ctx context.Context, session *rsp.Socket) {
	var mu sync.Mutex
	count := 0
	session.KeepCookie(rsp.CookiePlan{State: func(b []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		return fmt.Append(b, count)
	}})
	session.SetReadDeadline(time.Now().Add(5 * latency))
	buf := make([]byte, 100)
	if n, info, err := session.RecvMsg(ctx, buf); err == nil && info.CookieEcho {
		fmt.Sscan(string(buf[:n]), &count)
	}
	for tick := time.NewTicker(time.Second); ; {
		mu.Lock()
		count++
		text := fmt.Sprint(count)
		mu.Unlock()
		if _, err := session.Write([]byte(text)); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// The end of Serve's context ends all sessions with their last cookies.
func TestServeContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		serving, cancel := context.WithCancel(ctx())
		a := s.server(serving, 1, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
		session := s.connect(rsp.Dialer{})
		ask(t, session, "x", "x 1", 1)
		s.server(ctx(), 2, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
		cancel()
		time.Sleep(10 * latency)
		ask(t, session, "x", "x 2", 2)
		a.wantServed(t, context.Canceled)
		if n := s.reg.Stats().Elements; n != 1 {
			t.Errorf("the pool has %d elements, want B alone", n)
		}
	})
}

// RSPLIB: "a session over the limit is accepted and closed at once". Its client goes over to another
// PE, and does not report this one.
func TestServerMaxSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: countingEcho, MaxSessions: 2})
		var full []*rsp.Socket
		for range 2 {
			session := s.connect(rsp.Dialer{})
			ask(t, session, "x", "x 1", 1)
			full = append(full, session)
		}
		s.server(ctx(), 2, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
		for range 4 { // the policy leads half of them to A first
			session := s.connect(rsp.Dialer{OnFailover: again("z")})
			session.Write([]byte("z"))
			wantMsg(t, session, "z 1", 2)
		}
		if n := s.reg.Stats().FailureReports; n != 0 {
			t.Errorf("%d reports of an unreachable PE", n)
		}
		full[0].Close()
		time.Sleep(10 * latency)
		if err := a.Server.Shutdown(ctx()); err != nil {
			t.Error(err)
		}
	})
}

// A session too many is told so in the service's own words, and another PU's goes on.
func TestServerRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: countingEcho, MaxSessions: 1, Refuse: func(ctx context.Context, session *rsp.Socket) {
			session.SendMsg(ctx, []byte("full"), rsp.MsgInfo{})
		}})
		first := s.connect(rsp.Dialer{Failover: rsp.FailoverNone})
		ask(t, first, "x", "x 1", 1)
		for range 3 {
			more := s.connect(rsp.Dialer{Failover: rsp.FailoverNone})
			wantMsg(t, more, "full", 1)
			if _, err := more.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("it ends with %v", err)
			}
		}
		ask(t, first, "y", "y 2", 1)
		first.Close()
		time.Sleep(10 * latency)
		if err := a.Server.Shutdown(ctx()); err != nil {
			t.Error(err)
		}
	})
}

// again sends a request again after a failover.
func again(text string) func(context.Context, *rsp.FailoverEvent) error {
	return func(_ context.Context, f *rsp.FailoverEvent) error {
		_, err := f.Write([]byte(text))
		return err
	}
}

// RSPLIB: "load change >= 0.01: immediate asynchronous re-registration"; the load is that of
// its fractal generator, "1/maxThreads per session".
func TestServerTellsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.server(ctx(), 1, rsp.LeastUsedDegradation(0, 0.25), &rsp.Server{Handler: countingEcho, MaxSessions: 400})
		e := s.endpoint("pu", s.host(), rsp.Config{})
		var sessions []*rsp.Socket
		before := s.reg.Stats().Reregistrations
		for n := 1; n <= 400; n++ {
			sessions = append(sessions, s.connect(rsp.Dialer{Endpoint: e}))
			time.Sleep(10 * latency)
			if told := n / 4 * 4; n == 8 || n == 11 || n == 400 {
				s.wantPolicy(rsp.LeastUsedDegradation(float64(told)/400, 0.25).String())
			}
		}
		if told := s.reg.Stats().Reregistrations - before; told != 100 {
			t.Errorf("the load of 400 sessions, one after the other, was told %d times, want at each hundredth", told)
		}
		for _, session := range sessions {
			session.Close()
		}
		time.Sleep(10 * latency)
		s.wantPolicy("LeastUsedDegradation:0.25")
	})
}

// A panic ends its own session alone, and says where it was. Its client goes over to another PE.
func TestServerPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		var log bytes.Buffer
		s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Handler: func(ctx context.Context, session *rsp.Socket) {
				buf := make([]byte, 10)
				for {
					n, err := session.Read(buf)
					if err != nil {
						return
					}
					if string(buf[:n]) == "bomb" {
						panic("found a bomb")
					}
					session.Write(buf[:n])
				}
			},
		})
		good, bad := s.connect(rsp.Dialer{}), s.connect(rsp.Dialer{})
		ask(t, good, "x", "x", 1)
		ask(t, bad, "x", "x", 1)
		s.server(ctx(), 2, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
		bad.Write([]byte("bomb"))
		time.Sleep(10 * latency)
		ask(t, good, "x", "x", 1)
		ask(t, bad, "x", "x 1", 2)
		for _, want := range []string{"level=ERROR", "found a bomb", "server_test.go:"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q: %s", want, log.String())
			}
		}
		if n := s.reg.Stats().FailureReports; n != 0 {
			t.Errorf("%d reports of an unreachable PE", n)
		}
	})
}

// Close ends all at once, without cookies; handlers see that their session is closed.
func TestServerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		ended := make(chan error, 1)
		a := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: func(ctx context.Context, session *rsp.Socket) {
			_, _, err := session.RecvMsg(ctx, make([]byte, 10))
			<-ctx.Done()
			ended <- err
		}})
		session := s.connect(rsp.Dialer{Failover: rsp.FailoverNone})
		time.Sleep(10 * latency)
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) && err != io.EOF {
			t.Errorf("the handler's RecvMsg: %v", err)
		}
		if _, err := session.Read(make([]byte, 10)); err != io.EOF {
			t.Errorf("the client's Read: %v, want io.EOF", err)
		}
		a.wantServed(t, rsp.ErrServerClosed)
		if stats := s.reg.Stats(); stats.Elements != 0 || stats.Deregistrations != 1 {
			t.Errorf("%+v", stats)
		}
		if err := a.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestServeErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: countingEcho})
		synctest.Wait()
		if err := a.Serve(ctx(), a.listener); err == nil || errors.Is(err, rsp.ErrServerClosed) {
			t.Errorf("Serve twice: %v", err)
		}
		if err := new(rsp.Server).Serve(ctx(), a.listener); err == nil {
			t.Error("no handler: no error")
		}
		fresh := s.endpoint("fresh", s.host(), rsp.Config{}).Socket()
		if err := (&rsp.Server{Handler: countingEcho}).Serve(ctx(), fresh); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("a fresh Socket: %v", err)
		}
		closed := &rsp.Server{Handler: countingEcho}
		closed.Shutdown(ctx())
		if err := closed.Serve(ctx(), a.listener); !errors.Is(err, rsp.ErrServerClosed) {
			t.Errorf("Serve after Shutdown: %v", err)
		}
		a.wantServed(t, net.ErrClosed) // its listener was closed by that
	})
}
