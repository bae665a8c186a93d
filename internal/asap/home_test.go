package asap

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// homeTest is a registrar without a network. A test gives it messages, ends of
// associations and time, and compares what it wants done.
type homeTest struct {
	testing.TB
	*Home
	effects *effect.Queue
	changes []string
	decoder wire.Decoder
	now     time.Time
}

const homeID protocol.RegistrarID = 0x11111111

func newHomeTest(t testing.TB, tune ...func(*HomeConfig)) *homeTest {
	cfg := HomeConfig{
		ID:                                    homeID,
		Rand:                                  rand.New(rand.NewPCG(1, 2)),
		EndpointKeepAliveTransmissionInterval: 5 * time.Second,
		EndpointKeepAliveTimeoutInterval:      5 * time.Second,
		MaxBadPEReports:                       3,
		MaxHResItems:                          3,
		MinAddressScope:                       protocol.ScopeLoopback,
		MaxElements:                           1 << 20,
		AutoClose:                             300 * time.Second,
		Owner:                                 func(effect.AssocID) string { return "" },
		Distance:                              func(effect.AssocID) uint32 { return 0 },
	}
	for _, f := range tune {
		f(&cfg)
	}
	space := handlespace.New[Watch](handlespace.Options{})
	h := &homeTest{TB: t, effects: &effect.Queue{}, now: time.Unix(1e9, 0)}
	space.OnChange = func(c handlespace.Change[Watch]) {
		h.changes = append(h.changes, fmt.Sprintf("%v %s/%d (%v)", c.Kind, c.Element.Handle, c.Element.ID, c.Reason))
	}
	h.Home = NewHome(cfg, space, h.effects)
	return h
}

// up opens an association from a host of the given addresses, port 5000.
func (h *homeTest) up(id effect.AssocID, addrs ...string) {
	h.HandleUp(h.now, id, protocol.PPIDASAP, sctp("10.0.0.1"), sctp(addrs...))
}

func sctp(addrs ...string) protocol.TransportAddr {
	to := protocol.TransportAddr{Protocol: protocol.SCTP, Port: 5000}
	for _, a := range addrs {
		to.Addrs = append(to.Addrs, netip.MustParseAddr(a))
	}
	return to
}

// receive hands a message over; it is gone afterwards.
func (h *homeTest) receive(id effect.AssocID, m effect.Appender) {
	h.receiveBytes(id, protocol.PPIDASAP, m.AppendTo(nil))
}

func (h *homeTest) receiveBytes(id effect.AssocID, ppid protocol.PPID, b []byte) {
	h.HandleMessage(h.now, id, ppid, b)
	for i := range b {
		b[i] = 0xee
	}
}

// advance lets time pass, deadline by deadline.
func (h *homeTest) advance(d time.Duration) {
	end := h.now.Add(d)
	for next := h.Deadline(); !next.IsZero() && !next.After(end); next = h.Deadline() {
		h.now = next
		h.Advance(h.now)
	}
	h.now = end
}

