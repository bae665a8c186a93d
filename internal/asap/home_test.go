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
	h.HandleUp(h.now, id, sctp("10.0.0.1"), sctp(addrs...))
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

// RFC 5352 section 3.1: "If the named pool does not exist in the handlespace, the ENRP
// server MUST create a new pool with that handle in the handlespace and add the PE to
// the pool as its first PE. [...] The ENRP server MUST also record the SCTP transport
// address from which it received the ASAP_REGISTRATION in the ASAP Transport parameter
// TLV inside the PE parameter of this PE."
func TestRegistration(t *testing.T) {
	h := newHomeTest(t)
	h.up(1, "10.0.0.4")
	pe := element(7)
	pe.Home, pe.ASAP = 5, sctp("10.0.0.99") // what the PE says of these is its belief only
	h.receive(1, &wire.Registration{Handle: "Echo", Element: pe})
	h.want("accepted", send(1, &wire.RegistrationResponse{Handle: "Echo", ID: 7}))
	h.wantChanges("a new pool", "added Echo/7 (registered)")
	want := element(7)
	want.Home = homeID
	want.ASAP = sctp("10.0.0.4")
	if got := h.space.Get("Echo", 7); got.String() != want.String() {
		t.Errorf("handlespace has\n%v, want\n%v", got, want)
	}
	if s := h.Stats(); s.Registrations != 1 || s.Reregistrations != 0 {
		t.Errorf("counted %+v", s)
	}
}

// wire.md section 8, answers of RSPLIB's registrar: "PE ID 0 / port 0 / no address in
// association: R=1, 0xf000 / 0xf005 / 0xf008", "policy type != pool's: 0x0005", "use flag
// != pool's: 0x0008", "transport type != pool's: 0x100a".
func TestRegistrationRejected(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*protocol.PoolElement)
		cause  protocol.Cause
	}{
		"no PE identifier":     {func(e *protocol.PoolElement) { e.ID = 0 }, protocol.CauseInvalidID},
		"port 0":               {func(e *protocol.PoolElement) { e.User.Port = 0 }, protocol.CauseInvalidAddresses},
		"address of another":   {func(e *protocol.PoolElement) { e.User.Addrs = sctp("10.0.0.5").Addrs }, protocol.CauseNoUsableUserAddresses},
		"loopback from afar":   {func(e *protocol.PoolElement) { e.User.Addrs = sctp("127.0.0.1").Addrs }, protocol.CauseNoUsableUserAddresses},
		"another policy":       {func(e *protocol.PoolElement) { e.Policy.Type = protocol.Random }, protocol.CauseInconsistentPolicy},
		"another transport":    {func(e *protocol.PoolElement) { e.User.Protocol = protocol.TCP }, protocol.CauseWrongTransportProtocol},
		"no control channel":   {func(e *protocol.PoolElement) { e.User.Use = protocol.DataOnly }, protocol.CauseInconsistentDataControl},
		"member, other policy": {func(e *protocol.PoolElement) { e.ID, e.Policy.Type = 1, protocol.Random }, protocol.CauseInconsistentPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHomeTest(t)
			h.registered(1, "Echo", 1)
			pe := element(2)
			c.change(&pe)
			h.receive(1, &wire.Registration{Handle: "Echo", Element: pe})
			h.want("rejected", rejection(1, "Echo", pe.ID, c.cause))
			h.wantChanges("the handlespace stays")
			if s := h.Stats(); s.Rejections != 1 {
				t.Errorf("%d rejections counted, want 1", s.Rejections)
			}
		})
	}
}

