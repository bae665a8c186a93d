package calcapp

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pool is a registrar with servers, in memory and in the time of a synctest bubble.
type pool struct {
	*testing.T
	cfg rsp.Config
}

// inPool runs a test in a bubble.
func inPool(t *testing.T, test func(t *testing.T, p *pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: ":0", Network: rsp.InMemory})
		if err == nil {
			err = registrar.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer registrar.Shutdown(context.Background())
		test(t, &pool{t, rsp.Config{Registrars: registrar.Addrs(), Network: rsp.InMemory}})
	})
}

func (p *pool) endpoint() *rsp.Endpoint {
	p.Helper()
	e, err := rsp.NewEndpoint(&p.cfg)
	if err != nil {
		p.Fatal(err)
	}
	return e
}

// server is a server of the test.
type server struct {
	*Service
	kill func()       // at once
	stop func() error // in good order
	log  *lines
}

// start starts a server; change changes its options.
func (p *pool) start(id rsp.PEID, change func(*Service)) *server {
	p.Helper()
	s := &server{Service: New(), log: new(lines)}
	s.VectorFile, s.ScalarFile = "", ""
	change(s.Service)
	e := p.endpoint()
	listener, err := e.Listen(p.Context(), Pool, rsp.PE{ID: id, Policy: rsp.LeastUsed(0)})
	if err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener, log.New(s.log, "", 0)) }()
	synctest.Wait()
	s.stop = sync.OnceValue(func() error {
		cancel()
		defer e.Close()
		return <-served
	})
	s.kill = func() { e.Abort(); s.stop() }
	return s
}

// lines are what somebody has printed.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// expect wants lines in this order, maybe with others between them.
func (p *pool) expect(l *lines, want ...string) {
	p.Helper()
	rest := l.String()
	for _, w := range want {
		_, after, found := strings.Cut(rest, w+"\n")
		if !found {
			p.Errorf("no line %q in its place in\n%s", w, l)
			return
		}
		rest = after
	}
}

// user is a client that plays its part message by message.
type user struct {
	*pool
	*rsp.Socket
	stop func()
}

func (p *pool) connect(d rsp.Dialer) *user {
	p.Helper()
	d.Endpoint = p.endpoint()
	session, err := d.Connect(p.Context(), Pool)
	if err != nil {
		p.Fatal(err)
	}
	synctest.Wait() // the servers number their sessions in this order
	return &user{p, session, func() { session.Close(); d.Endpoint.Close() }}
}

func (u *user) send(t MessageType, id uint32, size uint64) {
	u.Helper()
	if err := u.SendMsg(u.Context(), (&Message{Type: t, JobID: id, JobSize: size}).AppendTo(nil), rsp.MsgInfo{PPID: PPID}); err != nil {
		u.Fatal(err)
	}
}

// wants wants a message after some time since start.
func (u *user) wants(want Message, start time.Time, after time.Duration) {
	u.Helper()
	buf := make([]byte, 100)
	n, info, err := u.RecvFullMsg(u.Context(), buf)
	if err != nil {
		u.Fatalf("waiting for %+v: %v", want, err)
	}
	got, err := ParseMessage(buf[:n])
	if err != nil || got != want || info.PPID != PPID {
		u.Errorf("got %+v by PPID %v, %v; want %+v", got, info.PPID, err, want)
	}
	if late := time.Since(start) - after; late < 0 || late > 10*time.Millisecond {
		u.Errorf("%v came after %v, want %v", want.Type, time.Since(start), after)
	}
}

// A job is accepted, asked about every 2.5 s, and complete when its time has come; while two run, each gets half.
func TestServe(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		s := p.start(1, func(s *Service) { s.MaxJobs = 2 })
		a, b, c := p.connect(rsp.Dialer{}), p.connect(rsp.Dialer{}), p.connect(rsp.Dialer{})
		defer a.stop()
		defer b.stop()
		defer c.stop()
		start := time.Now()
		a.send(Request, 7, 3e6)
		a.wants(Message{Type: Accept, JobID: 7}, start, 0)
		time.Sleep(time.Until(start.Add(time.Second)))
		b.send(Request, 8, 5e5) // takes a second of half the capacity
		b.wants(Message{Type: Accept, JobID: 8}, start, time.Second)
		c.send(Request, 9, 1)
		c.wants(Message{Type: Reject, JobID: 9}, start, time.Second)
		b.wants(Message{Type: Complete, JobID: 8, JobSize: 5e5, Completed: 5e5}, start, 2*time.Second)
		a.wants(Message{Type: KeepAlive, JobID: 7}, start, 2500*time.Millisecond)
		a.send(KeepAliveAck, 7, 0)
		a.send(KeepAlive, 7, 0)
		a.wants(Message{Type: KeepAliveAck, JobID: 7}, start, 2500*time.Millisecond)
		a.send(KeepAlive, 8, 0) // not its job: no answer
		a.wants(Message{Type: Complete, JobID: 7, JobSize: 3e6, Completed: 3e6}, start, 3500*time.Millisecond)
		if u := s.Usage(); u.Accepted != 2 || u.Rejected != 1 || u.Running != 0 || u.Calculations != 3.5e6 {
			t.Errorf("usage %+v", u)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		p.expect(s.log, " Job added (1 are running)", "Job 1/7 of size 3e+06 accepted", "Job 2/8 of size 500000 accepted", "Job 3/9 rejected!",
			"Job 2/8 is complete!", " Job removed (1 still running)", "Job 1/7 is complete!", " Job removed (0 still running)")
	})
}

