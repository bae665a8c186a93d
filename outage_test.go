package rsp_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

const (
	outageLogged = `level=WARN msg="no registrar answers: pools are resolved by what is known of them"`
	backLogged   = `level=INFO msg="a registrar answers again"`
)

// logRecorder keeps what is logged from a level on.
type logRecorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logRecorder) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logRecorder) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// wantCount wants a text so many times, once all is logged.
func (l *logRecorder) wantCount(t *testing.T, text string, want int) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := strings.Count(l.buf.String(), text); n != want {
		t.Errorf("%q was logged %d times, want %d:\n%s", text, n, want, l.buf.String())
	}
}

// While no registrar can be reached, what was told before serves, however old, and says so:
// whoever notices first waits for a registrar, the others do not.
func TestResolveWithoutRegistrar(t *testing.T) {
	for name, c := range map[string]struct {
		stale time.Duration
		end   func(s *scope)
		waits time.Duration
	}{
		// RegistrarRequestTimeout
		"its program is gone":                {0, func(s *scope) { s.reg.Abort() }, 3 * time.Second},
		"its host is gone":                   {0, func(s *scope) { s.registrarHost.Kill() }, 3 * time.Second},
		"its program is gone, and the cache": {30 * time.Second, func(s *scope) { s.reg.Abort() }, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				s.pes(3)
				var log logRecorder
				e := s.endpoint("pu", s.host(), rsp.Config{StaleCache: c.stale, Logger: log.logger()})
				if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || r.Stale || r.Age != 0 {
					t.Fatalf("%+v, %v", r, err)
				}
				told := time.Now()
				c.end(s)
				time.Sleep(time.Minute)
				start := time.Now()
				for _, r := range resolveTogether(e, 0, 2, rsp.AllElements) {
					if r.err != nil || !r.Stale || r.Age != time.Since(told) || len(r.Elements) < 2 {
						t.Errorf("after %v: %+v, %v", time.Since(told), r.Resolution, r.err)
					}
				}
				if took := time.Since(start); took != c.waits {
					t.Errorf("the first waited %v, want %v", took, c.waits)
				}
				start = time.Now()
				first := make(map[rsp.PEID]int)
				for range 30 {
					r, err := e.Resolve(ctx(), "EchoPool", 1)
					if err != nil || !r.Stale || len(r.Elements) != 1 {
						t.Fatalf("%+v, %v", r, err)
					}
					first[r.Elements[0].ID]++
				}
				if len(first) != 3 || first[1] != 10 || first[2] != 10 {
					t.Errorf("selected: %v, want each ten times", first)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("the others waited %v", took)
				}
				if _, err := e.Resolve(ctx(), "OtherPool", 0); !errors.Is(err, rsp.ErrNoRegistrar) {
					t.Errorf("a pool that nobody knows: %v", err)
				}
				log.wantCount(t, outageLogged, 1)
				log.wantCount(t, backLogged, 0)
			})
		})
	}
}

// RFC 5352 section 3.3: "C3) In the case of a stale cache entry, the implementation may, in parallel,
// update the cache and answer the request": so in an outage, which ends with the first answer.
func TestRegistrarIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(3)
		var log logRecorder
		e := s.endpoint("pu", s.host(), rsp.Config{Logger: log.logger()})
		for i := range 3 {
			if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || r.Stale || r.Age != 0 {
				t.Fatalf("outage %d: %+v, %v", i, r, err)
			}
			s.reg.Abort()
			for range 5 { // one question after the other, that nobody waits for
				time.Sleep(2 * time.Second)
				if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || !r.Stale {
					t.Fatalf("outage %d: %+v, %v", i, r, err)
				}
			}
			log.wantCount(t, outageLogged, i+1)
			log.wantCount(t, backLogged, i)
			s.startRegistrar(s.registrarHost)
			time.Sleep(10 * time.Second) // its pool elements are back
			if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			time.Sleep(10 * latency)
			log.wantCount(t, backLogged, i+1)
		}
	})
}

