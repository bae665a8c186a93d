package registrar

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

var (
	faultSeed  = flag.Uint64("seed", 0, "run TestFaults with this seed alone, and tell all")
	faultCount = flag.Int("schedules", 300, "how many schedules TestFaults runs")
)

// Whatever happens to registrars, PEs and the network: once it is over, all registrars have the
// same handlespace, with exactly the PEs that live, without the help of reregistrations. As values on a bus they do the same in each
// run: `go test -run TestFaults -seed=N -v` shows one schedule again. TestConvergence of package rsp has
// the real goroutines and transports.
func TestFaults(t *testing.T) {
	if *faultSeed != 0 {
		testFaults(t, *faultSeed)
		return
	}
	for seed := range uint64(*faultCount) {
		if testFaults(t, seed+1); t.Failed() {
			t.Fatalf("seed %d", seed+1)
		}
	}
}

// scope is a bus on which faults happen.
type scope struct {
	*bus
	rand *rand.Rand
	pes  []*node // by number, from 0; nil: it does not live
	made int     // registrars
}

func testFaults(t *testing.T, seed uint64) {
	s := &scope{bus: newBus(t), rand: rand.New(rand.NewPCG(seed, 0))}
	s.reregistration = time.Hour // which would repair what registrars do not
	if *faultSeed != 0 {
		s.trace = func(from, to *node, what fmt.Stringer, how string) {
			line := fmt.Sprintf("%8.3fs %s", s.now.Sub(s.begin).Seconds(), from.name)
			if to != nil {
				line += " -> " + to.name
			}
			t.Logf("%s: %s%v", line, how, what)
		}
	}
	for range 2 + s.rand.IntN(3) {
		s.startRegistrar()
		s.run(s.upTo(time.Second))
	}
	s.pes = make([]*node, s.rand.IntN(9))
	for i := range s.pes {
		s.startPE(i)
	}
	for range 30 {
		s.run(s.upTo(5 * time.Second))
		s.fault()
	}
	s.run(s.upTo(5 * time.Second))
	for i, n := range s.nodes {
		for _, p := range s.nodes[:i] {
			s.join(n, p)
		}
	}
	s.run(2 * time.Minute)
	s.wantConverged()
}

func (s *scope) upTo(d time.Duration) time.Duration { return time.Duration(s.rand.Int64N(int64(d))) }

// registrars lists those that live.
func (s *scope) registrars() []*node {
	return slices.DeleteFunc(slices.Clone(s.nodes), func(n *node) bool { return n.registrar == nil || !n.alive })
}

// startRegistrar starts a registrar that knows the others, of a new identifier on a new machine.
func (s *scope) startRegistrar() {
	s.made++
	peers := s.registrars()
	s.addRegistrar(protocol.RegistrarID(s.made), 1+s.rand.IntN(4)).start(peers)
}

func (s *scope) startPE(i int) {
	id := protocol.PEID(i + 1)
	s.pes[i] = s.addPE(id, s.registrars)
	s.pes[i].register("Pool", id, protocol.Policy{Type: protocol.RoundRobin})
}

// fault is one thing that happens. One registrar at least stays.
func (s *scope) fault() {
	registrars := s.registrars()
	r, other := registrars[s.rand.IntN(len(registrars))], registrars[s.rand.IntN(len(registrars))]
	switch kind := s.rand.IntN(10); {
	case kind < 2 && r != other:
		s.separate(r, other)
	case kind == 2 && len(s.pes) > 0:
		if pe := s.pes[s.rand.IntN(len(s.pes))]; pe != nil {
			s.separate(r, pe)
		}
	case kind < 5:
		for _, n := range s.nodes {
			if r != n && r.isCut(n) {
				s.join(r, n)
			}
		}
	case kind == 5 && len(registrars) < 4:
		s.startRegistrar()
	case kind == 6 && len(registrars) > 1:
		r.stop(transport.ErrAborted)
	case len(s.pes) > 0:
		s.startOrEndPE(s.rand.IntN(len(s.pes)))
	}
}

func (s *scope) startOrEndPE(i int) {
	switch pe := s.pes[i]; {
	case pe == nil:
		s.startPE(i)
		return
	case s.rand.IntN(2) == 0:
		pe.client.Deregister(s.now, "Pool", protocol.PEID(i+1))
		pe.drain()
		fallthrough
	default:
		pe.stop(transport.ErrAborted)
		s.pes[i] = nil
	}
}

func (s *scope) wantConverged() {
	registrars := s.registrars()
	homes := s.table(registrars[0])
	for _, n := range registrars {
		if got := s.table(n); got != homes {
			s.Errorf("%s has %s, but %s has %s", n.name, got, registrars[0].name, homes)
		}
		for i, pe := range s.pes {
			el := n.registrar.Space().Get("Pool", protocol.PEID(i+1))
			switch {
			case pe == nil: // table has it, unless it is an orphan
			case el == nil:
				s.Errorf("%s does not have %s, which lives", n.name, pe.name)
			case !s.lives(el.Home):
				s.Errorf("%s: the home of %s is R%d, which is dead", n.name, pe.name, el.Home)
			}
		}
	}
	for i, pe := range s.pes {
		if name := fmt.Sprintf("PE%d@", i+1); pe == nil && strings.Contains(homes, name) {
			s.Errorf("%s is dead, but all have %s", name, homes)
		}
	}
}

func (s *scope) lives(id protocol.RegistrarID) bool {
	return slices.ContainsFunc(s.registrars(), func(r *node) bool { return r.name == fmt.Sprintf("R%d", id) })
}

// table prints a handlespace: each PE and its home. A PE that has died, as has its home, may be
// there to the end of its registration life if n has never heard that home.
func (s *scope) table(n *node) string {
	var b strings.Builder
	for el := range n.registrar.Space().After("", 0) {
		if s.pes[el.ID-1] != nil || s.lives(el.Home) {
			fmt.Fprintf(&b, "PE%d@R%d ", el.ID, el.Home)
		}
	}
	return b.String()
}
