package simnet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// No timer and no entry of a host is left after both ends are closed, whatever was
// under way.
func TestNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: time.Millisecond, Loss: 0.5, Seed: 1})
		h, g := n.Host("10.0.0.1"), n.Host("10.0.0.2")
		ln, err := g.Listen(t.Context(), protocol.TransportAddr{}, transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		dialed, err := h.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := ln.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ends := []*end{dialed.(*end), accepted.(*end)}
		for _, e := range ends {
			e.SetDeadline(time.Now().Add(time.Hour))
			for range 10 {
				if err := e.Send([]byte("under way"), transport.SendInfo{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		n.Cut(h.addrs[0], g.addrs[0])
		for _, e := range ends {
			if e.timer == nil || !e.timer.Reset(time.Hour) {
				t.Error("the cut is watched by no timer")
			}
		}
		ln.Close()
		dialed.Close()
		accepted.Close()
		for _, e := range ends {
			for _, timer := range []*time.Timer{e.timer, e.readDeadline.timer, e.writeDeadline.timer} {
				if timer.Stop() {
					t.Error("a timer was left")
				}
			}
			if !e.inbox.empty() || !e.flight.empty() || e.used != 0 {
				t.Errorf("%d bytes are left", e.used)
			}
			if h := e.host; len(h.ends)+len(h.bound)+len(h.listeners)+len(h.dialings) != 0 {
				t.Errorf("the host still knows %+v", h)
			}
		}
	})
}
