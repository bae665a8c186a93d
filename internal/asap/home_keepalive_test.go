package asap

import (
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

func keepAlive(id effect.AssocID, handle protocol.PoolHandle, pe protocol.PEID) string {
	return send(id, &wire.EndpointKeepAlive{Registrar: homeID, Handle: handle, ID: pe})
}

// interval is the longest that a PE can be quiet: 5 s and an eighth.
const interval = 5625 * time.Millisecond

// RSPLIB's registrar: "KeepAliveTransmission 5 s after registration / re-registration / last
// ACK: ENDPOINT_KEEP_ALIVE H=0 on the PE's association. ACK in 5 s: back to step 1."
func TestKeepAlive(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 7)
	for range 3 {
		h.advance(4375 * time.Millisecond)
		h.want("too early")
		h.advance(interval - 4375*time.Millisecond)
		h.want("quiet for 5 s", keepAlive(1, "Echo", 7))
		h.advance(time.Second)
		h.receive(1, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 7})
		h.want("an acknowledgement is not answered")
	}
	h.advance(4375 * time.Millisecond)
	h.receive(1, &wire.Registration{Handle: "Echo", Element: element(7)})
	h.drain()
	h.advance(4375 * time.Millisecond)
	h.want("a reregistration is a sign of life, too")
	if s := h.Stats(); s.KeepAlives != 3 || s.KeepAliveAcks != 3 {
		t.Errorf("counted %+v", s)
	}
}

// RSPLIB's registrar: "no ACK: HANDLE_UPDATE DEL, SCTP ABORT of the association, which removes
// every PE of it".
func TestKeepAliveTimeout(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	h.advance(time.Second)
	h.registered(1, "Web", 2)
	h.registered(2, "Echo", 3)
	h.advance(interval)
	h.drain()
	h.receive(1, &wire.EndpointKeepAliveAck{Handle: "Web", ID: 2})
	h.receive(2, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 3})
	h.advance(2700 * time.Millisecond)
	h.want("PE 1 was asked less than 5 s ago")
	h.advance(1325 * time.Millisecond)
	h.want("PE 1 has not answered", "abort 1")
	h.wantChanges("its association takes PE 2 with it", "removed Echo/1 (keep-alive lost)", "removed Web/2 (association lost)")
	h.receive(2, &wire.HandleResolution{Handle: "Web"})
	h.want("nothing is left of it", unknownPool(2, "Web"))
}

// A reregistration proves as well as an acknowledgement that the PE lives.
func TestReregistrationAnswersKeepAlive(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	h.advance(interval)
	h.want("asked", keepAlive(1, "Echo", 1))
	h.receive(1, &wire.Registration{Handle: "Echo", Element: element(1)})
	h.drain()
	h.advance(interval)
	h.want("asked again, not aborted", keepAlive(1, "Echo", 1))
}

// RFC 5352 section 3.4, KA2.3: "Send the ASAP_ENDPOINT_KEEP_ALIVE_ACK message via the appropriate
// SCTP association for the ENRP server that sent the ASAP_ENDPOINT_KEEP_ALIVE message."
// From anywhere else it proves nothing.
func TestKeepAliveAckOfAnother(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	h.up(2, "10.0.0.9")
	h.advance(interval)
	h.drain()
	h.receive(2, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1})
	h.advance(5 * time.Second)
	h.want("another vouched for it, in vain", "abort 1")
}

