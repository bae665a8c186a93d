package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

var (
	errRefused = os.NewSyscallError("connect", syscall.ECONNREFUSED)
	errSlow    = errors.New("too slow")
)

// testElement is a proxy PE whose service is what the test says.
type testElement struct {
	*scope
	*element
	health atomic.Pointer[error] // what the check gives
	load   atomic.Int64          // in hundredths
	stop   func()
}

func newTestElement(t *testing.T, policy rsp.Policy) *testElement {
	t.Helper()
	te := &testElement{scope: newScope(t, rsp.InMemory)}
	te.be(nil)
	o := &options{pool: testPool, policy: policy, interval: time.Second, maxConnections: 100, service: addrA}
	service, err := resolveService(t.Context(), o.service)
	if err != nil {
		t.Fatal(err)
	}
	te.element = newDirect(o, te.endpoint(rsp.Config{}), service, testLog(t))
	te.check = func(context.Context) error { return *te.health.Load() }
	if te.element.load != nil {
		te.element.load = func() (float64, error) { return float64(te.load.Load()) / 100, nil }
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { te.run(ctx) })
	te.stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(te.stop)
	return te
}

// be makes the service healthy (nil), or not.
func (te *testElement) be(err error) { te.health.Store(&err) }

// member tells after d whether the service is in the pool.
func (te *testElement) memberAfter(d time.Duration) bool {
	time.Sleep(d)
	return len(te.elements()) == 1
}

// A service is a pool element while it is healthy, and under one identifier.
func TestElementHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		te := newTestElement(t, rsp.WeightedRoundRobin(3))
		if !te.memberAfter(10 * time.Millisecond) { // so that no check is at the same time as what follows
			t.Fatal("a healthy service is not registered")
		}
		el := te.elements()[0]
		if el.Protocol != "tcp" || el.ControlChannel || el.Policy != rsp.WeightedRoundRobin(3) || len(el.Addrs) != 1 || el.Addrs[0].String() != addrA {
			t.Errorf("it is registered as %+v", el)
		}
		te.be(errRefused)
		if te.memberAfter(time.Second) {
			t.Error("a service that refuses is in the pool after one check")
		}
		te.be(nil)
		if !te.memberAfter(time.Second) {
			t.Fatal("it is not back")
		}
		if id := te.elements()[0].ID; id != el.ID {
			t.Errorf("it is back as %v, and was %v", id, el.ID)
		}
		te.be(errSlow)
		if !te.memberAfter((failures - 1) * time.Second) {
			t.Error("a service is gone after too few failed checks")
		}
		te.be(nil)
		time.Sleep(time.Second)
		te.be(errSlow)
		if !te.memberAfter((failures - 1) * time.Second) {
			t.Error("failures before a success were counted")
		}
		if te.memberAfter(time.Second) {
			t.Errorf("it is in the pool after %d failures", failures)
		}
		te.be(nil)
		te.memberAfter(time.Second)
		te.stop()
		if len(te.elements()) != 0 {
			t.Error("the end of the proxy does not deregister the service")
		}
	})
}

// A service that is not healthy at first is no pool element.
func TestElementUnhealthyAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		te := newTestElement(t, rsp.Policy{})
		te.be(errSlow)
		time.Sleep((failures+1)*time.Second + 10*time.Millisecond) // the first check may have been before
		if len(te.elements()) != 0 {
			t.Fatal("it is registered")
		}
		te.be(nil)
		if !te.memberAfter(time.Second) {
			t.Error("it is not registered when it is healthy")
		}
	})
}

// The load that is measured is told when it has changed by a hundredth.
func TestElementLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		te := newTestElement(t, rsp.LeastUsed(0))
		for _, c := range []struct {
			load int64
			want rsp.Policy
		}{{0, rsp.LeastUsed(0)}, {50, rsp.LeastUsed(0.5)}, {51, rsp.LeastUsed(0.51)}, {300, rsp.LeastUsed(1)}, {0, rsp.LeastUsed(0)}} {
			te.load.Store(c.load)
			time.Sleep(time.Second + time.Millisecond)
			if els := te.elements(); len(els) != 1 || els[0].Policy != c.want {
				t.Errorf("with a load of %d the registrar has %+v, want %v", c.load, els, c.want)
			}
		}
		before := te.registrar.Stats().Reregistrations
		time.Sleep(10 * time.Second)
		if n := te.registrar.Stats().Reregistrations; n != before {
			t.Errorf("an equal load was told %d times", n-before)
		}
	})
}