// wire.md section 8: "unknown policy type; PriorityLeastUsedDPF 0xb0002004: ASAP_ERROR 0x100b";
// policies.md section 1: "association stays up".
func TestRegistrationOfUnknownPolicy(t *testing.T) {
	for _, typ := range []protocol.PolicyType{0xb0002004, 0x12345678} {
		h := newHomeTest(t)
		h.registered(1, "Echo", 1)
		for _, handle := range []protocol.PoolHandle{"Echo", "New"} {
			pe := element(2)
			pe.Policy = protocol.Policy{Type: typ, Opaque: "\x00\x00\x00\x01"}
			h.receive(1, &wire.Registration{Handle: handle, Element: pe})
			h.want("an error of the message", send(1, &wire.ASAPError{Causes: []wire.ErrorCause{{Code: protocol.CauseUnsupportedPolicy}}}))
		}
	}
}

// behaviour.md section 2.5: "user addresses := (transport param addresses) ∩ (SCTP peer
// addresses of the association), scope >= MinAddressScope; port not compared."
func TestRegistrationKeepsProvenAddresses(t *testing.T) {
	for _, c := range []struct {
		name  string
		scope protocol.Scope
		peer  string
		claim string
		want  string
	}{
		{"one of two is proven", protocol.ScopeLoopback, "10.0.0.4", "10.0.0.4 10.9.9.9", "10.0.0.4"},
		{"said twice", protocol.ScopeLoopback, "10.0.0.4", "10.0.0.4 ::ffff:10.0.0.4 10.0.0.4", "10.0.0.4"},
		{"multihomed", protocol.ScopeLoopback, "10.1.0.4 10.0.0.4", "10.0.0.4 10.1.0.4", "10.0.0.4 10.1.0.4"},
		{"IPv6", protocol.ScopeLoopback, "fd00::4 10.0.0.4", "fd00::4 10.0.0.4", "fd00::4 10.0.0.4"},
		{"mapped IPv4", protocol.ScopeLoopback, "::ffff:10.0.0.4", "10.0.0.4", "10.0.0.4"},
		{"loopback over loopback", protocol.ScopeLoopback, "127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"loopback below the scope", protocol.ScopeSiteLocal, "127.0.0.1 10.0.0.4", "127.0.0.1 10.0.0.4", "10.0.0.4"},
		{"private below the scope", protocol.ScopeGlobal, "192.0.2.4 10.0.0.4", "192.0.2.4 10.0.0.4", "192.0.2.4"},
		{"link-local never", protocol.ScopeLoopback, "169.254.1.1 10.0.0.4", "169.254.1.1 10.0.0.4", "10.0.0.4"},
		{"none", protocol.ScopeGlobal, "10.0.0.4", "10.0.0.4", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHomeTest(t, func(cfg *HomeConfig) { cfg.MinAddressScope = c.scope })
			h.up(1, strings.Fields(c.peer)...)
			pe := element(1)
			pe.User.Addrs = sctp(strings.Fields(c.claim)...).Addrs
			h.receive(1, &wire.Registration{Handle: "Echo", Element: pe})
			if c.want == "" {
				h.want("rejected", rejection(1, "Echo", 1, protocol.CauseNoUsableUserAddresses))
				return
			}
			h.want("accepted", send(1, &wire.RegistrationResponse{Handle: "Echo", ID: 1}))
			got := h.space.Get("Echo", 1).User.Addrs
			if want := sctp(strings.Fields(c.want)...).Addrs; !slices.Equal(got, want) {
				t.Errorf("addresses %v, want %v", got, want)
			}
		})
	}
}

// RFC 5354 section 3.4 has one address in a TCP transport. The ASAP transport is of the
// association's protocol: with the TCP mapping it is TCP too.
func TestRegistrationOverTCPMapping(t *testing.T) {
	h := newHomeTest(t)
	peer := protocol.TransportAddr{Protocol: protocol.TCP, Port: 4711, Addrs: sctp("127.0.0.1", "127.0.0.2").Addrs}
	h.HandleUp(h.now, 1, peer, peer)
	pe := element(1)
	pe.User = protocol.TransportAddr{Protocol: protocol.TCP, Use: protocol.DataAndControl, Port: 80, Addrs: peer.Addrs}
	if cause := h.register(h.now, h.assocs[1], "Web", pe); cause != 0 {
		t.Fatalf("rejected: %v", cause)
	}
	got := h.space.Get("Web", 1)
	if want := "tcp 127.0.0.1:80+control"; got.User.String() != want {
		t.Errorf("user transport %v, want %v", got.User, want)
	}
	if !got.ASAP.Equal(peer) {
		t.Errorf("ASAP transport %v, want %v", got.ASAP, peer)
	}
}

