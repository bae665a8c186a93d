package asap

import (
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RSPLIB: "home PR sets distance ... of the PE's association; the PE's own value in REGISTRATION is
// overwritten". A new association has no round-trip time yet: what it has by the first keep-alive is
// told to the peers.
func TestDistanceIsMeasured(t *testing.T) {
	distance := uint32(0)
	h := newHomeTest(t, func(cfg *HomeConfig) { cfg.Distance = func(effect.AssocID) uint32 { return distance } })
	told := 0
	h.Registered = func(time.Time, *Element) { told++ }
	h.up(1, "10.0.0.4")
	m := &wire.Registration{Handle: "Echo", Element: element(7)}
	m.Element.Policy = protocol.Policy{Type: protocol.LeastUsedDPF, LoadDPF: 1, Distance: 77}
	want := func(when string, distance uint32, times int) {
		t.Helper()
		if got := h.space.Get("Echo", 7).Policy.Distance; got != distance || told != times {
			t.Errorf("%s: distance %d, told %d times; want %d, %d", when, got, told, distance, times)
		}
	}
	keepAlive := func() {
		h.advance(6 * time.Second)
		h.receive(1, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 7})
	}
	h.receive(1, m)
	want("registered", 0, 1)
	distance = 50
	keepAlive()
	want("keep-alive", 50, 2)
	keepAlive()
	want("nothing new", 50, 2)
	distance = 100
	h.receive(1, m)
	want("registered again", 100, 3)
}

// Policies without a distance are not measured.
func TestNoDistance(t *testing.T) {
	h := newHomeTest(t, func(cfg *HomeConfig) {
		cfg.Distance = func(effect.AssocID) uint32 { t.Error("measured"); return 50 }
	})
	h.up(1, "10.0.0.4")
	h.receive(1, &wire.Registration{Handle: "Echo", Element: element(7)})
	h.advance(6 * time.Second)
	h.receive(1, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 7})
}
