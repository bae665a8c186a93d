package handlespace

import (
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// However PEs came to their rank, a pool of equals becomes one ring, and no selection
// has to join more than a few.
func TestEqualsBecomeOneRing(t *testing.T) {
	const size = 1000
	s := New[int](Options{})
	put(t, s, "pool", 0, leastUsed(0)) // as long as it is first, nobody joins the others
	for id := range protocol.PEID(size) {
		put(t, s, "pool", id+1, leastUsed(1))
	}
	q := &s.selectorOf("pool").(*sorted[int]).queue
	if len(q.heap) != size+1 {
		t.Fatalf("there are %d rings before the first selection, want %d", len(q.heap), size+1)
	}
	s.Remove("pool", 0, Deregistered)
	for round := range 3 {
		for i := range size {
			before := len(q.heap)
			selected, _ := s.Select(nil, "pool", 1)
			if want := protocol.PEID(i + 1); selected[0].ID != want {
				t.Fatalf("round %d selected %v, want %v", round, selected[0].ID, want)
			}
			if joined := before - len(q.heap); joined > 4 {
				t.Fatalf("one selection joined %d rings", joined)
			}
		}
	}
	if len(q.heap) != 1 {
		t.Errorf("there are %d rings, want 1", len(q.heap))
	}
}