// RFC 5352 section 3.1: "If the re-registration is accepted after the test, the ENRP server
// SHOULD replace the attributes of the existing PE". behaviour.md section 2.5: "PE moves to the
// association of this message".
func TestReregistration(t *testing.T) {
	h := newHomeTest(t)
	h.up(1, "10.0.0.4")
	h.up(2, "10.0.0.4")
	pe := element(1)
	pe.Policy = protocol.Policy{Type: protocol.LeastUsed}
	h.receive(1, &wire.Registration{Handle: "P", Element: pe})
	h.drain()
	h.receive(1, &wire.Registration{Handle: "P", Element: pe})
	h.want("accepted", send(1, &wire.RegistrationResponse{Handle: "P", ID: 1}))
	h.wantChanges("it says nothing new")

	pe.Policy.Load = 0x1000
	h.receive(2, &wire.Registration{Handle: "P", Element: pe})
	h.wantChanges("a new load", "updated P/1 (registered)")
	h.drain()
	h.receive(2, &wire.HandleResolution{Handle: "P"})
	pe.Home = homeID
	h.want("the new load is told", send(2, &wire.HandleResolutionResponse{Handle: "P", Policy: pe.Policy, Elements: []protocol.PoolElement{pe}}))

	h.HandleLost(h.now, 1, errors.New("gone"))
	h.wantChanges("the PE has moved to the second association")
	h.HandleLost(h.now, 2, errors.New("gone"))
	h.wantChanges("the second vouched for it", "removed P/1 (association lost)")
	if s := h.Stats(); s.Registrations != 1 || s.Reregistrations != 2 {
		t.Errorf("counted %+v", s)
	}
}

// RFC 5352 section 3.1: "The ENRP server may reject the registration due to other reasons
// such as invalid values, lack of resource".
func TestRegistrationLimit(t *testing.T) {
	h := newHomeTest(t, func(cfg *HomeConfig) { cfg.MaxElements = 2 })
	h.registered(1, "Echo", 1, 2)
	h.receive(1, &wire.Registration{Handle: "Echo", Element: element(3)})
	h.want("full", rejection(1, "Echo", 3, protocol.CauseLackOfResources))
	h.receive(1, &wire.Registration{Handle: "Echo", Element: element(2)})
	h.want("who is in stays in", send(1, &wire.RegistrationResponse{Handle: "Echo", ID: 2}))
}

// RFC 5352 section 3.2: "Upon receiving the message, the ENRP server SHALL remove the PE from
// its handlespace. Moreover, if the PE is the last one of the named pool, the ENRP server
// will remove the pool from the handlespace as well." And: "If the ENRP server fails to find
// any record of the PE in its handlespace, it SHOULD consider the de-registration granted and
// completed".
func TestDeregistration(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	success := send(1, &wire.DeregistrationResponse{Handle: "Echo", ID: 1})
	h.receive(1, &wire.Deregistration{Handle: "Echo", ID: 1})
	h.want("granted", success)
	h.wantChanges("gone", "removed Echo/1 (deregistered)")
	h.receive(1, &wire.Deregistration{Handle: "Echo", ID: 1})
	h.want("granted again", success)
	h.wantChanges("nothing there")
	h.receive(1, &wire.HandleResolution{Handle: "Echo"})
	h.want("the pool is gone", unknownPool(1, "Echo"))
	h.advance(time.Minute)
	h.want("nobody is watched any more")
}

func unknownPool(id effect.AssocID, handle protocol.PoolHandle) string {
	return send(id, &wire.HandleResolutionResponse{Handle: handle, Causes: []wire.ErrorCause{{Code: protocol.CauseUnknownPoolHandle}}})
}

