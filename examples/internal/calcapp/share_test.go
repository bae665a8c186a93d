package calcapp

import (
	"testing"
	"time"
)

var epoch = time.Unix(1e9, 0)

func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// Two jobs get half of the capacity each; when one is complete, the other gets all from that moment on.
func TestShare(t *testing.T) {
	s := share{capacity: 100, at: epoch}
	a := s.add(1, 300, 0)
	s.advance(at(1))
	if got := s.completed(a); got != 100 {
		t.Errorf("a alone completed %d in a second", got)
	}
	b := s.add(2, 150, 100)
	if got, want := s.due(a, 300), at(5); got != want {
		t.Errorf("a would be complete at %v, want %v", got, want)
	}
	if got, want := s.due(b, 150), at(2); got != want {
		t.Errorf("b is due at %v, want %v", got, want)
	}
	if got, want := s.due(b, 125), at(1.5); got != want {
		t.Errorf("b is half done at %v, want %v", got, want)
	}
	if !s.advance(at(3)) || !b.done || a.done {
		t.Errorf("after 3 s: a %+v, b %+v", a, b)
	}
	if got := s.completed(a); got != 250 { // 100, 50, 100
		t.Errorf("a completed %d, want 250", got)
	}
	if got := s.completed(b); got != 150 {
		t.Errorf("b completed %d, want 150", got)
	}
	if !s.advance(at(10)) || !a.done || len(s.running) != 0 {
		t.Errorf("after 10 s: %+v", s)
	}
	if s.used != 350 {
		t.Errorf("used %v, want 350: nothing when no job runs", s.used)
	}
}

// A job that is taken away has used what it has used, and the others get its share.
func TestShareRemove(t *testing.T) {
	s := share{capacity: 100, at: epoch}
	a, b := s.add(1, 1000, 0), s.add(2, 1000, 0)
	s.advance(at(2))
	if got := s.completed(a); got != 100 {
		t.Errorf("a completed %d, want 100", got)
	}
	s.remove(a)
	if got, want := s.due(b, 1000), at(11); got != want {
		t.Errorf("b is due at %v, want %v", got, want)
	}
	s.advance(at(3))
	if s.completed(b) != 200 || s.used != 300 {
		t.Errorf("b completed %d, used %v", s.completed(b), s.used)
	}
}

func TestShareExtremes(t *testing.T) {
	s := share{capacity: 1, at: epoch}
	if huge := s.add(1, 1<<64-1, 0); !s.due(huge, 1<<64-1).After(at(1e8)) {
		t.Error("a job of all calculations is due soon")
	}
	none := s.add(2, 0, 0)
	if !s.advance(at(0)) || !none.done {
		t.Error("a job of no calculations is not complete at once")
	}
}
