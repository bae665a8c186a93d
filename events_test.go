package rsp_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// eventTexts ranges over events until they end, and returns what they were without their errors.
func eventTexts(events iter.Seq[rsp.Event]) (texts []string) {
	for ev := range events {
		ev.Err = nil
		texts = append(texts, ev.String())
	}
	return texts
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("events are %q, want %q", got, want)
	}
}

// A PE's Endpoint tells what its registrars do.
func TestRegistrarEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pe", s.host(), rsp.Config{})
		events := e.Events(ctx())
		listener, err := e.Listen(ctx(), "EchoPool", rsp.PE{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		own := listener.Events(ctx())
		s.reg.Abort()
		s.startRegistrar(s.registrarHost)
		time.Sleep(10 * time.Second)
		e.Close()
		wantEvents(t, eventTexts(events),
			"registrar found: 10.0.0.1:3863", "registered: EchoPool/0x00000001",
			"registrar lost", "registrar found: 10.0.0.1:3863", "registered: EchoPool/0x00000001",
			"deregistered: EchoPool/0x00000001")
		wantEvents(t, eventTexts(own), "registered: EchoPool/0x00000001", "deregistered: EchoPool/0x00000001")
	})
}

// A registrar that comes anew may not take a service that was fine before: who watches is told, with the cause.
func TestRejectedEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pe", s.host(), rsp.Config{})
		service := rsp.ElementRegistration{ID: 1, Protocol: "tcp", Addrs: addrPort("10.0.0.2:80"), Policy: rsp.LeastUsed(0)}
		if _, err := e.RegisterElement(ctx(), "Web", service); err != nil {
			t.Fatal(err)
		}
		events := e.Events(ctx())
		s.reg.Abort()
		time.Sleep(time.Second)
		s.startRegistrar(s.registrarHost)
		other := s.endpoint("other", s.net.Host("10.9.9.9"), rsp.Config{})
		if _, err := other.RegisterElement(ctx(), "Web", rsp.ElementRegistration{Protocol: "udp", Addrs: addrPort("10.9.9.9:80")}); err != nil {
			t.Fatal(err)
		}
		for ev := range events {
			if ev.Type == rsp.EventRegistrarLost || ev.Type == rsp.EventRegistrarFound {
				continue
			}
			if _, refused := rsp.CauseOf(ev.Err); ev.Type != rsp.EventRejected || ev.Pool != "Web" || ev.PE != 1 || !refused {
				t.Errorf("event %v", ev)
			}
			break
		}
		if err := e.DeregisterElement(ctx(), "Web", 1); !errors.Is(err, rsp.ErrNotRegistered) {
			t.Errorf("deregistering what was rejected: %v", err)
		}
	})
}

// A session tells of its failovers, and its Endpoint of all sessions.
func TestSessionEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		a, dead := s.pe("a", 1, nil), s.pe("dead", 2, nil)
		dead.host.Kill()
		all := e.Events(ctx())
		session := s.connect(rsp.Dialer{Endpoint: e, FailoverTimeout: 20 * time.Second})
		events := session.Events(ctx())
		exchange(t, session, "hello", 1)
		time.Sleep(time.Minute) // the registrar notices that PE 2 is dead
		b := s.pe("b", 3, nil)
		a.die()
		exchange(t, session, "hello", 3)
		b.die()
		if _, err := session.Read(make([]byte, 10)); err == nil {
			t.Fatal("the session goes on without a pool element")
		}
		session.Close()
		begun := []string{"pool element lost: EchoPool/0x00000001", "failover begun: EchoPool/0x00000001",
			"failover complete: EchoPool/0x00000003",
			"pool element lost: EchoPool/0x00000003", "failover begun: EchoPool/0x00000003"}
		got := eventTexts(events)
		wantEvents(t, got[:min(5, len(got))], begun...)
		wantEvents(t, got[len(got)-1:], "failover failed: EchoPool")
		e.Close()
		everything := eventTexts(all)
		for _, text := range append(begun, "registrar found: 10.0.0.1:3863", "failover failed: EchoPool") {
			if !slices.Contains(everything, text) {
				t.Errorf("%q is not among the Endpoint's events %q", text, everything)
			}
		}
	})
}

// The other styles of failover: what is told is what happens.
func TestEventsOfOtherFailovers(t *testing.T) {
	for _, test := range []struct {
		failover rsp.Failover
		want     []string
	}{
		{rsp.FailoverNone, []string{"pool element lost: EchoPool/0x00000001"}},
		{rsp.FailoverManual, []string{"pool element lost: EchoPool/0x00000001", "failover begun: EchoPool/0x00000001", "failover complete: EchoPool/0x00000002"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			a := s.pe("a", 1, nil)
			session := s.connect(rsp.Dialer{Failover: test.failover})
			s.pe("b", 2, nil)
			events := session.Events(ctx())
			a.die()
			if _, err := session.Read(make([]byte, 10)); err == nil || err == io.EOF {
				t.Errorf("read: %v", err)
			}
			if test.failover == rsp.FailoverManual {
				if err := session.ForceFailover(ctx(), true); err != nil {
					t.Fatal(err)
				}
			}
			session.Close()
			wantEvents(t, eventTexts(events), test.want...)
		})
	}
}

// Nobody waits for whoever takes events too slowly, and he learns how many he has missed.
func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pe", s.host(), rsp.Config{})
		watch, stop := context.WithCancel(ctx())
		defer stop()
		events := e.Events(watch)
		service := rsp.ElementRegistration{ID: 1, Protocol: "tcp", Addrs: addrPort("10.0.0.2:80")}
		again := func() {
			if _, err := e.RegisterElement(ctx(), "Web", service); err != nil {
				t.Fatal(err)
			}
			if err := e.DeregisterElement(ctx(), "Web", 1); err != nil {
				t.Fatal(err)
			}
		}
		const rounds = 600 // of two events, after "registrar found"
		for range rounds {
			again()
		}
		n := 0
		for ev := range events {
			n++
			switch {
			case n < 1024 && ev.Missed != 0, n == 1025 && ev.Missed != 1+2*rounds-1024:
				t.Fatalf("event %d: %d missed", n, ev.Missed)
			case n == 1024: // its body may use the Endpoint
				again()
			case n == 1025:
				stop()
			}
		}
		if n != 1025 {
			t.Errorf("%d events, want 1024 that were kept and one more", n)
		}
	})
}

// An iterator that nobody ranges over costs nothing once its context has ended, and one of a Socket that is
// nothing has nothing to tell.
func TestEventsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pe", s.host(), rsp.Config{})
		wantEvents(t, eventTexts(e.Socket().Events(ctx())))
		watch, stop := context.WithCancel(ctx())
		defer stop()
		events := e.Events(watch)
		stop()
		if _, err := e.Listen(ctx(), "EchoPool", rsp.PE{}); err != nil {
			t.Fatal(err)
		}
		wantEvents(t, eventTexts(events))
		e.Close()
		wantEvents(t, eventTexts(e.Events(ctx())))
	})
}

func TestEventString(t *testing.T) {
	for _, test := range []struct {
		ev   rsp.Event
		want string
	}{
		{rsp.Event{Type: rsp.EventFailoverFailed, Pool: "Pool", Err: io.ErrUnexpectedEOF}, "failover failed: Pool: unexpected EOF"},
		{rsp.Event{Type: rsp.EventRegistrarFound, Addr: addrPort("[::1]:3863")[0]}, "registrar found: [::1]:3863"},
		{rsp.Event{}, "EventType(0)"},
		{rsp.Event{Type: 99}, "EventType(99)"},
	} {
		if got := test.ev.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