// behaviour.md section 2.7: "n = items; absent or 0: MaxHResItems; 0xffffffff/large: 128. [...]
// response: policy TLV of first PE + PEs. [...] fewer PEs than asked: all of them".
func TestResolution(t *testing.T) {
	for _, c := range []struct {
		elements int
		items    uint32
		want     int
	}{
		{6, 0, 3}, {6, 1, 1}, {6, 2, 2}, {6, 6, 6}, {6, 7, 6}, {6, wire.AllItems, 6},
		{2, 0, 2}, {200, 127, 127}, {200, 500, 128}, {200, wire.AllItems, 128},
	} {
		h := newHomeTest(t)
		for i := range c.elements {
			h.registered(1, "Echo", protocol.PEID(i+1))
		}
		h.up(2, "10.0.0.9")
		h.receive(2, &wire.HandleResolution{Handle: "Echo", Items: c.items})
		var want []protocol.PoolElement
		for i := range c.want {
			pe := element(protocol.PEID(i + 1))
			pe.Home = homeID
			want = append(want, pe)
		}
		h.want(fmt.Sprintf("%d of %d", c.items, c.elements),
			send(2, &wire.HandleResolutionResponse{Handle: "Echo", Policy: want[0].Policy, Elements: want}))
	}
}

// RFC 5352 section 3.3: "If the named pool does not exist in the handlespace, the ENRP
// server MUST reject the handle resolution request by responding with an
// ASAP_HANDLE_RESOLUTION_RESPONSE message carrying an Unknown Pool Handle error."
// A pool of which nothing can be selected is the same to a PU.
func TestResolutionOfUnknownPool(t *testing.T) {
	h := newHomeTest(t)
	h.up(1, "10.0.0.4")
	h.receive(1, &wire.HandleResolution{Handle: "NoSuchPool"})
	h.want("unknown", unknownPool(1, "NoSuchPool"))

	pe := element(1)
	pe.Policy = protocol.Policy{Type: protocol.WeightedRandom}
	h.receive(1, &wire.Registration{Handle: "Idle", Element: pe})
	h.drain()
	h.receive(1, &wire.HandleResolution{Handle: "Idle"})
	h.want("weight 0 is never selected", unknownPool(1, "Idle"))
	if s := h.Stats(); s.Resolutions != 2 || s.UnknownPools != 2 {
		t.Errorf("counted %+v", s)
	}
}

// RFC 5354 section 4: the Message Length has 16 bits. 128 PEs with 64 addresses each do
// not fit; as many as do are listed.
func TestResolutionFitsInMessage(t *testing.T) {
	h := newHomeTest(t)
	var addrs []string
	for i := range 60 {
		addrs = append(addrs, fmt.Sprintf("fd00::%x", i+1))
	}
	h.up(1, addrs...)
	for id := range protocol.PEID(128) {
		pe := element(id + 1)
		pe.User.Addrs = sctp(addrs...).Addrs
		h.receive(1, &wire.Registration{Handle: "Wide", Element: pe})
	}
	h.drain()
	h.receive(1, &wire.HandleResolution{Handle: "Wide", Items: wire.AllItems})
	e, _ := h.effects.Next()
	m, err := h.decoder.ASAP(e.Data)
	if err != nil {
		t.Fatal(err)
	}
	n := len(m.(*wire.HandleResolutionResponse).Elements)
	if n < 40 || len(e.Data) > 64<<10-1<<10 {
		t.Errorf("%d PEs in %d bytes", n, len(e.Data))
	}
}

// behaviour.md section 2.5: "association ends (SHUTDOWN or ABORT or failure): all PEs registered over
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

// wire.md section 1: "PPID 11 on the ENRP socket or PPID 12 on the ASAP socket: registrar aborts
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

// wire.md sections 2, 3 and 8: what RSPLIB's registrar answers to messages that cannot be read.
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

// behaviour.md section 1.1: "AutoClose 300". It closes associations of PUs that have gone quiet,
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
