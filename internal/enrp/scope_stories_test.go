package enrp

import (
	"testing"
	"time"
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