// RFC 5352 section 3.5: "if an ENRP server owns a large number of PEs, the implementation
// should pay attention not to flood the network with bursts of ASAP_ENDPOINT_KEEP_ALIVE
// messages. Instead, the implementation MUST distribute the ASAP_ENDPOINT_KEEP_ALIVE message
// traffic over a time period."
func TestKeepAlivesAreSpread(t *testing.T) {
	const elements = 10000
	h := newHomeTest(t)
	for id := range protocol.PEID(elements) {
		h.registered(1, "Echo", id+1)
	}
	asked := make(map[protocol.PEID]bool)
	most, end := 0, h.now.Add(interval)
	for !h.now.After(end) {
		h.advance(50 * time.Millisecond)
		burst := 0
		for e, ok := h.effects.Next(); ok; e, ok = h.effects.Next() {
			m, err := h.decoder.ASAP(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			asked[m.(*wire.EndpointKeepAlive).ID] = true
			burst++
		}
		most = max(most, burst)
	}
	if len(asked) != elements {
		t.Errorf("%d PEs were asked, want %d", len(asked), elements)
	}
	// 1.25 s have 25 steps of 50 ms, of 400 PEs each on average.
	if most > 500 {
		t.Errorf("%d keep-alives within 50 ms", most)
	}
}

// RFC 5352 section 3.5: "Upon the reception of an ASAP_ENDPOINT_UNREACHABLE message, an ENRP
// server MUST immediately send a point-to-point ASAP_ENDPOINT_KEEP_ALIVE message to the PE
// in question (the H flag in the message SHOULD be set to '0', in this case). If this
// ASAP_ENDPOINT_KEEP_ALIVE fails [...] the ENRP server MUST consider the PE as truly
// unreachable and MUST remove the PE from its handlespace."
func TestUnreachableIsVerified(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	h.up(2, "10.0.0.9")
	h.advance(time.Second)
	h.receive(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
	h.want("is it so?", keepAlive(1, "Echo", 1))
	h.receive(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
	h.want("asked already")
	h.advance(5 * time.Second)
	h.want("no answer: it is so", "abort 1")
	h.wantChanges("removed", "removed Echo/1 (keep-alive lost)")
}

// RFC 5352 section 3.5: "If the ASAP_ENDPOINT_KEEP_ALIVE message is transmitted successfully to
// the PE, the ENRP server MUST retain the PE in its handlespace. Moreover, the server
// SHOULD keep a counter". RSPLIB's: "at counter >= MaxBadPEReports remove PE and
// answer nothing"; the counter is not reset by a reregistration.
func TestUnreachableTooOften(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	h.up(2, "10.0.0.9")
	for range 2 {
		h.receive(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
		h.want("is it so?", keepAlive(1, "Echo", 1))
		h.receive(1, &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1})
		h.receive(1, &wire.Registration{Handle: "Echo", Element: element(1)})
		h.drain()
	}
	h.receive(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
	h.want("nobody is told")
	h.wantChanges("the third report ends it", "removed Echo/1 (reported unreachable)")
	h.registered(1, "Echo", 1)
	h.receive(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
	h.want("who registers anew starts anew", keepAlive(1, "Echo", 1))
	if s := h.Stats(); s.FailureReports != 4 || s.Lost != 1 {
		t.Errorf("counted %+v", s)
	}
}

// What a registrar does all day costs no allocation.
func TestHomeAllocations(t *testing.T) {
	h := newHomeTest(t)
	for id := range protocol.PEID(100) {
		h.registered(1, "Echo", id+1)
	}
	for name, m := range map[string]effect.Appender{
		"resolution":          &wire.HandleResolution{Handle: "Echo"},
		"unknown pool":        &wire.HandleResolution{Handle: "Nope"},
		"reregistration":      &wire.Registration{Handle: "Echo", Element: element(5)},
		"deregistration":      &wire.Deregistration{Handle: "Echo", ID: 1000},
		"report":              &wire.EndpointUnreachable{Handle: "Echo", ID: 1000},
		"unsolicited ACK":     &wire.EndpointKeepAliveAck{Handle: "Echo", ID: 5},
		"a registrar's reply": &wire.RegistrationResponse{Handle: "Echo", ID: 5},
	} {
		b := m.AppendTo(nil)
		n := testing.AllocsPerRun(100, func() {
			h.HandleMessage(h.now, 1, protocol.PPIDASAP, b)
			for _, ok := h.effects.Next(); ok; _, ok = h.effects.Next() {
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func benchmarkHome(b *testing.B, messages ...effect.Appender) {
	h := newHomeTest(b)
	for id := range protocol.PEID(1000) {
		h.registered(1, "Echo", id+1)
	}
	var encoded [][]byte
	for _, m := range messages {
		encoded = append(encoded, m.AppendTo(nil))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, m := range encoded {
			h.HandleMessage(h.now, 1, protocol.PPIDASAP, m)
			for _, ok := h.effects.Next(); ok; _, ok = h.effects.Next() {
			}
		}
	}
}

func BenchmarkHomeResolution(b *testing.B) {
	b.Run("1", func(b *testing.B) { benchmarkHome(b, &wire.HandleResolution{Handle: "Echo", Items: 1}) })
	b.Run("128", func(b *testing.B) { benchmarkHome(b, &wire.HandleResolution{Handle: "Echo", Items: 128}) })
}

func BenchmarkHomeReregistration(b *testing.B) {
	benchmarkHome(b, &wire.Registration{Handle: "Echo", Element: element(500)})
}

func BenchmarkHomeRegistration(b *testing.B) {
	benchmarkHome(b, &wire.Registration{Handle: "Echo", Element: element(2000)}, &wire.Deregistration{Handle: "Echo", ID: 2000})
}

// One keep-alive with its acknowledgement, among 10,000 PEs.
func BenchmarkHomeKeepAlive(b *testing.B) {
	h := newHomeTest(b)
	for id := range protocol.PEID(10000) {
		h.registered(1, "Echo", id+1)
	}
	ack := &wire.EndpointKeepAliveAck{Handle: "Echo"}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		h.now = h.Deadline()
		ack.ID = h.watches[0].ID
		h.Advance(h.now)
		buf = ack.AppendTo(buf[:0])
		h.HandleMessage(h.now, 1, protocol.PPIDASAP, buf)
		for _, ok := h.effects.Next(); ok; _, ok = h.effects.Next() {
		}
	}
}