// A registrar that takes associations and does not answer is none.
func TestMuteRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(2)
		var log logRecorder
		e := s.endpoint("pu", s.host(), rsp.Config{Logger: log.logger()})
		if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil {
			t.Fatal(err)
		}
		s.reg.Abort()
		ln, err := s.registrarHost.Listen(ctx(), protocol.TransportAddr{
			Protocol: protocol.SCTP, Addrs: s.registrarHost.Addrs(), Port: 3863,
		}, transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close() // it takes associations by itself
		time.Sleep(time.Second)
		// "This should be repeated up to MAX-REQUEST-RETRANSMIT times" (RFC 5352 section 3.7.2): twice the
		// time for an answer, and a pause of the hunt.
		start := time.Now()
		if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || !r.Stale {
			t.Errorf("%+v, %v", r, err)
		}
		if took := time.Since(start); took < 6*time.Second || took > 7*time.Second {
			t.Errorf("the first waited %v", took)
		}
		for range 20 {
			start := time.Now()
			if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || !r.Stale || time.Since(start) != 0 {
				t.Errorf("after %v: %+v, %v", time.Since(start), r, err)
			}
			time.Sleep(time.Second)
		}
		log.wantCount(t, outageLogged, 1)
		log.wantCount(t, backLogged, 0)
	})
}

// Callers that have less time than a registrar would need to be missed are served as well: the
// question of the first goes on.
func TestShortPatienceWithoutRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(2)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil {
			t.Fatal(err)
		}
		s.reg.Abort()
		var errs []error
		for range 4 {
			short, cancel := context.WithTimeout(ctx(), time.Second)
			_, err := e.Resolve(short, "EchoPool", 0)
			cancel()
			errs = append(errs, err)
		}
		if !errors.Is(errs[0], context.DeadlineExceeded) || errs[3] != nil {
			t.Errorf("%v", errs)
		}
	})
}

// What different answers have told of a pool serves together, and is as old as the oldest of
// what is returned. What was reported is not.
func TestOldAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(3)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		var told []time.Time
		for range 3 { // one element each, in turn
			if _, err := e.Resolve(ctx(), "EchoPool", 1); err != nil {
				t.Fatal(err)
			}
			told = append(told, time.Now())
			time.Sleep(time.Minute)
		}
		s.reg.Abort()
		check := func(n int, oldest time.Time) {
			t.Helper()
			r, err := e.Resolve(ctx(), "EchoPool", rsp.AllElements)
			if err != nil || !r.Stale || len(r.Elements) != n || r.Age != time.Since(oldest) {
				t.Errorf("%+v, %v; want %d elements, the oldest told %v ago", r, err, n, time.Since(oldest))
			}
		}
		check(3, told[0])
		for id := range rsp.PEID(2) {
			if err := e.ReportFailure("EchoPool", id+1); err != nil {
				t.Fatal(err)
			}
			check(2-int(id), told[id+1])
		}
		if err := e.ReportFailure("EchoPool", 3); err != nil {
			t.Fatal(err)
		}
		if r, err := e.Resolve(ctx(), "EchoPool", 0); !errors.Is(err, rsp.ErrNoRegistrar) {
			t.Errorf("all were reported: %+v, %v", r, err)
		}
	})
}

// An unknown pool is forgotten, also for outages.
func TestUnknownPoolIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Resolve(ctx(), "EchoPool", 0); !errors.Is(err, rsp.ErrUnknownPool) {
			t.Errorf("%v", err)
		}
		s.reg.Abort()
		for range 2 {
			if r, err := e.Resolve(ctx(), "EchoPool", 0); !errors.Is(err, rsp.ErrNoRegistrar) {
				t.Errorf("%+v, %v", r, err)
			}
		}
	})
}

// RFC 3237 section 2.1 wants "no single point of failure in the system": a session whose registrars are
// all gone goes on with what its Endpoint was told before. The first failover waits for a registrar,
// the next does not.
func TestFailoverWithoutRegistrar(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*testPE)
		notice time.Duration // until the session notices, at most
	}{
		"aborted":  {func(pe *testPE) { pe.Abort() }, 10 * latency},
		"silent":   {func(pe *testPE) { pe.host.Kill() }, 7 * time.Second},
		"good-bye": {func(pe *testPE) { go pe.Close() }, 2 * time.Second}, // that it tried to deregister
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				pes := map[rsp.PEID]*testPE{}
				for id := range rsp.PEID(3) {
					pes[id+1] = s.pe("pe", id+1, func(pe *testPE) { pe.cookie = "c" })
				}
				var log logRecorder
				var lost []rsp.PEID
				session := s.connect(rsp.Dialer{
					Endpoint: s.endpoint("pu", s.host(), rsp.Config{Logger: log.logger()}),
					OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
						lost = append(lost, f.Lost)
						_, err := f.Write([]byte("again"))
						return err
					},
				})
				exchange(t, session, "one", 1)
				exchange(t, session, "more", 1) // reads the cookie first
				s.registrarHost.Kill()
				for i := range 2 {
					old, next := rsp.PEID(i+1), rsp.PEID(i+2)
					start := time.Now()
					c.end(pes[old])
					wantMsg(t, session, "again", next)
					if took := time.Since(start); took > c.notice+100*time.Millisecond {
						t.Errorf("going on with PE %v took %v", next, took)
					}
					if got := <-pes[next].got; got != "cookie c" {
						t.Errorf("PE %v got %q first, want the cookie", next, got)
					}
				}
				if !slices.Equal(lost, []rsp.PEID{1, 2}) {
					t.Errorf("OnFailover was called for PEs %v", lost)
				}
				time.Sleep(10 * time.Second) // RegistrarResponseTimeout, and RegistrarRequestTimeout for another one
				log.wantCount(t, outageLogged, 1)
			})
		})
	}
}

