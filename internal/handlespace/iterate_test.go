package handlespace

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// threePools holds PEs 1, 2, 3 of the pools "b", "ab" and "c", registered in
// another order; PE n has the home n.
func threePools(t *testing.T) *Space[int] {
	s := New[int](Options{})
	for _, id := range []protocol.PEID{3, 1, 2} {
		for _, handle := range []protocol.PoolHandle{"ab", "c", "b"} {
			pe := element(id, protocol.RegistrarID(id), roundRobin())
			if _, _, err := s.Put(handle, &pe, Registered); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func names(elements iter.Seq[*Element[int]]) []string {
	var all []string
	for el := range elements {
		all = append(all, name(el))
	}
	return all
}

func name(el *Element[int]) string { return fmt.Sprintf("%s/%d", el.Handle, uint32(el.ID)) }

// RSPLIB's handle table lists "pools ascending by (handle length, then bytes); in
// a pool ascending PE ID".
func TestIterationOrder(t *testing.T) {
	s := threePools(t)
	want := []Pool{{"b", protocol.RoundRobin, 3}, {"c", protocol.RoundRobin, 3}, {"ab", protocol.RoundRobin, 3}}
	if got := slices.Collect(s.Pools()); !slices.Equal(got, want) {
		t.Errorf("Pools() = %v, want %v", got, want)
	}
	tests := []struct {
		name     string
		elements iter.Seq[*Element[int]]
		want     []string
	}{
		{"all", s.After("", 0), []string{"b/1", "b/2", "b/3", "c/1", "c/2", "c/3", "ab/1", "ab/2", "ab/3"}},
		{"behind a PE", s.After("c", 2), []string{"c/3", "ab/1", "ab/2", "ab/3"}},
		{"behind a PE that is gone", s.After("a", 7), []string{"b/1", "b/2", "b/3", "c/1", "c/2", "c/3", "ab/1", "ab/2", "ab/3"}},
		{"behind the largest ID", s.After("c", 0xffffffff), []string{"ab/1", "ab/2", "ab/3"}},
		{"behind the last", s.After("ab", 3), nil},
		{"one pool", s.Elements("ab"), []string{"ab/1", "ab/2", "ab/3"}},
		{"no pool", s.Elements("abc"), nil},
		{"one home", s.OwnedBy(2), []string{"b/2", "c/2", "ab/2"}},
		{"no home", s.OwnedBy(4), nil},
	}
	for _, tt := range tests {
		if got := names(tt.elements); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestIterationStops(t *testing.T) {
	s := threePools(t)
	for range s.Pools() {
		break
	}
	for name, elements := range map[string]iter.Seq[*Element[int]]{"After": s.After("", 0), "Elements": s.Elements("c"), "OwnedBy": s.OwnedBy(1)} {
		n := 0
		for range elements {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%s went on after the loop ended: %d", name, n)
		}
	}
}

func TestRemoveWhileIterating(t *testing.T) {
	s := threePools(t)
	var got []string
	for el := range s.After("", 0) {
		got = append(got, name(el))
		s.Remove(el.Handle, el.ID, Expired)
		s.Remove("c", el.ID+1, Expired) // c/2, c/3 before they are due
	}
	if want := []string{"b/1", "b/2", "b/3", "c/1", "ab/1", "ab/2", "ab/3"}; !slices.Equal(got, want) || s.Len() != 0 {
		t.Errorf("iterated over %v, %d PEs left, want %v", got, s.Len(), want)
	}
}

func TestAddWhileIterating(t *testing.T) {
	s := threePools(t)
	var got []string
	for el := range s.Elements("c") {
		got = append(got, name(el))
		if el.ID == 2 {
			put(t, s, "c", 0, roundRobin()) // its turn is over
			put(t, s, "c", 9, roundRobin())
		}
	}
	if want := []string{"c/1", "c/2", "c/3", "c/9"}; !slices.Equal(got, want) {
		t.Errorf("iterated over %v, want %v", got, want)
	}
}

// A takeover is this loop (RFC 5353 section 3.5).
func TestTakeOverWhileIterating(t *testing.T) {
	s := threePools(t)
	for el := range s.OwnedBy(1) {
		s.SetHome(el, 2, TakenOver)
	}
	if got, want := names(s.OwnedBy(2)), []string{"b/1", "b/2", "c/1", "c/2", "ab/1", "ab/2"}; !slices.Equal(got, want) {
		t.Errorf("OwnedBy = %v, want %v", got, want)
	}
}
