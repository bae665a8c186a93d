package asap

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// takeOver makes PEs of a registrar that is gone ours, as the takeover procedure does,
// and returns the association that is dialed to them.
func (h *homeTest) takeOver(ids ...protocol.PEID) effect.AssocID {
	h.Helper()
	for _, id := range ids {
		pe := element(id)
		pe.Home, pe.ASAP = 0x22222222, sctp("10.0.0.4")
		el, _, err := h.space.Put("Echo", &pe, handlespace.Synchronized)
		if err != nil {
			h.Fatal(err)
		}
		h.space.SetHome(el, homeID, handlespace.TakenOver)
		h.Adopt(h.now, el)
	}
	e, ok := h.effects.Next()
	if !ok || e.Kind != effect.Dial || e.PPID != protocol.PPIDASAP || !e.To.Equal(sctp("10.0.0.4")) {
		h.Fatalf("adopting gives %+v, want a dial to the PEs' ASAP transport", e)
	}
	h.want("one association is enough for all PEs behind it")
	h.changes = nil
	return e.Assoc
}

func homeCall(id protocol.PEID) *wire.EndpointKeepAlive {
	return &wire.EndpointKeepAlive{Home: true, Registrar: homeID, Handle: "Echo", ID: id}
}

// RFC 5353 section 3.5.2: "send a point-to-point ASAP_ENDPOINT_KEEP_ALIVE message, with the
// 'H' flag set to '1', to each of the PEs".
func TestAdoptVisitsEveryPE(t *testing.T) {
	h := newHomeTest(t)
	id := h.takeOver(1, 2)
	h.up(id, "10.0.0.4")
	h.want("the association is up", send(id, homeCall(1)), send(id, homeCall(2)))
	h.receive(id, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1})
	h.advance(5 * time.Second)
	h.wantChanges("PE 2 does not answer: its association goes, and all PEs of it",
		"removed Echo/2 (keep-alive lost)", "removed Echo/1 (association lost)")
}

// A PE that acknowledges is watched as one that has registered.
func TestAdoptedPEIsWatched(t *testing.T) {
	h := newHomeTest(t)
	id := h.takeOver(1)
	var confirmed []protocol.PEID
	h.Registered = func(_ time.Time, el *Element) { confirmed = append(confirmed, el.ID) }
	h.up(id, "10.0.0.4")
	for range 2 {
		h.receive(id, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1})
		h.advance(5700 * time.Millisecond) // the next keep-alive
	}
	if len(confirmed) != 1 || confirmed[0] != 1 {
		t.Errorf("confirmed are %v, want PE 1 once", confirmed)
	}
	h.drain()
	h.HandleLost(h.now, id, io.EOF)
	h.wantChanges("its association ends", "removed Echo/1 (association lost)")
}

// PEs that cannot be visited are gone.
func TestAdoptUnreachable(t *testing.T) {
	h := newHomeTest(t)
	id := h.takeOver(1, 2)
	h.HandleLost(h.now, id, io.EOF)
	h.wantChanges("no association", "removed Echo/1 (keep-alive lost)", "removed Echo/2 (keep-alive lost)")

	h = newHomeTest(t)
	id = h.takeOver(1)
	h.advance(5 * time.Second)
	h.wantChanges("no association in time", "removed Echo/1 (keep-alive lost)")
	h.up(id, "10.0.0.4")
	h.want("nobody is left to visit", fmt.Sprintf("close %d", id))
}

// A PE that registers by itself, as ours do at once, needs no visit.
func TestAdoptedPERegistersItself(t *testing.T) {
	h := newHomeTest(t)
	id := h.takeOver(1)
	h.up(7, "10.0.0.4")
	h.receive(7, &wire.Registration{Handle: "Echo", Element: element(1)})
	h.drain()
	h.up(id, "10.0.0.4")
	h.want("nobody is left to visit", fmt.Sprintf("close %d", id))
	h.HandleLost(h.now, 7, io.EOF)
	h.wantChanges("it belongs to its own association", "removed Echo/1 (association lost)")
}

// KA2.4 of RFC 5352 section 3.4 has a PE adopt who asks it with the H bit: it does so too when it has
// registered by itself at the same time, and ends that association. It is there all the time.
func TestVisitedPERegistersItself(t *testing.T) {
	ack := &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1}
	visit := func() (h *homeTest, id effect.AssocID) {
		h = newHomeTest(t)
		id = h.takeOver(1)
		h.up(7, "10.0.0.4")
		h.up(id, "10.0.0.4")
		h.want("asked", send(id, homeCall(1)))
		h.receive(7, &wire.Registration{Handle: "Echo", Element: element(1)})
		h.drain()
		h.changes = nil
		return h, id
	}
	h, id := visit()
	h.HandleLost(h.now, 7, io.EOF)
	h.receive(id, ack)
	h.wantChanges("it goes on over the visit")
	h.HandleLost(h.now, id, io.EOF)
	h.wantChanges("which is its association now", "removed Echo/1 (association lost)")

	h, id = visit()
	h.receive(id, ack)
	h.HandleLost(h.now, 7, io.EOF)
	h.wantChanges("the answer has come first")
	h.HandleLost(h.now, id, io.EOF)
	h.wantChanges("the visit's association is its own", "removed Echo/1 (association lost)")

	h, id = visit()
	h.HandleLost(h.now, id, io.EOF)
	h.wantChanges("the visit was in vain")
	h.HandleLost(h.now, 7, io.EOF)
	h.wantChanges("its own association ends", "removed Echo/1 (association lost)")
}

// A PE that has got another home is that one's to watch.
func TestRelease(t *testing.T) {
	h := newHomeTest(t)
	h.up(7, "10.0.0.4")
	h.receive(7, &wire.Registration{Handle: "Echo", Element: element(1)})
	el := h.space.Get("Echo", 1)
	h.space.SetHome(el, 0x22222222, handlespace.Synchronized)
	h.Release(el)
	h.drain()
	h.advance(time.Minute)
	h.want("no keep-alive")
	h.HandleLost(h.now, 7, io.EOF)
	h.wantChanges("its old association is nothing to it any more")
}
