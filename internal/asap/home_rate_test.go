package asap

import (
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/wire"
)

// RSPLIB limits handle resolutions; ours counts per client. One who asks too often is refused with
// RSPLIB's answer, and served again as soon as he asks less often; others are not touched.
func TestResolutionRate(t *testing.T) {
	h := newHomeTest(t, func(c *HomeConfig) { c.MaxHRRate = 2 })
	h.registered(1, "Echo", 1)
	h.up(2, "10.0.0.5")
	h.up(3, "10.0.0.6")
	ask := func() bool {
		h.drain()
		before := h.Stats().Refused
		h.receive(2, &wire.HandleResolution{Handle: "Echo"})
		return h.Stats().Refused == before
	}
	for i, want := range []bool{true, true, false, false} {
		if got := ask(); got != want {
			t.Errorf("request %d served: %v", i, got)
		}
	}
	h.want("refused", unknownPool(2, "Echo"))
	h.receive(3, &wire.HandleResolution{Handle: "Echo"})
	if n := h.Stats().Refused; n != 2 {
		t.Errorf("%d refused, want 2: another client must not be", n)
	}
	served := 0
	for range 40 { // every 250 ms for 10 s
		h.now = h.now.Add(250 * time.Millisecond)
		if ask() {
			served++
		}
	}
	if served != 20 {
		t.Errorf("%d of 40 requests in 10 s served, want 2 a second", served)
	}
}

// RFC 5355 section 2.13.3: "The number of endpoint unreachable messages sent to the ENRP
// server from the PU SHOULD be limited." Those beyond the limit are passed over.
func TestFailureReportRate(t *testing.T) {
	h := newHomeTest(t, func(c *HomeConfig) { c.MaxEURate = 0.5 })
	h.registered(1, "Echo", 1)
	h.up(2, "10.0.0.5")
	for range 10 {
		h.receive(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
	}
	if s := h.Stats(); s.FailureReports != 1 || s.Refused != 9 {
		t.Errorf("%d reports taken, %d refused", s.FailureReports, s.Refused)
	}
	h.now = h.now.Add(2 * time.Second)
	h.receive(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
	if n := h.Stats().FailureReports; n != 2 {
		t.Errorf("%d reports taken, want 2", n)
	}
}
