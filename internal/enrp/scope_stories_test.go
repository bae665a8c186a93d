package enrp

import (
	"fmt"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// A new registrar with a static peer: all is there within some round trips, not at the end of a
// timeout.
func TestStartWithStaticMentor(t *testing.T) {
	s := newScope(t, 1)
	a := s.add(1).started()
	if !a.Serving() {
		t.Error("alone, without peers and group, there is nothing to wait for")
	}
	s.register(s.member("Echo", 7), a)
	s.register(s.member("Web", 8), a)
	b := s.add(2).started(a)
	s.run(20 * time.Millisecond)
	b.wantTold(Serving{Mentor: 1})
	a.wantTold(PeerUp{2, b.addr})
	s.wantTable("Web/8@1 Echo/7@1")
	s.register(s.member("Echo", 9), b)
	s.run(5 * time.Millisecond)
	s.wantTable("Web/8@1 Echo/7@1 Echo/9@2")
}

// Killed: its machine refuses, so that no timer is needed.
func TestKilledIsTakenOverAtOnce(t *testing.T) {
	s := newScope(t, 1)
	a := s.add(1).started()
	b := s.add(2).started(a)
	c := s.add(3).started(a)
	s.run(5 * time.Second)
	m := s.member("Echo", 7)
	s.register(m, a)
	s.run(time.Second)
	s.kill(a)
	s.run(100 * time.Millisecond)
	s.wantTable("Echo/7@2")
	if m.home != b {
		t.Error("the PE does not know its new home")
	}
	b.wantTold(TakenOver{Target: 1, By: 2, Elements: 1})
	c.wantTold(TakenOver{Target: 1, By: 2, Elements: 1})
	s.kill(b)
	s.run(100 * time.Millisecond)
	s.wantTable("Echo/7@3")
	s.run(time.Minute)
	if got := len(c.Peers()); got != 1 { // the static one, not reached
		t.Errorf("%d peers are left: %v", got, c.Peers())
	}
}

// A registrar that ends in good order leaves no PE without a home, not even for a moment.
func TestHandOverToSuccessor(t *testing.T) {
	s := newScope(t, 1)
	a := s.add(1).started()
	b := s.add(2).started(a)
	s.add(3).started(a)
	s.run(time.Second)
	const n = 3 * handOverWindow
	for i := range protocol.PEID(n) {
		s.register(s.member("Echo", i+1), a)
	}
	s.run(10 * time.Millisecond)
	a.HandOver(s.now, 0)
	a.drain()
	s.run(2 * time.Second)
	a.wantTold(HandedOver{})
	s.kill(a)
	s.run(20 * time.Second)
	b.wantTold(PeerLost{1})
	for _, m := range s.members {
		if m.home != b {
			t.Fatalf("%q/%v does not know its new home", m.handle, m.pe.ID)
		}
	}
	for _, p := range s.nodes[1:] {
		if p.space.Len() != n || p.space.Checksum(2) != b.space.Checksum(2) {
			t.Errorf("registrar %v has %d PEs, want %d", p.id, p.space.Len(), n)
		}
	}
}

// Ten registrars that know one of them find each other, by its list or by the group, whatever that proves.
func TestTenRegistrars(t *testing.T) {
	for _, mode := range []struct{ group, proven bool }{{false, false}, {true, false}, {true, true}} {
		group, tune := mode.group, func(c *Config) { c.Proven = mode.proven }
		s := newScope(t, 1)
		s.group = group
		first := s.add(1, tune).started()
		for i := range protocol.RegistrarID(9) {
			if n := s.add(i+2, tune); group {
				n.started()
			} else {
				n.started(first)
			}
		}
		s.run(10 * time.Second)
		for i, n := range s.nodes {
			if got := len(n.Peers()); got != 9 || !n.Serving() {
				t.Errorf("%+v: registrar %v knows %d peers and serves is %v", mode, n.id, got, n.Serving())
			}
			s.register(s.member("Echo", protocol.PEID(i+1)), n)
		}
		s.run(10 * time.Millisecond)
		s.wantTable("Echo/1@1 Echo/2@2 Echo/3@3 Echo/4@4 Echo/5@5 Echo/6@6 Echo/7@7 Echo/8@8 Echo/9@9 Echo/10@10")
		s.kill(first)
		s.run(100 * time.Millisecond)
		s.wantTable("Echo/1@2 Echo/2@2 Echo/3@3 Echo/4@4 Echo/5@5 Echo/6@6 Echo/7@7 Echo/8@8 Echo/9@9 Echo/10@10")
	}
}

// Two registrars that have found each other by the list of a third, and then lost each other, find
// each other again by it.
func TestCutPeersMeetAgain(t *testing.T) {
	s := newScope(t, 1)
	hub := s.add(1).started()
	a := s.add(2).started(hub)
	b := s.add(3).started(hub)
	s.run(time.Second)
	s.register(s.member("Echo", 7), b)
	s.cut(a, b)
	s.run(time.Minute)
	s.heal(a, b)
	s.run(30 * time.Second)
	if len(a.Peers()) != 2 || len(b.Peers()) != 2 {
		t.Errorf("peers are %v and %v", a.Peers(), b.Peers())
	}
	home := s.members[0].home
	s.wantTable("Echo/7@" + fmt.Sprint(uint32(home.id)))
}
