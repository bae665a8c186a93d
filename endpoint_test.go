package rsp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

func ctx() context.Context { return context.Background() }

// RFC 5352 section 3.1: "After establishing a new Home ENRP server, the PE SHOULD restart
// the registration procedure": at once, where RSPLIB waits for its next interval.
func TestPERegistersAnewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		old := s.reg
		host := s.net.Host("10.1.0.1")
		// The scope's second registrar is known to the PE, but not needed yet.
		pe := s.endpoint("two", s.host(), rsp.Config{Registrars: []string{s.addr, "10.1.0.1:3863"}})
		if _, err := pe.Listen(ctx(), "OtherPool", rsp.PE{ID: 2}); err != nil {
			t.Fatal(err)
		}
		s.startRegistrar(host)
		start := time.Now()
		old.Abort()
		for len(s.reg.Pools()) == 0 {
			if time.Since(start) > time.Second {
				t.Fatal("the PE is not registered at the second registrar after a second")
			}
			time.Sleep(latency)
		}
		if pools := s.reg.Pools(); pools[0].Handle != "OtherPool" || pools[0].Elements[0].ID != 2 {
			t.Errorf("the second registrar has %+v", pools)
		}
	})
}

// A registrar that comes back with an empty handlespace has its PEs again within a round of
// their hunt, however long it was away.
func TestRegistrarRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		s.reg.Abort()
		time.Sleep(5 * time.Minute)
		s.startRegistrar(s.registrarHost)
		start := time.Now()
		for len(s.reg.Pools()) == 0 {
			if time.Since(start) > 8*time.Second {
				t.Fatal("the PE is not registered after a round of the hunt")
			}
			time.Sleep(10 * latency)
		}
	})
}

// RSPLIB's connect reports success where no PE was found: ours does not.
func TestConnectErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		if _, err := e.Connect(ctx(), "NoSuchPool"); !errors.Is(err, rsp.ErrUnknownPool) {
			t.Errorf("unknown pool: %v", err)
		}
		for _, pool := range []rsp.PoolHandle{"", rsp.PoolHandle(strings.Repeat("x", 33)), rsp.PoolHandle(strings.Repeat("x", 65000))} {
			if _, err := e.Connect(ctx(), pool); !errors.Is(err, rsp.ErrPoolHandle) {
				t.Errorf("handle of %d bytes: %v", len(pool), err)
			}
		}
		lost := s.endpoint("lost", s.host(), rsp.Config{Registrars: []string{"10.9.9.9:3863"}})
		start := time.Now()
		_, err := lost.Connect(ctx(), "EchoPool")
		if took := time.Since(start); !errors.Is(err, rsp.ErrNoRegistrar) || took != 3*time.Second {
			t.Errorf("no registrar: %v after %v", err, took)
		}
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		if _, err := lost.Connect(short, "EchoPool"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context: %v", err)
		}
		if ne, ok := errors.AsType[net.Error](err); !ok || ne.Timeout() {
			t.Errorf("%v is no net.Error that is no timeout", err)
		}
	})
}

// RFC 5352 section 3.5: "the ASAP Endpoint SHOULD report the unavailability of the PE by sending an
// ASAP_ENDPOINT_UNREACHABLE message to any ENRP server": Connect does, though it has tried the next long before
// ConnectTimeout.
func TestConnectPassesDeadPE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		dead := s.pe("dead", 1, nil)
		s.pe("alive", 2, nil)
		dead.host.Kill() // the registrar has not noticed yet
		start := time.Now()
		session := s.connect(rsp.Dialer{})
		if took := time.Since(start); session.PeerPE() != 2 || took > 300*time.Millisecond {
			t.Errorf("connected to PE %v after %v", session.PeerPE(), took)
		}
		time.Sleep(5 * time.Second)
		if n := s.reg.Stats().FailureReports; n != 1 {
			t.Errorf("%d failure reports, want 1", n)
		}
	})
}

// RFC 5352 section 3.3: "C2) Have a stale timeout timer associated with each cache entry."
func TestStaleCacheValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		e := s.endpoint("pu", s.host(), rsp.Config{StaleCache: 10 * time.Second})
		resolutions := func() uint64 { return s.reg.Stats().Resolutions }
		for range 3 {
			if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil {
				t.Fatal(err)
			}
		}
		if n := resolutions(); n != 1 {
			t.Errorf("%d resolutions while the cache is fresh, want 1", n)
		}
		time.Sleep(4 * time.Second)
		r, err := e.Resolve(ctx(), "EchoPool", 0)
		if err != nil || len(r.Elements) != 1 || r.Elements[0].ID != 1 || r.Age < 4*time.Second || r.Age > 4*time.Second+10*latency {
			t.Errorf("from the cache: %+v, %v", r, err)
		}
		time.Sleep(6 * time.Second)
		if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || resolutions() != 2 {
			t.Errorf("a stale entry was used: %d resolutions, %v", resolutions(), err)
		}
		// What was reported is not served any more: the registrar, which sends an
		// ASAP_ENDPOINT_KEEP_ALIVE first (section 3.5), may still know it.
		if err := e.ReportFailure("EchoPool", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || resolutions() != 3 {
			t.Errorf("a reported entry was used: %d resolutions, %v", resolutions(), err)
		}
		a.die()
		time.Sleep(10 * time.Second)
		if _, err := e.Resolve(ctx(), "EchoPool", 0); !errors.Is(err, rsp.ErrUnknownPool) {
			t.Errorf("after the pool's end: %v", err)
		}
	})
}

