package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// RFC 5352 section 6.5.2: "the endpoint may be required to fail over to another PE": one that does not answer
// holds up nobody, since the next is tried beside it.
func TestNextBesideSilentPE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		exchange(t, session, "one", 1)
		silent := s.pe("silent", 2, nil)
		s.pe("c", 3, nil)
		silent.host.Kill()
		start := time.Now()
		a.die()
		exchange(t, session, "two", 3)
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("going on took %v", took)
		}
		time.Sleep(6 * time.Second)
		if n := s.reg.Stats().FailureReports; n != 1 { // the registrar knows of the lost one
			t.Errorf("%d failure reports, want that of the silent PE", n)
		}
	})
}

// A search that finds nothing names every attempt.
func TestSearchErrorNamesAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		for id := range rsp.PEID(2) {
			s.pe("pe", id+1, nil).host.Kill() // the registrar has not noticed yet
		}
		_, err := (&rsp.Dialer{Endpoint: s.endpoint("pu", s.host(), rsp.Config{}), ConnectTimeout: 20 * time.Millisecond}).Connect(ctx(), "EchoPool")
		search, ok := errors.AsType[*rsp.SearchError](err)
		if !ok || !errors.Is(err, rsp.ErrNoPoolElement) || len(search.Attempts) != 2 {
			t.Fatalf("%#v", err)
		}
		for i, a := range search.Attempts {
			want := fmt.Sprintf("PE 0x%08x at [10.0.0.%d:49152] (tried 1 times): no answer within 20ms", i+1, i+2)
			if a.String() != want || !errors.Is(err, a.Err) {
				t.Errorf("%v, want %v", a, want)
			}
		}
		if op, _ := errors.AsType[*rsp.OpError](err); op.Timeout() {
			t.Error("none of the caller's deadlines has passed")
		}
	})
}

// RSPLIB, of a failover: "PE of another transport protocol: -1, no report". Others can reach it.
func TestSearchDoesNotReportOtherTransports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		pe := s.endpoint("pe", s.net.Host("10.1.0.1"), rsp.Config{})
		if _, err := pe.RegisterElement(ctx(), "Web", rsp.ElementRegistration{Protocol: "tcp", Addrs: addrPort("10.1.0.1:80")}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.endpoint("pu", s.host(), rsp.Config{}).Connect(ctx(), "Web"); !errors.Is(err, rsp.ErrNoPoolElement) {
			t.Errorf("a session with a PE of basic mode: %v", err)
		}
		synctest.Wait()
		if n := s.reg.Stats().FailureReports; n != 0 {
			t.Errorf("%d failure reports", n)
		}
	})
}

// A context that ends leaves the attempts that were under way without an answer.
func TestSearchErrorOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("pe", 1, nil).host.Kill()
		d := rsp.Dialer{Endpoint: s.endpoint("pu", s.host(), rsp.Config{})}
		short, cancel := context.WithTimeout(ctx(), 50*time.Millisecond)
		defer cancel()
		_, err := d.Connect(short, "EchoPool")
		search, ok := errors.AsType[*rsp.SearchError](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) || len(search.Attempts) != 1 || search.Attempts[0].PE != 1 {
			t.Errorf("%v", err)
		}
		_, err = d.Connect(ctx(), "NoPool")
		if search, ok := errors.AsType[*rsp.SearchError](err); !ok || len(search.Attempts) != 0 ||
			!errors.Is(search.Resolution, rsp.ErrUnknownPool) || errors.Is(err, rsp.ErrNoPoolElement) {
			t.Errorf("%v", err)
		}
	})
}

// When the whole pool is gone, the session backs off, gives up at FailoverTimeout, and says what it has
// tried; Read does not call that a timeout of its own.
func TestWholePoolGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a, b := s.pe("a", 1, nil), s.pe("b", 2, nil)
		session := s.connect(rsp.Dialer{FailoverTimeout: 10 * time.Second, ConnectTimeout: 100 * time.Millisecond})
		exchange(t, session, "one", 1)
		before := s.reg.Stats().Resolutions
		b.host.Kill()
		a.die()
		start := time.Now()
		_, err := session.Read(make([]byte, 10))
		if took := time.Since(start); took < 9900*time.Millisecond || took > 10*time.Second {
			t.Errorf("gave up after %v, want 10 s", took)
		}
		search, ok := errors.AsType[*rsp.SearchError](err)
		if !ok || len(search.Attempts) == 0 || search.Attempts[len(search.Attempts)-1].PE != 2 {
			t.Fatalf("%v", err)
		}
		if op, _ := errors.AsType[*rsp.OpError](err); op.Timeout() {
			t.Errorf("%v is said to be a timeout", err)
		}
		// The pauses: up to 10, 20, ... 640 ms, then 1 s, half of that at least.
		if n := s.reg.Stats().Resolutions - before; n < 10 || n > 60 {
			t.Errorf("%d resolutions in 10 s", n)
		}
	})
}

// The pool's return ends the wait, with a registrar or without.
func TestWholePoolReturns(t *testing.T) {
	for _, registrar := range []bool{true, false} {
		t.Run(fmt.Sprint("registrar ", registrar), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				a, b := s.pe("a", 1, nil), s.pe("b", 2, nil)
				pu := s.host()
				session := s.connect(rsp.Dialer{
					Endpoint: s.endpoint("pu", pu, rsp.Config{}), FailoverTimeout: -1, ConnectTimeout: time.Second,
				})
				exchange(t, session, "one", 1)
				if !registrar {
					s.registrarHost.Kill()
				}
				s.net.Cut(pu.Addrs()[0], b.host.Addrs()[0])
				a.die()
				time.Sleep(time.Minute)
				s.net.Heal(pu.Addrs()[0], b.host.Addrs()[0])
				start := time.Now()
				exchange(t, session, "two", 2)
				if took := time.Since(start); took > 3*time.Second { // a ConnectTimeout, a pause, an attempt
					t.Errorf("going on took %v", took)
				}
			})
		})
	}
}
