package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// RFC 5352 section 3.1: "At any time, a registered PE MAY wish to re-register to ... update
// its member selection Policy Value".
func TestSetPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		socket, err := s.endpoint("a", s.host(), rsp.Config{}).Listen(ctx(), "Pool", rsp.PE{Policy: rsp.WeightedRoundRobin(1)})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := socket.SetPolicy(ctx(), rsp.WeightedRoundRobin(7)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 2*latency {
			t.Errorf("SetPolicy took %v, want the round trip to the registrar, %v", took, 2*latency)
		}
		s.wantPolicy("WeightedRoundRobin:7")
		if got := socket.Policy(); got != rsp.WeightedRoundRobin(7) {
			t.Errorf("Policy is %v", got)
		}
		if err := socket.SetPolicy(ctx(), rsp.Random()); !errors.Is(err, rsp.ErrPolicyType) {
			t.Errorf("another type of policy: %v", err)
		}
		s.wantPolicy("WeightedRoundRobin:7")
		if err := socket.DeregisterPE(ctx()); err != nil {
			t.Fatal(err)
		}
		if err := socket.SetPolicy(ctx(), rsp.WeightedRoundRobin(1)); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("deregistered: %v", err)
		}
		if got := socket.Policy(); got != (rsp.Policy{}) {
			t.Errorf("deregistered: Policy is %v", got)
		}
	})
}

func (s *scope) wantPolicy(want string) {
	s.t.Helper()
	if got := s.reg.Pools()[0].Elements[0].Policy.String(); got != want {
		s.t.Errorf("the registrar knows %s, want %s", got, want)
	}
}

// A load that changes often is not told more often than a registrar answers, and what it knows in the end is the
// load that was set last.
func TestSetPolicyCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		socket, err := s.endpoint("a", s.host(), rsp.Config{}).Listen(ctx(), "Pool", rsp.PE{Policy: rsp.LeastUsed(0)})
		if err != nil {
			t.Fatal(err)
		}
		before := s.reg.Stats().Reregistrations
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if err := socket.SetPolicy(ctx(), rsp.LeastUsed(float64(i)/2000)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if told := s.reg.Stats().Reregistrations - before; told != 2 {
			t.Errorf("1000 policies at once were told by %d registrations, want 2: the first, and the last", told)
		}
		if err := socket.SetPolicy(ctx(), rsp.LeastUsed(0.75)); err != nil {
			t.Fatal(err)
		}
		s.wantPolicy("LeastUsed:0.75")
	})
}

// A policy that no registrar can be told now is told as soon as there is one.
func TestSetPolicyWithoutRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		socket, err := s.endpoint("a", s.host(), rsp.Config{}).Listen(ctx(), "Pool", rsp.PE{Policy: rsp.LeastUsed(0)})
		if err != nil {
			t.Fatal(err)
		}
		s.reg.Abort()
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		if err := socket.SetPolicy(short, rsp.LeastUsed(0.5)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SetPolicy: %v", err)
		}
		s.startRegistrar(s.registrarHost)
		time.Sleep(10 * time.Second)
		s.wantPolicy("LeastUsed:0.5")
	})
}

// An unhealthy pool element is selected no more, and its sessions go on; healthy again,
// it is the one it was.
func TestSetHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		old := s.connect(rsp.Dialer{})
		exchange(t, old, "before", 1)
		s.pe("b", 2, nil)
		for range 2 { // the second time changes nothing
			if err := a.socket.SetHealthy(ctx(), false); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.reg.Stats().Elements; n != 1 {
			t.Errorf("the pool has %d elements, want B alone", n)
		}
		exchange(t, old, "it goes on", 1)
		for i := range 3 {
			exchange(t, s.connect(rsp.Dialer{}), fmt.Sprint("new ", i), 2)
		}
		if err := a.socket.SetPolicy(ctx(), rsp.RoundRobin()); err != nil {
			t.Errorf("SetPolicy while it is unhealthy: %v", err)
		}
		if n := s.reg.Stats().Elements; n != 1 {
			t.Error("SetPolicy registered a PE that is unhealthy")
		}
		for range 2 {
			if err := a.socket.SetHealthy(ctx(), true); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.endpoint("pu", s.host(), rsp.Config{}).Resolve(ctx(), "EchoPool", rsp.AllElements)
		if err != nil || len(r.Elements) != 2 || a.socket.LocalPE() != 1 {
			t.Errorf("healthy again: %v, %v", r, err)
		}
		exchange(t, old, "and on", 1)
	})
}

// The policy that an unhealthy pool element is given is that with which it comes back.
func TestSetPolicyWhileUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		socket, err := s.endpoint("a", s.host(), rsp.Config{}).Listen(ctx(), "Pool", rsp.PE{Policy: rsp.LeastUsed(0.25)})
		if err != nil {
			t.Fatal(err)
		}
		steps := []error{
			socket.SetHealthy(ctx(), false), socket.SetPolicy(ctx(), rsp.LeastUsed(0.5)), socket.SetHealthy(ctx(), true),
		}
		if err := errors.Join(steps...); err != nil {
			t.Fatal(err)
		}
		s.wantPolicy("LeastUsed:0.5")
	})
}

// SetHealthy(true) after a SetHealthy(false) that nobody waited for to its end: the pool
// element leaves first, then comes back.
func TestSetHealthyInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		ended, cancel := context.WithCancel(ctx())
		cancel()
		if err := a.socket.SetHealthy(ended, false); !errors.Is(err, context.Canceled) {
			t.Fatalf("SetHealthy with a context that has ended: %v", err)
		}
		if err := a.socket.SetHealthy(ctx(), true); err != nil {
			t.Fatal(err)
		}
		if stats := s.reg.Stats(); stats.Elements != 1 || stats.Deregistrations != 1 {
			t.Errorf("%+v", stats)
		}
		if err := a.socket.Close(); err != nil {
			t.Fatal(err)
		}
		if err := a.socket.SetHealthy(ctx(), true); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
