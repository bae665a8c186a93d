//go:build !race

package tcp_test

import (
	"io"
	"testing"

	"github.com/rserpool/rsp/internal/transport"
)

// An echo allocates nothing. (With the race detector, pools forget at random.)
func TestEchoAllocs(t *testing.T) {
	client, server := connect(t)
	done := make(chan error)
	go func() {
		buf := make([]byte, 100)
		for {
			n, _, err := server.Recv(buf)
			if err == nil {
				err = server.Send(buf[:n], transport.SendInfo{})
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	ping, buf := make([]byte, 64), make([]byte, 100)
	allocs := testing.AllocsPerRun(2000, func() {
		if err := client.Send(ping, transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Recv(buf); err != nil {
			t.Fatal(err)
		}
	})
	// Pools and timers may allocate now and then, a message may not.
	if allocs > 0.1 {
		t.Errorf("%v allocations for an echo", allocs)
	}
	client.Close()
	if err := <-done; err != io.EOF {
		t.Errorf("server: %v", err)
	}
}