// A registrar that comes back has the service again, without the proxy having anything to do; while it is away the
// checks go on.
func TestElementOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		te := newTestElement(t, rsp.Policy{})
		if !te.memberAfter(10 * time.Millisecond) {
			t.Fatal("not registered")
		}
		addr := te.registrar.Addrs()[0]
		te.registrar.Abort()
		time.Sleep(5 * time.Second)
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: addr, Network: rsp.InMemory})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Abort()
		te.scope.registrar = r
		if !te.memberAfter(10 * time.Second) {
			t.Error("not registered at the new registrar")
		}
	})
}

// With -session the service is reached by sessions, of pool users that know RSerPool, and the load is that of the
// sessions.
func TestElementSessions(t *testing.T) {
	s := newScope(t, rsp.TCPMapping)
	service := listen(t, func(c net.Conn) { // answers twice
		defer c.Close()
		buf := make([]byte, 10)
		for range 2 {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			c.Write(append([]byte("service "), buf[:n]...))
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	o := &options{
		pool: testPool, service: service, session: true, policy: rsp.LeastUsed(0), check: "tcp",
		interval: 10 * time.Millisecond, maxConnections: 2, connectTimeout: time.Second, drain: time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- runElement(ctx, o, s.endpoint(rsp.Config{}), new(traffic), testLog(t)) }()
	waitFor(t, "registration", func() bool { return len(s.elements()) == 1 })
	d := rsp.Dialer{Endpoint: s.endpoint(rsp.Config{}), Failover: rsp.FailoverNone}
	session, err := d.Connect(t.Context(), testPool)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, session, "x"); got != "service x" {
		t.Errorf("%q, want the service's answer", got)
	}
	waitFor(t, "load of a half", func() bool { els := s.elements(); return len(els) == 1 && els[0].Policy == rsp.LeastUsed(0.5) })
	session.Close()
	waitFor(t, "no load", func() bool { els := s.elements(); return len(els) == 1 && els[0].Policy == rsp.LeastUsed(0) })

	// The service's end is the session's.
	session, err = d.Connect(t.Context(), testPool)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for range 2 {
		if got := ask(t, session, "x"); got != "service x" {
			t.Errorf("%q, want the service's answer", got)
		}
	}
	if rest, err := io.ReadAll(session); len(rest) != 0 || err != nil {
		t.Errorf("after the service's end: %q, %v", rest, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(s.elements()) != 0 {
		t.Error("it is registered after its end")
	}
}

func TestResolveService(t *testing.T) {
	for _, c := range []struct{ address, want, reachable string }{
		{"127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:80"},
		{":80", "0.0.0.0:80", "127.0.0.1:80"},
		{"[::]:80", "[::]:80", "[::1]:80"},
		{"[2001:db8::1]:80", "[2001:db8::1]:80", "[2001:db8::1]:80"},
	} {
		got, err := resolveService(t.Context(), c.address)
		if err != nil || got.String() != c.want || reachable(got).String() != c.reachable {
			t.Errorf("%q: %v, reached at %v, %v", c.address, got, reachable(got), err)
		}
	}
	for _, address := range []string{"", "80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x"} {
		if got, err := resolveService(t.Context(), address); err == nil {
			t.Errorf("%q: %v", address, got)
		}
	}
}

func TestHasLoad(t *testing.T) {
	for name, want := range map[string]bool{"RoundRobin": false, "WeightedRandom:3": false, "LeastUsed": true, "RandomizedLeastUsedDegradation:0.1": true} {
		p, err := rsp.ParsePolicy(name)
		if err != nil || hasLoad(p) != want {
			t.Errorf("%s: %v, %v", name, hasLoad(p), err)
		}
	}
}
