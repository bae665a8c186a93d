package asap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

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

// Answers of RSPLIB's registrar: "PE ID 0 / port 0 / no address in
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

// RFC 5356 section 7.1: "The policy type space from 0x80000000 to 0xffffffff is designated for
// private use." What its users alone understand is kept and told as it came. RSPLIB's registrar
// answers a type that it does not know by an ASAP_ERROR.
func TestRegistrationOfUnknownPolicy(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	pe := element(2)
	pe.Policy = protocol.Policy{Type: 0x80000001, Opaque: "\x00\x00\x00\x01\xff"}
	h.receive(1, &wire.Registration{Handle: "New", Element: pe})
	h.want("accepted", send(1, &wire.RegistrationResponse{Handle: "New", ID: 2}))
	if got := h.space.Get("New", 2).Policy; got != pe.Policy {
		t.Errorf("policy is %v, want %v", got, pe.Policy)
	}
	h.receive(1, &wire.Registration{Handle: "Echo", Element: pe})
	h.want("another type than the pool's", rejection(1, "Echo", 2, protocol.CauseInconsistentPolicy))
}

// RSPLIB's registrar: "user addresses := (transport param addresses) ∩ (SCTP peer
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
	h.HandleUp(h.now, 1, protocol.PPIDASAP, peer, peer)
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
// SHOULD replace the attributes of the existing PE". RSPLIB: "PE moves to the
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

// RSPLIB's registrar: "n = items; absent or 0: MaxHResItems; 0xffffffff/large: 128. [...]
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
