package enrp

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

var (
	faultSeed  = flag.Uint64("enrp.seed", 0, "run TestFaults with this seed alone, and print all messages")
	faultCount = flag.Int("enrp.schedules", 300, "how many schedules TestFaults runs")
)

// Whatever happens to registrars, PEs, the network and the updates: once it is over, and all
// registrars that live reach each other, all handlespaces are the same, with each PE that has an
// association to a registrar, and that one is its home. `go test -run
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
	s.visit = 2 * time.Second
	s.group = s.rand.IntN(2) == 0
	for i := range 2 + s.rand.IntN(4) {
		n := s.add(protocol.RegistrarID(s.rand.Uint32()|1), func(cfg *Config) { cfg.MaxElementsPerHTRequest = 1 + s.rand.IntN(8) })
		n.started(s.nodes[:i]...)
		s.run(s.upTo(2 * time.Second))
	}
	for i := range 1 + s.rand.IntN(20) {
		m := s.member(protocol.PoolHandle(fmt.Sprint("Pool", s.rand.IntN(3))), protocol.PEID(i+1))
		m.pe.Life = time.Hour // so that audits alone repair what is wrong
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

// calm ends all faults. Some PEs that have no registrar find one.
func (s *scope) calm() {
	s.lose = 0
	for _, a := range s.nodes {
		for _, b := range s.nodes {
			s.heal(a, b)
		}
	}
	living := slices.IndexFunc(s.nodes, func(n *node) bool { return n.alive })
	for i, m := range s.members {
		if m.home == nil && i%3 == 0 {
			s.register(m, s.nodes[living])
		}
	}
	s.run(2 * time.Minute)
}

// wantConverged compares all handlespaces with what the PEs say.
func (s *scope) wantConverged() {
	var want []string
	for _, m := range s.members {
		if m.home != nil {
			want = append(want, fmt.Sprintf("%s/%d@%d", m.handle, m.pe.ID, m.home.id))
		}
	}
	slices.Sort(want)
	for _, n := range s.nodes {
		if got := s.tableOfLiving(n); n.alive && !slices.Equal(got, want) {
			s.Errorf("registrar %v has\n\t%v, want\n\t%v", n.id, got, want)
		}
		if known, living := s.countLiving(n); n.alive && known != living-1 {
			s.Errorf("registrar %v knows %d peers, want %d: %v", n.id, known, living-1, n.Peers())
		}
	}
}

// tableOfLiving is n's handlespace, without what only the end of its life removes: PEs of a
// registrar that has died before n has ever heard it.
func (s *scope) tableOfLiving(n *node) (table []string) {
	for el := range n.space.After("", 0) {
		isRegistrar := func(p *node) bool { return p.alive && p.id == el.Home }
		isMember := func(m *member) bool { return m.handle == el.Handle && m.pe.ID == el.ID && m.home != nil }
		if slices.ContainsFunc(s.nodes, isRegistrar) || slices.ContainsFunc(s.members, isMember) {
			table = append(table, fmt.Sprintf("%s/%d@%d", el.Handle, el.ID, el.Home))
		}
	}
	slices.Sort(table)
	return table
}

// countLiving returns how many peers n knows and how many registrars live.
func (s *scope) countLiving(n *node) (known, living int) {
	for _, p := range n.Peers() {
		if p.ID != 0 {
			known++
		}
	}
	for _, p := range s.nodes {
		if p.alive {
			living++
		}
	}
	return known, living
}
