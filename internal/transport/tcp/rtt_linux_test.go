package tcp_test

import (
	"testing"
	"time"
)

// "RTT is the smoothed round-trip time to the peer": on Linux that of the TCP connection.
func TestRTT(t *testing.T) {
	client, server := connect(t)
	defer client.Abort()
	defer server.Abort()
	for name, rtt := range map[string]time.Duration{"client": client.RTT(), "server": server.RTT()} {
		if rtt <= 0 || rtt > time.Minute {
			t.Errorf("%s: %v", name, rtt)
		}
	}
}