// A client that does not answer a keep-alive loses its job without a word, and keeps its session.
func TestNoKeepAlive(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		s := p.start(1, func(s *Service) { s.KeepAliveTimeoutInterval = time.Second })
		u := p.connect(rsp.Dialer{})
		defer u.stop()
		start := time.Now()
		u.send(Request, 1, 1e9)
		u.wants(Message{Type: Accept, JobID: 1}, start, 0)
		u.wants(Message{Type: KeepAlive, JobID: 1}, start, 2500*time.Millisecond)
		time.Sleep(1100 * time.Millisecond)
		p.expect(s.log, "No keep-alive for job 1/1 -> removing session", " Job removed (0 still running)")
		u.send(Request, 2, 0)
		u.wants(Message{Type: Accept, JobID: 2}, start, 3600*time.Millisecond)
		u.wants(Message{Type: Complete, JobID: 2}, start, 3600*time.Millisecond)
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Cookies come by time and by calculations; a server that is shut down sends a last one, and by it another server goes
// on where the first has stopped.
func TestCookiesOfServer(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Service)
		stop   bool // after 1.5 s; else the server is killed then
		want   uint64
	}{
		"by time":         {func(s *Service) { s.CookieMaxTime = time.Second }, false, 1e6},
		"by calculations": {func(s *Service) { s.CookieMaxCalculations = 4e5 }, false, 12e5},
		"at the end":      {func(s *Service) {}, true, 15e5},
		"none":            {func(s *Service) { s.CleanShutdownProbability = 0 }, true, 0},
		"none yet":        {func(s *Service) {}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inPool(t, func(t *testing.T, p *pool) {
				first := p.start(1, c.change)
				u := p.connect(rsp.Dialer{OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
					if f.HasCookie {
						return nil
					}
					return f.SendMsg((&Message{Type: Request, JobID: 1, JobSize: 2e6}).AppendTo(nil), rsp.MsgInfo{PPID: PPID})
				}})
				defer u.stop()
				second := p.start(2, func(*Service) {})
				u.send(Request, 1, 2e6)
				u.wants(Message{Type: Accept, JobID: 1}, time.Now(), 0)
				time.Sleep(1500 * time.Millisecond)
				if c.stop {
					first.stop()
				} else {
					first.kill()
				}
				moved := time.Now()
				u.wants(Message{Type: Accept, JobID: 1}, moved, 0)
				u.wants(Message{Type: Complete, JobID: 1, JobSize: 2e6, Completed: 2e6}, moved, time.Duration(2e6-c.want)*time.Microsecond)
				if c.want > 0 {
					p.expect(second.log, fmt.Sprintf("Job 1/1 of size 2e+06, completed %.6g accepted from cookie echo", float64(c.want)))
				} else {
					p.expect(second.log, "Job 1/1 of size 2e+06 accepted")
				}
				second.stop()
			})
		})
	}
}

// The registrar is told how many of the jobs that there may be run.
func TestLoad(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		s := p.start(1, func(s *Service) { s.MaxJobs = 4 })
		u := p.connect(rsp.Dialer{})
		defer u.stop()
		wantLoad := func(want float64) {
			t.Helper()
			synctest.Wait()
			e := p.endpoint()
			defer e.Close()
			r, err := e.Resolve(t.Context(), Pool, 1)
			if err != nil || r.Elements[0].Policy != rsp.LeastUsed(want) {
				t.Errorf("%+v, %v; want the load %v", r, err, want)
			}
		}
		wantLoad(0)
		u.send(Request, 1, 1e6)
		u.wants(Message{Type: Accept, JobID: 1}, time.Now(), 0)
		wantLoad(0.25)
		time.Sleep(2 * time.Second)
		wantLoad(0)
		s.stop()
	})
}

// What is no message, and what is no cookie, ends its session and no other.
func TestServerAndNonsense(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		s := p.start(1, func(*Service) {})
		u := p.connect(rsp.Dialer{})
		defer u.stop()
		bad := p.connect(rsp.Dialer{Failover: rsp.FailoverNone})
		defer bad.stop()
		if _, err := bad.Write([]byte("nonsense")); err != nil {
			t.Fatal(err)
		}
		if n, err := bad.Read(make([]byte, 100)); err != io.EOF {
			t.Errorf("%d bytes, %v; want io.EOF", n, err)
		}
		start := time.Now()
		u.send(Request, 1, 1)
		u.wants(Message{Type: Accept, JobID: 1}, start, 0)
		s.stop()
	})
}
