// The race detector has sync.Pool forget at random.
//go:build !race

package loop_test

import (
	"testing"

	"github.com/rserpool/rsp/internal/transport"
)

// A message that is answered allocates nothing.
func TestRequestAllocatesNothing(t *testing.T) {
	peer := newEcho(t)
	request, answer := []byte("a request"), make([]byte, 100)
	if n := testing.AllocsPerRun(1000, func() {
		if err := peer.Send(request, transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := peer.Recv(answer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
