//go:build !386

package sctp

import (
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/transport"
)

// "RTT is the smoothed round-trip time to the peer": of a network that takes 100 ms each way.
func testRTT(t *testing.T) {
	hosts := lab.Hosts(t, 2, 1)
	for _, h := range hosts {
		h.Delay(t, 0, 100*time.Millisecond)
	}
	dialed, accepted := pair(t, hosts[0], hosts[1], transport.Options{RTOMin: time.Second})
	for range 5 {
		send(t, dialed, "ping")
		wantNext(t, accepted, "ping")
		send(t, accepted, "pong")
		wantNext(t, dialed, "pong")
	}
	for _, a := range []transport.Assoc{dialed, accepted} {
		if rtt := a.RTT(); rtt < 190*time.Millisecond || rtt > 450*time.Millisecond {
			t.Errorf("RTT from %v is %v, want about 200ms", a.LocalAddr(), rtt)
		}
	}
}
