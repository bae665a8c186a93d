package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/simnet"
)

// peers is an operation scope with several registrars on a network in memory, of which each
// knows all others by configuration.
type peers struct {
	*scope
	hosts []*simnet.Host
	regs  []*rsp.Registrar
}

func newPeers(t *testing.T, n int) *peers {
	p := &peers{scope: &scope{t: t, net: simnet.New(simnet.Config{Latency: latency})}}
	for range n {
		p.hosts = append(p.hosts, p.host())
		p.regs = append(p.regs, nil)
	}
	for i := range n {
		p.start(i)
	}
	time.Sleep(time.Second) // they find each other
	return p
}

func (p *peers) asapAddr(i int) string { return p.hosts[i].Addrs()[0].String() + ":3863" }

// start starts registrar i, whose identifier is i+1.
func (p *peers) start(i int) {
	p.t.Helper()
	cfg := rsp.RegistrarConfig{
		ID: rsp.RegistrarID(i + 1), Address: p.asapAddr(i), Logger: testLog(p.t, fmt.Sprintf("registrar %d", i+1)),
	}
	for k, h := range p.hosts {
		if k != i {
			cfg.Peers = append(cfg.Peers, h.Addrs()[0].String())
		}
	}
	p.regs[i] = rsp.NewRegistrarOn(cfg, p.hosts[i])
	if err := p.regs[i].Start(ctx()); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.regs[i].Abort)
}

// all are the addresses of all registrars, the given one first.
func (p *peers) all(first int) []string {
	addrs := []string{p.asapAddr(first)}
	for i := range p.hosts {
		if i != first {
			addrs = append(addrs, p.asapAddr(i))
		}
	}
	return addrs
}

// peAt registers a PE at registrar i; it knows only the registrars of the list.
func (p *peers) peAt(id rsp.PEID, registrars ...string) *rsp.Endpoint {
	p.t.Helper()
	e := p.endpoint(fmt.Sprintf("pe %d", id), p.host(), rsp.Config{Registrars: registrars})
	if _, err := e.Listen(ctx(), "Pool", rsp.PE{ID: id}); err != nil {
		p.t.Fatal(err)
	}
	return e
}

// homes lists the PEs of registrar i as "PE@home".
func (p *peers) homes(i int) []string {
	var homes []string
	for _, pool := range p.regs[i].Pools() {
		for _, el := range pool.Elements {
			homes = append(homes, fmt.Sprintf("%d@%d", el.ID, el.Registrar))
		}
	}
	return homes
}

// wantHomes waits until all registrars of the list have the same PEs.
func (p *peers) wantHomes(within time.Duration, registrars []int, want ...string) {
	p.t.Helper()
	start := time.Now()
	for {
		same := true
		for _, i := range registrars {
			same = same && slices.Equal(p.homes(i), want)
		}
		if same {
			return
		}
		if time.Since(start) > within {
			for _, i := range registrars {
				p.t.Errorf("registrar %d has %v after %v, want %v", i+1, p.homes(i), within, want)
			}
			p.t.FailNow()
		}
		time.Sleep(latency)
	}
}

// RFC 5353 section 3.3: "Other ENRP servers ... need to be updated": what registers with one
// registrar is known to all.
func TestUpdatesReachPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(t, 3)
		for i := range 3 {
			if n := len(p.regs[i].Peers()); n != 2 {
				t.Errorf("registrar %d has the peers %+v", i+1, p.regs[i].Peers())
			}
		}
		a := p.peAt(1, p.asapAddr(0))
		p.peAt(2, p.asapAddr(1))
		p.wantHomes(10*latency, []int{0, 1, 2}, "1@1", "2@2")
		a.Close()
		p.wantHomes(10*latency, []int{0, 1, 2}, "2@2")
	})
}

