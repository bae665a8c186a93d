package rsp_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// With Standby, a failover is one round trip: the cookie and the request are on their way at once, whatever the
// registrar does.
func TestStandbyFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "c" })
		b := s.pe("b", 2, nil)
		session := s.connect(rsp.Dialer{Standby: true, OnFailover: again("again")})
		exchange(t, session, "one", 1)
		exchange(t, session, "more", 1) // reads the cookie first
		time.Sleep(time.Second)
		s.registrarHost.Kill()
		a.Abort()
		time.Sleep(latency) // until the session hears of it
		start := time.Now()
		wantMsg(t, session, "again", 2)
		if took := time.Since(start); took != 2*latency {
			t.Errorf("going on took %v, want a round trip", took)
		}
		for _, want := range []string{"cookie c", "again"} {
			if got := <-b.got; got != want {
				t.Errorf("B got %q, want %q", got, want)
			}
		}
	})
}

// The spare association is replaced when it is lost, and by one to a PE that is not the session's own.
func TestStandbyReplaced(t *testing.T) {
	for name, end := range map[string]func(*testPE){
		"aborted": func(pe *testPE) { pe.Abort() }, "silent": func(pe *testPE) { pe.host.Kill() }, "left": func(pe *testPE) { pe.socket.DeregisterPE(ctx()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				a, b := s.pe("a", 1, nil), s.pe("b", 2, nil)
				session := s.connect(rsp.Dialer{Standby: true, OnFailover: again("again")})
				exchange(t, session, "one", 1)
				time.Sleep(time.Second)
				s.pe("c", 3, nil)
				end(b)
				time.Sleep(15 * time.Second)
				s.registrarHost.Kill()
				a.Abort()
				time.Sleep(latency)
				start := time.Now()
				wantMsg(t, session, "again", 3)
				if took := time.Since(start); took != 2*latency {
					t.Errorf("going on took %v, want a round trip", took)
				}
			})
		})
	}
}

// What a server that speaks first says to the spare association is read after the failover.
func TestStandbyOfServerThatGreets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		var servers []*rsp.Endpoint
		for id := range rsp.PEID(2) {
			e := s.endpoint("pe", s.host(), rsp.Config{})
			listener, err := e.Listen(ctx(), "EchoPool", rsp.PE{ID: id + 1})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					session, err := listener.AcceptSocket(ctx())
					if err != nil {
						return
					}
					session.SendCookie(ctx(), []byte{byte(id)})
					session.SendMsg(ctx(), []byte("hello"), rsp.MsgInfo{PPID: 7})
				}
			}()
			servers = append(servers, e)
		}
		session := s.connect(rsp.Dialer{Standby: true, Notifications: true})
		wantMsg(t, session, "hello", 1)
		time.Sleep(time.Second)
		servers[0].Abort()
		wantNotification(t, session, "failover necessary: PE 0x00000001, cookie: association aborted by peer")
		wantNotification(t, session, "failover complete: PE 0x00000002, cookie")
		wantMsg(t, session, "hello", 2)
	})
}

// Suspect early, switch late: while the PE misses answers the session connects to the next one beside it, an answer
// cancels that, and only the loss moves the session. That holds for one that nobody reads, too.
func TestSuspectEarlySwitchLate(t *testing.T) {
	for name, standby := range map[string]bool{"suspicion alone": false, "standby": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				a, b := s.pe("a", 1, nil), s.pe("b", 2, nil)
				pu := s.host()
				session := s.connect(rsp.Dialer{Endpoint: s.endpoint("pu", pu, rsp.Config{}), Standby: standby, OnFailover: again("again")})
				exchange(t, session, "one", 1)
				time.Sleep(time.Second)
				if n := b.sessions.Load(); (n == 1) != standby {
					t.Errorf("%d associations to B before anything happened", n)
				}
				for i := range int32(3) {
					s.net.Cut(pu.Addrs()[0], a.host.Addrs()[0])
					time.Sleep(300 * time.Millisecond) // a beat is missed after 70 ms, and all that count after 350 ms
					s.net.Heal(pu.Addrs()[0], a.host.Addrs()[0])
					time.Sleep(time.Second)
					exchange(t, session, "still with A", 1)
					if n := b.sessions.Load(); !standby && n != i+1 || standby && n != 1 {
						t.Errorf("%d associations to B after %d suspicions", n, i+1)
					}
				}
				time.Sleep(time.Second)
				s.registrarHost.Kill()
				start := time.Now()
				s.net.Cut(pu.Addrs()[0], a.host.Addrs()[0])
				time.Sleep(330 * time.Millisecond)
				if session.PeerPE() != 1 {
					t.Error("the session has switched early")
				}
				wantMsg(t, session, "again", 2)
				if took := time.Since(start); took > 350*time.Millisecond+2*latency {
					t.Errorf("the answer came %v after the cut", took)
				}
			})
		})
	}
}

// A spare association that misses answers as well is no place to go: the next PE is sought.
func TestStandbySuspected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a, b := s.pe("a", 1, nil), s.pe("b", 2, nil)
		failovers := 0
		session := s.connect(rsp.Dialer{Standby: true, OnFailover: func(ctx context.Context, f *rsp.FailoverEvent) error {
			failovers++
			return again("again")(ctx, f)
		}})
		exchange(t, session, "one", 1)
		time.Sleep(time.Second)
		c := s.pe("c", 3, nil)
		a.host.Kill()
		b.host.Kill()
		wantMsg(t, session, "again", 3)
		if failovers != 1 || c.sessions.Load() != 1 {
			t.Errorf("%d failovers, %d sessions with C", failovers, c.sessions.Load())
		}
	})
}
