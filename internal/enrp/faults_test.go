package enrp

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

var (
	faultSeed  = flag.Uint64("enrp.seed", 0, "run TestFaults with this seed alone, and print all messages")
	faultCount = flag.Int("enrp.schedules", 300, "how many schedules TestFaults runs")
)

// Whatever happens to registrars, PEs, the network and the updates: once it is over, and all
// registrars that live reach each other, all handlespaces are the same, with each living PE and no
// other, and its home is the registrar that it has an association to. `go test -run
// TestFaults -enrp.seed=N` shows one schedule again.
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

func testFaults(t *testing.T, seed uint64) {
	s := newScope(t, seed)
	if *faultSeed != 0 {
		s.trace = func(line string) { t.Log(line) }
	}
	s.group = s.rand.IntN(2) == 0
	for i := range 2 + s.rand.IntN(4) {
		n := s.add(protocol.RegistrarID(s.rand.Uint32()|1), func(cfg *Config) { cfg.MaxElementsPerHTRequest = 1 + s.rand.IntN(8) })
		n.started(s.nodes[:i]...)
		s.run(s.upTo(2 * time.Second))
	}
	for i := range 1 + s.rand.IntN(20) {
		s.member(protocol.PoolHandle(fmt.Sprint("Pool", s.rand.IntN(3))), protocol.PEID(i+1))
	}
	for range 40 {
		s.fault()
		s.run(s.upTo(3 * time.Second))
	}
	s.calm()
	s.wantConverged()
}

func (s *scope) upTo(d time.Duration) time.Duration { return time.Duration(s.rand.Int64N(int64(d))) }

// fault is one thing that happens.
func (s *scope) fault() {
	a, b := s.nodes[s.rand.IntN(len(s.nodes))], s.nodes[s.rand.IntN(len(s.nodes))]
	m := s.members[s.rand.IntN(len(s.members))]
	switch s.rand.IntN(12) {
	case 0, 1, 2, 3:
		if a.alive {
			s.register(m, a)
		}
	case 4:
		if m.home != nil { // deregistered, or dead
			n := m.home
			m.home = nil
			s.left(m, n)
		}
	case 5, 6:
		if a != b {
			s.cut(a, b)
		}
	case 7, 8:
		s.heal(a, b)
	case 9:
		s.lose = 0.5
	case 10:
		s.lose = 0
	case 11:
		s.killOrStart(a)
	}
}

func (s *scope) killOrStart(n *node) {
	living := slices.Collect(func(yield func(*node) bool) {
		for _, p := range s.nodes {
			if p.alive && p != n && !yield(p) {
				return
			}
		}
	})
	switch {
	case len(living) == 0:
	case n.alive:
		s.kill(n)
	case len(s.nodes) < 12: // a new process has a new identifier
		s.add(protocol.RegistrarID(s.rand.Uint32() | 1)).started(living...)
	}
}

// calm ends all faults. PEs that have no registrar find one, and all renew their registrations, as they
// do every third of their life.
func (s *scope) calm() {
	s.lose = 0
	for _, a := range s.nodes {
		for _, b := range s.nodes {
			s.heal(a, b)
		}
	}
	for range 18 {
		s.run(10 * time.Second)
		for i, m := range s.members {
			switch {
			case m.home != nil:
				s.register(m, m.home)
			case i%3 == 0: // the others stay away
				n := slices.IndexFunc(s.nodes, func(n *node) bool { return n.alive })
				s.register(m, s.nodes[n])
			}
		}
	}
	s.run(10 * time.Second)
}

func (s *scope) wantConverged() {
	var want []string
	for _, m := range s.members {
		if m.home != nil {
			want = append(want, fmt.Sprintf("%s/%d@%d", m.handle, m.pe.ID, m.home.id))
		}
	}
	slices.Sort(want)
	living := 0
	for _, n := range s.nodes {
		if !n.alive {
			continue
		}
		living++
		got := strings.Fields(n.table())
		slices.Sort(got)
		if !slices.Equal(got, want) {
			s.Errorf("registrar %v has\n\t%v, want\n\t%v", n.id, got, want)
		}
	}
	for _, n := range s.nodes {
		known := 0
		for _, p := range n.Peers() {
			if p.ID != 0 {
				known++
			}
		}
		if n.alive && known != living-1 {
			s.Errorf("registrar %v knows %d peers, want %d: %v", n.id, known, living-1, n.Peers())
		}
	}
}