// RFC 5353 section 3.2.3: a new registrar downloads the handlespace from its mentor.
func TestNewRegistrarHasTheHandlespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(t, 2)
		for id := range 300 {
			p.peAt(rsp.PEID(id+1), p.asapAddr(0))
		}
		p.regs[1].Abort()
		time.Sleep(time.Second)
		p.start(1)
		start := time.Now()
		for len(p.homes(1)) != 300 {
			if time.Since(start) > time.Second {
				t.Fatalf("%d of 300 PEs after a second", len(p.homes(1)))
			}
			time.Sleep(latency)
		}
	})
}

// A registrar that is killed: its PEs stay resolvable throughout, and have a new home within a
// second, with two registrars as with three. RSPLIB takes 8 s with three, and never ends with two.
func TestHomeRegistrarKilled(t *testing.T) {
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprintf("%d registrars", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeers(t, n)
				p.peAt(1, p.asapAddr(0)) // knows only the one that will be killed
				p.peAt(2, p.all(0)...)
				time.Sleep(time.Second)
				if n := len(p.homes(1)); n != 2 {
					t.Fatalf("registrar 2 has %v", p.homes(1))
				}
				pu := p.endpoint("pu", p.host(), rsp.Config{Registrars: []string{p.asapAddr(1)}})
				p.regs[0].Abort()
				for start := time.Now(); time.Since(start) < time.Second; time.Sleep(10 * time.Millisecond) {
					r, err := pu.Resolve(ctx(), "Pool", 0)
					if err != nil || len(r.Elements) != 2 {
						t.Fatalf("%v after the kill: %+v, %v", time.Since(start), r, err)
					}
				}
				for _, pool := range p.regs[1].Pools() {
					for _, el := range pool.Elements {
						if el.Registrar == 1 {
							t.Errorf("PE %v still has the dead home", el.ID)
						}
					}
				}
			})
		})
	}
}

// A registrar that is silently cut off is taken over when its time is up; when it comes back, all
// tables become the same.
func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(t, 3)
		p.peAt(1, p.all(0)[0])
		p.wantHomes(time.Second, []int{0, 1, 2}, "1@1")
		cut := func(f func(a, b int)) {
			f(0, 1)
			f(0, 2)
		}
		cut(func(a, b int) { p.net.Cut(p.hosts[a].Addrs()[0], p.hosts[b].Addrs()[0]) })
		time.Sleep(20 * time.Second)
		taken := p.homes(1)
		if len(taken) != 1 || taken[0] == "1@1" {
			t.Errorf("after 20 s of silence registrar 2 has %v", taken)
		}
		p.wantHomes(time.Second, []int{1, 2}, taken...)
		cut(func(a, b int) { p.net.Heal(p.hosts[a].Addrs()[0], p.hosts[b].Addrs()[0]) })
		p.wantHomes(30*time.Second, []int{0, 1, 2}, taken...)
	})
}

// Shutdown hands the PEs to a peer: they are never without a home.
func TestShutdownHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(t, 2)
		for id := range 20 {
			p.peAt(rsp.PEID(id+1), p.asapAddr(0))
		}
		start := time.Now()
		if err := p.regs[0].Shutdown(ctx()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("the hand-over took %v", took)
		}
		time.Sleep(time.Minute)
		homes := p.homes(1)
		if len(homes) != 20 || homes[0] != "1@2" {
			t.Errorf("the successor has %v", homes)
		}
	})
}

// The peers of an in-library registrar can be watched through a takeover.
func TestWatchTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(t, 2)
		p.peAt(1, p.asapAddr(0))
		p.wantHomes(time.Second, []int{0, 1}, "1@1")
		watch, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		p.regs[0].Abort()
		var last rsp.Change
		for c, err := range p.regs[1].Watch(watch) {
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				break
			}
			if c.Kind == rsp.Removed {
				t.Errorf("the PE was removed: %v", c.Reason)
			}
			if c.Reason == rsp.TakenOver {
				last = c
			}
		}
		if last.Element.ID != 1 || last.OldHome != 1 || last.Element.Registrar != 2 {
			t.Errorf("no takeover was told: %+v", last)
		}
	})
}