// "The next PE straight from the cache": a failover does not wait for the registrar's answer, while the
// registration life that was told (90 s) lasts. Later it does, since the addresses can be somebody else's by then.
func TestFailoverFromCache(t *testing.T) {
	for name, c := range map[string]struct{ age, atLeast, below time.Duration }{
		"living": {80 * time.Second, 0, 10 * latency},
		"old":    {100 * time.Second, 30 * time.Millisecond, 50 * time.Millisecond}, // answerGrace
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				a := s.pe("a", 1, nil)
				s.pe("b", 2, nil)
				session := s.connect(rsp.Dialer{OnFailover: again("again")})
				time.Sleep(c.age)
				s.registrarHost.Kill()
				start := time.Now()
				a.Abort()
				wantMsg(t, session, "again", 2)
				if took := time.Since(start); took < c.atLeast || took >= c.below {
					t.Errorf("going on took %v, want %v to %v", took, c.atLeast, c.below)
				}
			})
		})
	}
}

// One that has begun anew elsewhere is found by the registrar's answer, at once, when it is not where the cache has it.
func TestFailoverToRestartedPE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a, b := s.pe("a", 1, nil), s.pe("b", 2, nil)
		session := s.connect(rsp.Dialer{OnFailover: again("again")})
		b.die()
		s.pe("b again", 2, nil)
		wantFailover(t, session, a, 2)
	})
}

// One that was reported is not tried again because the registrar still named it after that.
func TestFailoverPassesOverReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a, b := s.pe("a", 1, nil), s.pe("b", 2, nil)
		session := s.connect(rsp.Dialer{OnFailover: again("again")})
		a.host.Kill()
		wantMsg(t, session, "again", 2)
		s.pe("c", 3, nil)
		if n := s.reg.Pools(); len(n) != 1 || len(n[0].Elements) != 3 {
			t.Fatalf("the registrar has %+v, want the silent PE too", n)
		}
		wantFailover(t, session, b, 3)
	})
}

// wantFailover ends a PE and wants the session to go on with another one before any pause.
func wantFailover(t *testing.T, session *rsp.Socket, from *testPE, to rsp.PEID) {
	t.Helper()
	start := time.Now()
	from.Abort()
	wantMsg(t, session, "again", to)
	if took := time.Since(start); took > 12*latency {
		t.Errorf("going on with PE %v took %v", to, took)
	}
}

// A pool element that has ended a session is not selected from the cache again, since it may be
// about to leave the pool. Without a registrar it is better than none.
func TestGoodByeAndCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		listener, err := s.endpoint("pe", s.host(), rsp.Config{}).Listen(ctx(), "EchoPool", rsp.PE{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		go func() { // each session is good for one message
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				buf := make([]byte, 10)
				n, _ := conn.Read(buf)
				conn.Write(buf[:n])
				conn.Close()
			}
		}()
		e := s.endpoint("pu", s.host(), rsp.Config{StaleCache: time.Hour})
		session := s.connect(rsp.Dialer{Endpoint: e, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			_, err := f.Write([]byte("again"))
			return err
		}})
		exchange(t, session, "one", 1)
		wantMsg(t, session, "again", 1)
		if n := s.reg.Stats().Resolutions; n != 2 {
			t.Errorf("the registrar was asked %d times, want 2: to begin, and to go on", n)
		}
		s.reg.Abort()
		for range 3 {
			wantMsg(t, session, "again", 1)
		}
		if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || !r.Stale || r.Elements[0].ID != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
