package mcast_test

import (
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/transport/mcast"
)

// A machine that has only a loopback interface, which is not flagged for multicast, announces to
// itself.
func TestOnlyLoopback(t *testing.T) {
	var from netip.AddrPort
	var denied error
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with its network namespace
		if denied = unix.Unshare(unix.CLONE_NEWNET); denied != nil {
			return
		}
		ip(t, "link set lo up multicast off")
		g := join(t, mcast.Config{Group: group("239.0.0.50", 3863), SourcePort: 3863})
		send(t, g, "hello")
		from = wantRecv(t, g, "hello")
	}()
	<-done
	if denied != nil {
		t.Skip("a network namespace of its own needs privileges:", denied)
	}
	if want := netip.MustParseAddrPort("127.0.0.1:3863"); from != want {
		t.Errorf("came from %v, want %v", from, want)
	}
}
