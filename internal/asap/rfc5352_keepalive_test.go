package asap_test

import (
	"fmt"
	"testing"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5352 section 3.4: Endpoint Keep Alive.

func ack(id protocol.PEID) *wire.EndpointKeepAliveAck {
	return &wire.EndpointKeepAliveAck{Handle: pool, ID: id}
}

// "KA1) The PE must verify that the Pool Handle is correct and matches the Pool Handle sent
// in its earlier ASAP_REGISTRATION message. If the Pool Handle does not match, the PE MUST silently
// discard the message."
func TestKeepAliveOfUnknown(t *testing.T) {
	c, home := newPE(t, 1)
	c.visit(1, "10.0.0.2")
	for _, id := range []effect.AssocID{home, 1} {
		c.receive(id, &wire.EndpointKeepAlive{Home: true, Registrar: 0xaa, Handle: "Other", ID: 1})
		c.receive(id, &wire.EndpointKeepAlive{Home: true, Registrar: 0xaa, Handle: "Other"})
		c.receive(id, &wire.EndpointKeepAlive{Home: true, Registrar: 0xaa, Handle: pool, ID: 2})
	}
	c.wantIdle("KA1")
}

// "KA2) Send an ASAP_ENDPOINT_KEEP_ALIVE_ACK" "KA2.1) Fill in the Pool Handle parameter with
// the PE's Pool Handle." "KA2.2) Fill in the PE Identifier parameter" "KA2.3) Send the
// ASAP_ENDPOINT_KEEP_ALIVE_ACK message via the appropriate SCTP association for the ENRP server"
func TestKeepAliveIsAnswered(t *testing.T) {
	c, home := newPE(t, 1, 2)
	c.receive(home, &wire.EndpointKeepAlive{Registrar: 0xaa, Handle: pool, ID: 2})
	c.wantSent("KA2", home, ack(2))
	c.wantIdle("it is about one PE")

	// The RFC's message, without RSPLIB's PE Identifier, is about every PE of the pool.
	c.receive(home, &wire.EndpointKeepAlive{Registrar: 0xaa, Handle: pool})
	c.wantSent("KA2", home, ack(1))
	c.wantSent("KA2", home, ack(2))

	// The registrar's identifier goes back with the next registration.
	c.advanceToDeadline("T4", reregistrationTimeout)
	for id := range protocol.PEID(2) {
		want := registration(id + 1)
		want.Element.Home = 0xaa
		c.wantSent("re-registration", home, want)
	}
}

// "KA2.4) If the H flag in the received ASAP_ENDPOINT_KEEP_ALIVE message is set, and the
// Server Identifier in the message is NOT the identity of your Home ENRP server ... adopt
// the sender of the ASAP_ENDPOINT_KEEP_ALIVE message as the new Home ENRP server."
func TestKeepAliveAdoptsNewHome(t *testing.T) {
	c, home := newPE(t, 1)
	q := c.resolve("Other")
	c.wantSent("asks the old one", home, resolution("Other"))
	c.visit(1, "10.0.0.2")
	c.receive(1, &wire.EndpointKeepAlive{Home: true, Registrar: 0xbb, Handle: pool, ID: 1})
	c.wantAborted("KA2.4", home)
	c.wantTold("KA2.4", asap.HomeFound{Addr: at("10.0.0.2")})
	c.wantSent("the old one has not answered", 1, resolution("Other"))
	c.wantSent("KA2.3", 1, ack(1))
	again := registration(1)
	again.Element.Home = 0xbb
	c.wantSent("the old one may have taken it out of the pool", 1, again)
	c.receive(1, &wire.HandleResolutionResponse{Handle: "Other", Causes: cause(protocol.CauseUnknownPoolHandle)})
	c.wantTold("answered", asap.Resolved{Query: q, Err: &asap.RemoteError{Cause: protocol.CauseUnknownPoolHandle}})
	c.receive(1, &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.wantIdle("it was registered all the time")
	c.receive(1, &wire.EndpointKeepAlive{Home: true, Registrar: 0xbb, Handle: pool, ID: 1})
	c.wantSent("it is the home already", 1, ack(1))
	c.wantIdle("it is the home already")
}

// "(or it is not set, e.g., you have a no Home ENRP server)": the H flag does not matter
// then, as with RSPLIB.
func TestKeepAliveAdoptsFirstHome(t *testing.T) {
	for _, h := range []bool{false, true} {
		c, home := newPE(t, 1)
		c.visit(1, "10.0.0.2")
		c.lose(home)
		c.wantTold("lost", asap.HomeLost{Err: errTest})
		dial, _ := c.wantDial("SH1")
		c.receive(1, &wire.EndpointKeepAlive{Home: h, Registrar: 0xbb, Handle: pool, ID: 1})
		c.wantAborted("the hunt is over", dial)
		c.wantTold("KA2.4", asap.HomeFound{Addr: at("10.0.0.2")})
		c.wantSent("what waited for a registrar", 1, registration(1))
		c.wantSent("KA2.3", 1, ack(1))
		c.advanceToDeadline("T2-registration", responseTimeout)
	}
}

// RSPLIB's PEs answer a keep-alive with H = 0 on a second association over that of
// their home.
func TestKeepAliveOnSecondAssociation(t *testing.T) {
	c, home := newPE(t, 1)
	c.visit(1, "10.0.0.2")
	c.receive(1, &wire.EndpointKeepAlive{Registrar: 0xbb, Handle: pool, ID: 1})
	c.wantSent("KA2", home, ack(1))
	c.wantIdle("the home stays")
	c.advanceToDeadline("T4", reregistrationTimeout)
	c.wantSent("the home stays", home, registration(1))
}

func TestVisitsAreBounded(t *testing.T) {
	const bound = 16
	c, home := newPE(t, 1)
	for id := range effect.AssocID(bound) {
		c.visit(id+1, fmt.Sprintf("10.0.1.%d", id))
	}
	c.wantIdle("they may be registrars")
	c.HandleLost(c.now, 2, errTest)
	c.visit(100, "10.0.0.2")
	c.wantIdle("one has left")
	c.visit(101, "10.0.0.3")
	c.wantAborted("the oldest gives way", 1)
	c.receive(101, &wire.EndpointKeepAlive{Home: true, Handle: pool, ID: 1})
	c.wantAborted("KA2.4", home)
	c.wantTold("KA2.4", asap.HomeFound{Addr: at("10.0.0.3")})
}

func TestVisitsAreRefusedByPU(t *testing.T) {
	c, _ := newPU(t, "10.0.0.1")
	c.visit(1, "10.0.0.2")
	c.wantAborted("only a PE is visited", 1)
}