// Without a stale cache value each resolution asks the registrar.
func TestNoStaleCacheValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		for range 3 {
			if _, err := e.Resolve(ctx(), "EchoPool", rsp.AllElements); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.reg.Stats().Resolutions; n != 3 {
			t.Errorf("%d resolutions, want 3", n)
		}
	})
}

// RFC 5352 section 3.1: a registration with another policy than the pool's is rejected, and
// "the PE MUST NOT re-attempt registration without correcting the error condition".
func TestRegistrationRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		e := s.endpoint("b", s.host(), rsp.Config{})
		socket := e.Socket()
		defer socket.Close()
		err := socket.RegisterPE(ctx(), "EchoPool", rsp.PE{Policy: rsp.Random()})
		if cause, ok := rsp.CauseOf(err); !ok || cause.String() != "inconsistent pooling policy" {
			t.Errorf("RegisterPE: %v", err)
		}
		if err := socket.RegisterPE(ctx(), "EchoPool", rsp.PE{}); err != nil {
			t.Errorf("RegisterPE with the pool's policy: %v", err)
		}
	})
}

// A load that changes is told by registering again.
func TestRegisterAgainTellsNewPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("a", s.host(), rsp.Config{})
		socket, err := e.Listen(ctx(), "Pool", rsp.PE{Policy: rsp.LeastUsed(0.25)})
		if err != nil {
			t.Fatal(err)
		}
		if err := socket.RegisterPE(ctx(), "Pool", rsp.PE{Policy: rsp.LeastUsed(0.5)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * latency)
		if p := s.reg.Pools()[0].Elements[0].Policy.String(); p != "LeastUsed:0.5" {
			t.Errorf("the registrar knows %v", p)
		}
		if err := socket.RegisterPE(ctx(), "OtherPool", rsp.PE{}); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("another pool: %v", err)
		}
	})
}

// Close deregisters; Abort leaves that to the registrar.
func TestCloseDeregisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		if err := a.socket.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if stats := s.reg.Stats(); stats.Deregistrations != 1 || stats.Elements != 0 {
			t.Errorf("%+v", stats)
		}
		if _, err := a.socket.AcceptSocket(ctx()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("AcceptSocket after Close: %v", err)
		}
		if err := a.socket.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	})
}

// A closed Endpoint has closed everything of it.
func TestEndpointClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		session := s.connect(rsp.Dialer{Endpoint: e})
		exchange(t, session, "x", 1)
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := session.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
		if _, err := e.Connect(ctx(), "EchoPool"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Connect: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("Close of the PE: %v", err)
		}
		if n := s.reg.Stats().Elements; n != 0 {
			t.Errorf("%d elements are left", n)
		}
	})
}

// A fresh Socket is neither PE nor session.
func TestSocketRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("a", s.host(), rsp.Config{})
		fresh := e.Socket()
		_, acceptErr := fresh.AcceptSocket(ctx())
		_, readErr := fresh.Read(make([]byte, 1))
		for _, err := range []error{acceptErr, readErr, fresh.DeregisterPE(ctx()), fresh.SendCookie(ctx(), []byte("x")), fresh.SetDeadline(time.Now())} {
			if !errors.Is(err, rsp.ErrNoRole) {
				t.Errorf("%v, want ErrNoRole", err)
			}
		}
		if err := fresh.Bind("nonsense"); err == nil {
			t.Error("Bind took nonsense")
		}
		if err := fresh.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := fresh.Listen(ctx()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Listen after Close: %v", err)
		}
	})
}

// Configurations that make no sense are refused with words.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		cfg  rsp.Config
		want string
	}{
		{rsp.Config{Registrars: []string{""}}, "needs a host and a port"},
		{rsp.Config{Registrars: []string{"no where"}}, "no host name"},
		{rsp.Config{Registrars: []string{"http://nowhere"}}, "0 to 65535"},
		{rsp.Config{Registrars: []string{"0.0.0.0:3863"}}, "needs a host and a port"},
		{rsp.Config{Registrars: []string{"10.0.0.1:3863:1"}}, "too many colons"},
		{rsp.Config{Registrars: []string{"localhost:0"}}, "needs a host and a port"},
		{rsp.Config{Registrars: []string{":3863"}}, "needs a host and a port"},
		{rsp.Config{Registrars: []string{"127.0.0.1:70000"}}, "0 to 65535"},
		{rsp.Config{ReregistrationInterval: -1}, "ReregistrationInterval must not be negative"},
		{rsp.Config{ReregistrationInterval: 50 * 24 * time.Hour}, "at most"},
		{rsp.Config{Network: 99}, "unknown network"},
	} {
		if c.cfg.Network == rsp.Auto {
			c.cfg.Network = rsp.InMemory
		}
		e, err := rsp.NewEndpoint(&c.cfg)
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}