// want compares all effects since the last call.
func (h *homeTest) want(reason string, effects ...string) {
	h.Helper()
	var got []string
	for e, ok := h.effects.Next(); ok; e, ok = h.effects.Next() {
		got = append(got, h.text(e))
	}
	if diff := cmp.Diff(effects, got); diff != "" {
		h.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

func (h *homeTest) text(e effect.Effect) string {
	switch e.Kind {
	case effect.Send:
		m, err := h.decoder.ASAP(e.Data)
		if err != nil || e.PPID != protocol.PPIDASAP {
			h.Fatalf("sends PPID %d %x: %v", e.PPID, e.Data, err)
		}
		return send(e.Assoc, m)
	case effect.Close:
		return fmt.Sprintf("close %d", e.Assoc)
	case effect.Abort:
		return fmt.Sprintf("abort %d", e.Assoc)
	}
	return fmt.Sprintf("effect %+v", e)
}

// send is the text of the effect that sends m.
func send(id effect.AssocID, m wire.Message) string { return fmt.Sprintf("send %d %v", id, m) }

// drain drops all effects and changes since the last call.
func (h *homeTest) drain() {
	for _, ok := h.effects.Next(); ok; _, ok = h.effects.Next() {
	}
	h.changes = nil
}

func (h *homeTest) wantChanges(reason string, changes ...string) {
	h.Helper()
	if diff := cmp.Diff(changes, h.changes); diff != "" {
		h.Errorf("%s (-want +got):\n%s", reason, diff)
	}
	h.changes = nil
}

// element is a PE at 10.0.0.4 with the control channel, round robin.
func element(id protocol.PEID) protocol.PoolElement {
	return protocol.PoolElement{
		ID:     id,
		Life:   90 * time.Second,
		User:   protocol.TransportAddr{Protocol: protocol.SCTP, Use: protocol.DataAndControl, Port: 7000, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.4")}},
		Policy: protocol.Policy{Type: protocol.RoundRobin},
	}
}

// registered opens an association from 10.0.0.4 and registers PEs over it.
func (h *homeTest) registered(id effect.AssocID, handle protocol.PoolHandle, ids ...protocol.PEID) {
	h.Helper()
	if h.assocs[id] == nil {
		h.up(id, "10.0.0.4")
	}
	for _, pe := range ids {
		h.receive(id, &wire.Registration{Handle: handle, Element: element(pe)})
		if h.space.Get(handle, pe) == nil {
			h.Fatalf("PE %v is not registered", pe)
		}
	}
	h.drain()
}

func rejection(id effect.AssocID, handle protocol.PoolHandle, pe protocol.PEID, cause protocol.Cause) string {
	return send(id, &wire.RegistrationResponse{Reject: true, Handle: handle, ID: pe, Causes: []wire.ErrorCause{{Code: cause}}})
}

// RSPLIB's registrar: "association ends (SHUTDOWN or ABORT or failure): all PEs registered over
// it are removed at once".
func TestAssociationLost(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1, 2)
	h.registered(1, "Web", 3)
	h.registered(2, "Echo", 4)
	h.HandleLost(h.now, 1, errors.New("gone"))
	h.wantChanges("all that it carried", "removed Web/3 (association lost)", "removed Echo/2 (association lost)", "removed Echo/1 (association lost)")
	h.want("there is nobody to tell")
	h.receive(1, &wire.HandleResolution{Handle: "Echo"})
	h.want("a message of an association that has ended is nothing")
	if s := h.Stats(); s.Lost != 3 {
		t.Errorf("%d lost, want 3", s.Lost)
	}
}

// RSPLIB's registrar: "PPID 11 on the ENRP socket or PPID 12 on the ASAP socket: registrar aborts
// the association. Any other PPID: parse fails, no reply".
func TestWrongPPID(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	request := (&wire.HandleResolution{Handle: "Echo"}).AppendTo(nil)
	for _, ppid := range []protocol.PPID{0, 10, 13, 0x0b000000} {
		h.receiveBytes(1, ppid, slices.Clone(request))
		h.want("passed over")
	}
	h.receiveBytes(1, protocol.PPIDENRP, request)
	h.want("fatal", "abort 1")
	h.wantChanges("its PE goes too", "removed Echo/1 (association lost)")
}

// asapError is the effect of an ASAP_ERROR with a cause and data in hex.
func asapError(cause protocol.Cause, data string) string {
	b, err := hex.DecodeString(data)
	if err != nil {
		panic(err)
	}
	return send(1, &wire.ASAPError{Causes: []wire.ErrorCause{{Code: cause, Data: b}}})
}

// What RSPLIB's registrar answers to messages that cannot be read.
func TestMalformed(t *testing.T) {
	long := func(n int) string { // a resolution of a pool handle of n bytes
		padded := (n + 3) &^ 3
		return fmt.Sprintf("0500%04x0009%04x%s", 8+padded, 4+n, strings.Repeat("61", n)+strings.Repeat("00", padded-n))
	}
	for _, c := range []struct {
		name, message string
		want          []string
	}{
		{"empty", "", []string{asapError(protocol.CauseInvalidMessage, "")}},
		{"half a header", "0500", []string{asapError(protocol.CauseInvalidMessage, "")}},
		{"shorter than it says", "0500000c00090007504637", []string{asapError(protocol.CauseInvalidMessage, "")}},
		{"longer than it says", "0500000c0009000750463700" + "00000000", []string{asapError(protocol.CauseInvalidMessage, "")}},
		{"unknown type, to be discarded", "2f000004", nil},
		{"reserved type", "8f000004", nil},
		{"unknown parameter 00", "05000010" + "00ff0004" + "0009000541000000", nil},
		{"unknown parameter 01", "05000014" + "40ff0008" + "61626364" + "0009000541000000", []string{asapError(protocol.CauseUnrecognizedParameter, "40ff000861626364")}},
		{"a pool handle of 33 bytes", long(33), []string{asapError(protocol.CauseInvalidValue, long(33)[8:8+2*37])}},
		{"a pool handle of 65,000 bytes", long(65000), []string{asapError(protocol.CauseInvalidValue, "")}},
		{"a malformed ASAP_ERROR", "0e000008000c0001", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHomeTest(t)
			h.registered(1, "Echo", 1)
			b, err := hex.DecodeString(c.message)
			if err != nil {
				t.Fatal(err)
			}
			h.receiveBytes(1, protocol.PPIDASAP, b)
			h.want("answer", c.want...)
			h.wantChanges("the handlespace stays")
			if s := h.Stats(); s.Malformed != 1 {
				t.Errorf("%d malformed counted", s.Malformed)
			}
			h.receive(1, &wire.Deregistration{Handle: "Echo", ID: 1})
			h.want("it goes on serving", send(1, &wire.DeregistrationResponse{Handle: "Echo", ID: 1}))
		})
	}
}

// RFC 5354 section 3, action 11: "Skip this parameter and continue processing, but report
// the unrecognized parameter in an 'Unrecognized Parameter' error cause". However many there
// are, one message has one report.
func TestUnrecognizedParameterReported(t *testing.T) {
	h := newHomeTest(t)
	h.up(1, "10.0.0.4")
	b, _ := hex.DecodeString("0500001c" + "c0ff0004" + "c0fe0008" + "01020304" + "0009000541000000")
	b[3] = byte(len(b))
	h.receiveBytes(1, protocol.PPIDASAP, b)
	h.want("answered and reported", unknownPool(1, "A"), asapError(protocol.CauseUnrecognizedParameter, "c0ff0004"))
}

// An association that sends nothing but garbage is aborted; each good message is a
// fresh start. Messages of a type that is to be discarded unseen cost nothing, and count
// for nothing.
func TestGarbageIsBounded(t *testing.T) {
	h := newHomeTest(t)
	h.up(1, "10.0.0.4")
	garbage := func(n int) (answers int) {
		for range n {
			h.receiveBytes(1, protocol.PPIDASAP, []byte{1, 2, 3})
		}
		for e, ok := h.effects.Next(); ok; e, ok = h.effects.Next() {
			answers++
			if e.Kind == effect.Abort {
				return -1
			}
		}
		return answers
	}
	if got := garbage(maxMalformed); got != maxMalformed {
		t.Errorf("%d answers, want %d", got, maxMalformed)
	}
	h.receive(1, &wire.HandleResolution{Handle: "A"})
	h.drain()
	if got := garbage(maxMalformed); got != maxMalformed {
		t.Errorf("%d answers after a good message, want %d", got, maxMalformed)
	}
	for range 2 * maxMalformed {
		h.receiveBytes(1, protocol.PPIDASAP, []byte{0x2f, 0, 0, 4})
	}
	h.want("unknown types")
	if got := garbage(1); got != -1 {
		t.Errorf("%d answers, want the association to be aborted", got)
	}
}

// Messages that are not for a registrar are passed over; above all ASAP_ERROR, which
// must not be answered by another.
func TestIgnored(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	for _, m := range []wire.Message{
		&wire.RegistrationResponse{Handle: "Echo", ID: 1},
		&wire.DeregistrationResponse{Handle: "Echo", ID: 1},
		&wire.HandleResolutionResponse{Handle: "Echo", Causes: []wire.ErrorCause{{Code: protocol.CauseUnknownPoolHandle}}},
		&wire.EndpointKeepAlive{Registrar: 5, Handle: "Echo", ID: 1},
		&wire.ServerAnnounce{Registrar: 5},
		&wire.Cookie{Cookie: []byte("c")},
		&wire.CookieEcho{Cookie: []byte("c")},
		&wire.ASAPError{Causes: []wire.ErrorCause{{Code: protocol.CauseInvalidMessage}}},
		&wire.EndpointUnreachable{Handle: "Echo", ID: 2},
		&wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1},
	} {
		before := h.Stats().Ignored
		h.receive(1, m)
		h.want(m.String())
		if got := h.Stats().Ignored - before; got != 1 {
			t.Errorf("%v counted %d times, want 1", m, got)
		}
	}
	h.wantChanges("nothing has happened")
}

// RSPLIB's autoclose of 300 s. It closes associations of PUs that have gone quiet,
// and of those who never spoke; one with a PE lives as long as the PE answers.
func TestAutoClose(t *testing.T) {
	h := newHomeTest(t, func(cfg *HomeConfig) { cfg.EndpointKeepAliveTransmissionInterval = time.Hour })
	h.up(1, "10.0.0.9")
	h.registered(2, "Echo", 1)
	h.up(3, "10.0.0.9")
	h.advance(200 * time.Second)
	h.receive(3, &wire.HandleResolution{Handle: "Echo"})
	h.drain()
	h.advance(99 * time.Second)
	h.want("not yet")
	h.advance(time.Second)
	h.want("the silent one", "close 1")
	h.advance(199 * time.Second)
	h.want("not yet")
	h.advance(time.Second)
	h.want("300 s after its only message", "close 3")
	h.receive(2, &wire.Deregistration{Handle: "Echo", ID: 1})
	h.drain()
	h.advance(300 * time.Second)
	h.want("its PE is gone", "close 2")
	if d := h.Deadline(); !d.IsZero() {
		t.Errorf("nothing is left to do, but a deadline %v", d)
	}
}
