package asap_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5352 section 3.1: Registration.

// "If the PE has not established its Home ENRP server, it MUST follow the procedures
// specified in Section 3.6." "R2.1) Fill in the Pool Handle parameter" "R2.2) Fill in
// the PE identifier" "R2.3) Fill in the Registration Lifetime parameter" "R2.4) Fill in a User
// Transport parameter" "R2.5) Fill in the preferred Pool Member Selection Policy parameter."
// "R3) Send the ASAP_REGISTRATION message to the Home ENRP server"
func TestRegistration(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	user := protocol.TransportAddr{Protocol: protocol.TCP, Port: 80, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.9")}}
	policy := protocol.Policy{Type: protocol.WeightedRoundRobin, Weight: 3}
	c.Register(c.now, pool, protocol.PoolElement{ID: 7, User: user, Policy: policy})
	home := c.connect()
	c.wantSent("R3", home, &wire.Registration{Handle: pool, Element: protocol.PoolElement{
		ID: 7, Life: 3 * reregistrationTimeout, User: user, Policy: policy,
	}})
	c.wantIdle("it is not registered yet")
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 7})

	// "If the response indicates success, the PE is registered"
	c.wantTold("registered", asap.Registered{Handle: pool, ID: 7})
	c.wantIdle("nothing more to do")
}

// "R4) Start a T2-registration timer." "If the T2-registration timer expires before
// receiving an ASAP_REGISTRATION_RESPONSE message ... the PE shall start the Server Hunt
// procedure (see Section 3.6) in an attempt to get service from a different ENRP
// server. After establishing a new Home ENRP server, the PE SHOULD restart the registration
// procedure." It goes on doing so: see Client.submit on MAX-REG-ATTEMPT.
func TestT2Registration(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2")
	c.Register(c.now, pool, element(1))
	ids, hosts := c.wantDials("SH1", 2)
	for range 5 {
		c.up(ids[0])
		c.wantAborted("SH6", ids[1:]...)
		c.wantTold("SH6", asap.HomeFound{Addr: at(hosts[0])})
		c.wantSent("R3", ids[0], registration(1))
		c.advanceToDeadline("T2-registration", responseTimeout)
		c.wantAborted("it does not answer", ids[0])
		c.wantTold("it does not answer", asap.HomeLost{Err: asap.ErrNoResponse})
		c.sleep(c.Deadline().Sub(c.now)) // the pause after a mute registrar
		c.Advance(c.now)
		last := hosts[0]
		ids, hosts = c.wantDials("a different ENRP server", 1)
		if hosts[0] == last {
			t.Fatalf("hunts for the same registrar %v again", last)
		}
	}
}

// "At the reception of the registration response, the PE MUST stop the T2-registration
// timer." "After successful registration, the PE MUST start a T4-reregistration timer. At its
// expiration, a re-registration SHOULD be made starting at step R1, including (at
// completion) restarting the T4-reregistration timer." "When re-registering, the PE MUST use the
// same PE identifier." "a PE that wishes to continue service MUST re-register before the
// registration expires."
func TestT4Reregistration(t *testing.T) {
	c, home := newPE(t, 1)
	for range 3 {
		c.advanceToDeadline("T4-reregistration", reregistrationTimeout)
		c.wantSent("re-registration", home, registration(1))
		c.sleep(time.Second)
		c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
		c.wantIdle("it is registered as before")
	}
	if life := registration(1).Element.Life; life <= reregistrationTimeout+responseTimeout {
		t.Errorf("registration life %v expires before the answer to a re-registration", life)
	}
}

func TestT4PerPE(t *testing.T) {
	c, home := newPE(t, 1)
	c.sleep(10 * time.Second)
	c.Register(c.now, "Other", element(2))
	r := registration(2)
	r.Handle = "Other"
	c.wantSent("R3", home, r)
	c.receive(home, &wire.RegistrationResponse{Handle: "Other", ID: 2})
	c.wantTold("registered", asap.Registered{Handle: "Other", ID: 2})
	c.advanceToDeadline("T4 of the first", 20*time.Second)
	c.wantSent("re-registration", home, registration(1))
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.advanceToDeadline("T4 of the second", 10*time.Second)
	c.wantSent("re-registration", home, r)
}

// "If the registration response indicates a failure, the PE must either re-attempt
// registration after correcting the error or return a failure indication to the PE's upper
// layer. The PE MUST NOT re-attempt registration without correcting the error condition."
func TestRejected(t *testing.T) {
	for _, again := range []bool{false, true} {
		c := newClientTest(t, "10.0.0.1")
		c.Register(c.now, pool, element(1))
		home := c.connect()
		c.wantSent("R3", home, registration(1))
		if again {
			c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
			c.wantTold("registered", asap.Registered{Handle: pool, ID: 1})
			c.advanceToDeadline("T4", reregistrationTimeout)
			c.wantSent("re-registration", home, registration(1))
		}
		c.receive(home, &wire.RegistrationResponse{
			Reject: true, Handle: pool, ID: 1, Causes: cause(protocol.CauseInconsistentPolicy),
		})
		c.wantTold("rejected", asap.Rejected{Handle: pool, ID: 1,
			Err: &asap.RemoteError{Cause: protocol.CauseInconsistentPolicy}})
		c.lose(home)
		c.wantTold("lost", asap.HomeLost{Err: errTest})
		c.wantIdle("MUST NOT re-attempt")
		if !again {
			c.wantNoDeadline("MUST NOT re-attempt")
		}
	}
}

func TestRejectedWithoutCause(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.Register(c.now, pool, element(1))
	home := c.connect()
	c.wantSent("R3", home, registration(1))
	c.receive(home, &wire.RegistrationResponse{Reject: true, Handle: pool, ID: 1})
	unspecified := &asap.RemoteError{Cause: protocol.CauseUnspecified}
	c.wantTold("rejected", asap.Rejected{Handle: pool, ID: 1, Err: unspecified})
	if got, want := unspecified.Error(), "registrar reports: unspecified error"; got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
}

// A registrar takes the addresses that fit the association. RSPLIB's PEs open another
// one when it finds none at a re-registration.
func TestReregistrationWithoutUsableAddresses(t *testing.T) {
	for _, code := range []protocol.Cause{protocol.CauseNoUsableASAPAddresses, protocol.CauseNoUsableUserAddresses} {
		c, home := newPE(t, 1)
		reject := &wire.RegistrationResponse{Reject: true, Handle: pool, ID: 1, Causes: cause(code)}
		rejected := &asap.RemoteError{Cause: code}
		c.advanceToDeadline("T4", reregistrationTimeout)
		c.wantSent("re-registration", home, registration(1))
		c.receive(home, reject)
		c.wantAborted("this association is of no use", home)
		c.wantTold("lost", asap.HomeLost{Err: rejected})
		home = c.connect()
		c.wantSent("on another association", home, registration(1))
		c.receive(home, reject)
		c.wantTold("another association does not cure it", asap.Rejected{Handle: pool, ID: 1, Err: rejected})
	}
}

// "At any time, a registered PE MAY wish to re-register to ... update its member
// selection Policy Value": the latest one wins, one message at a time.
func TestNewPolicy(t *testing.T) {
	c, home := newPE(t, 1)
	want := registration(1)
	set := func(load uint32) {
		pe := element(1)
		pe.Policy = protocol.Policy{Type: protocol.LeastUsed, Load: load}
		c.Register(c.now, pool, pe)
		want.Element.Policy = pe.Policy
	}
	set(1)
	c.wantSent("new policy", home, want)
	set(2)
	set(3)
	c.wantIdle("one is under way")
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.wantSent("newest policy", home, want)
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.wantTold("the newest is taken", asap.Updated{Handle: pool, ID: 1})
	c.wantIdle("that is all")
	set(4)
	c.wantSent("new policy", home, want)
	set(5)
	c.lose(home)
	c.wantTold("lost", asap.HomeLost{Err: errTest})
	set(6)
	home = c.connect()
	c.wantSent("newest policy", home, want)
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.wantTold("registered", asap.Registered{Handle: pool, ID: 1})
	c.wantTold("the newest is taken", asap.Updated{Handle: pool, ID: 1})
	c.wantIdle("that is all")
}

// RFC 5354 section 3.5: "Unlike in an SCTP Transport parameter, only one IP Address parameter can
// be present in a TCP Transport parameter." So in sections 3.3, 3.6 and 3.7. It is one that the
// association with the registrar proves: here 10.0.0.9.
func TestSingleAddress(t *testing.T) {
	for _, p := range []protocol.TransportProtocol{protocol.DCCP, protocol.SCTP, protocol.TCP, protocol.UDP, protocol.UDPLite} {
		c := newClientTest(t, "10.0.0.1")
		user := protocol.TransportAddr{Protocol: p, Port: 80}
		for _, a := range []string{"127.0.0.1", "10.0.1.9", "fd00::9", "10.0.0.9", "fe80::9"} {
			user.Addrs = append(user.Addrs, netip.MustParseAddr(a))
		}
		want := registration(7)
		want.Element.User = user.Clone()
		want.Element.User.Addrs = user.Addrs[3:4]
		if p == protocol.SCTP {
			want.Element.User.Addrs = user.Addrs[1:4]
		}
		c.Register(c.now, pool, protocol.PoolElement{ID: 7, User: user, Policy: want.Element.Policy})
		c.wantSent("over "+p.String(), c.connect(), want)
	}
}

// "when it fails to communicate with its Home ENRP server ... a PE ... MUST establish a new
// Home ENRP server", and registers there at once: the lost one has taken it out
// of the pool (RSPLIB's do when the association ends). RSPLIB's PEs wait for T4.
func TestRegistersAgainWithNewRegistrar(t *testing.T) {
	c, home := newPE(t, 1, 2)
	c.sleep(10 * time.Second)
	c.receive(home, &wire.EndpointKeepAlive{Registrar: 0xaa, Handle: pool, ID: 1})
	c.wantSent("alive", home, &wire.EndpointKeepAliveAck{Handle: pool, ID: 1})
	c.lose(home)
	c.wantTold("lost", asap.HomeLost{Err: errTest})
	home = c.connect()
	c.wantSent("registers anew, without a home", home, registration(1))
	c.wantSent("registers anew", home, registration(2))
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.wantTold("registered", asap.Registered{Handle: pool, ID: 1})
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 2})
	c.wantTold("registered", asap.Registered{Handle: pool, ID: 2})
	c.advanceToDeadline("the old T4 is void", 20*time.Second)
	c.advanceToDeadline("T4", 10*time.Second)
	c.wantSent("re-registration", home, registration(1))
	c.wantSent("re-registration", home, registration(2))
}

// Addresses that only our machine or link can use are of no use to others.
func TestAddressesThatAreTold(t *testing.T) {
	addrs := func(s ...string) (a []netip.Addr) {
		for _, s := range s {
			a = append(a, netip.MustParseAddr(s))
		}
		return a
	}
	for _, test := range []struct{ registrar, have, tell []netip.Addr }{
		{addrs("10.0.0.1"), addrs("127.0.0.1", "169.254.0.9", "fe80::9", "10.0.0.9", "fd00::9", "1.2.3.4"), addrs("10.0.0.9", "fd00::9", "1.2.3.4")},
		{addrs("127.0.0.1"), addrs("127.0.0.1", "10.0.0.9"), addrs("127.0.0.1", "10.0.0.9")},
		{addrs("10.0.0.1"), addrs("127.0.0.1"), addrs("127.0.0.1")}, // the registrar says what is wrong
	} {
		c := newClientTest(t, test.registrar[0].String())
		pe := element(1)
		pe.User.Addrs = test.have
		c.Register(c.now, pool, pe)
		want := registration(1)
		want.Element.User.Addrs = test.tell
		c.wantSent("R2.4", c.connect(), want)
	}
}

// RFC 5352 section 3.2: De-Registration.

// "D1) Fill in the Pool Handle parameter ... using the same Pool Handle parameter sent during
// registration." "D2) Fill in the PE Identifier parameter ... The identifier MUST be the
// same as used during registration." "D3) Send the ASAP_DEREGISTRATION message to the Home ENRP
// server using the PE's SCTP association." "At the reception of the
// ASAP_DEREGISTRATION_RESPONSE, the PE's ASAP endpoint MUST stop the T3-Deregistration timer."
func TestDeregistration(t *testing.T) {
	c, home := newPE(t, 1)
	c.Deregister(c.now, pool, 1)
	c.wantSent("D3", home, &wire.Deregistration{Handle: pool, ID: 1})
	c.Deregister(c.now, pool, 1)
	c.Register(c.now, pool, element(1))
	c.wantIdle("it is under way")
	c.receive(home, &wire.DeregistrationResponse{Handle: pool, ID: 1})
	c.wantTold("deregistered", asap.Deregistered{Handle: pool, ID: 1})
	c.sleep(c.Deadline().Sub(c.now))
	c.Advance(c.now)
	c.wantIdle("T4 is void")
	c.wantNoDeadline("T3 is stopped")
	c.Deregister(c.now, pool, 1)
	c.wantTold("there is no such PE", asap.Deregistered{Handle: pool, ID: 1})
}

// "If the de-registration is rejected, the ENRP server MUST indicate the rejection by
// including the proper Operational Error parameter."
func TestDeregistrationRejected(t *testing.T) {
	c, home := newPE(t, 1)
	c.Deregister(c.now, pool, 1)
	c.wantSent("D3", home, &wire.Deregistration{Handle: pool, ID: 1})
	c.receive(home, &wire.DeregistrationResponse{Handle: pool, ID: 1, Causes: cause(protocol.CauseSecurity)})
	c.wantTold("rejected", asap.Deregistered{Handle: pool, ID: 1, Err: &asap.RemoteError{Cause: protocol.CauseSecurity}})
}

// "D4) Start a T3-Deregistration timer." "If the T3-Deregistration timer expires ... the
// PE's ASAP Endpoint shall start the ENRP Server Hunt procedure ... After establishing a new
// Home ENRP server, the ASAP Endpoint SHOULD restart the de-registration procedure."
func TestT3Deregistration(t *testing.T) {
	c, home := newPE(t, 1)
	dereg := &wire.Deregistration{Handle: pool, ID: 1}
	c.Deregister(c.now, pool, 1)
	c.wantSent("D3", home, dereg)
	c.advanceToDeadline("T3-deregistration", responseTimeout)
	c.wantAborted("it does not answer", home)
	c.wantTold("it does not answer", asap.HomeLost{Err: asap.ErrNoResponse})
	home = c.connect()
	c.wantSent("restart", home, dereg)
	c.advanceToDeadline("T3-deregistration", responseTimeout)
	c.wantAborted("it does not answer", home)
	c.wantTold("it does not answer", asap.HomeLost{Err: asap.ErrNoResponse})
	c.wantTold("enough", asap.Deregistered{Handle: pool, ID: 1, Err: asap.ErrNoResponse})
	c.wantIdle("nobody needs a registrar")
}

func TestDeregistrationWithoutRegistrar(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.Register(c.now, pool, element(1))
	id, _ := c.wantDial("SH1")
	c.Deregister(c.now, pool, 1)
	c.advanceToDeadline("the upper layer waits no longer", requestTimeout)
	c.wantTold("no registrar", asap.Deregistered{Handle: pool, ID: 1, Err: asap.ErrNoRegistrar})
	c.wantAborted("nobody needs a registrar", id)
	c.wantNoDeadline("nobody needs a registrar")
}

// A registrar that answers the deregistration but not the registration before it leaves
// that one without a PE.
func TestDeregistrationOvertakes(t *testing.T) {
	c, home := newPE(t, 1, 2)
	c.Register(c.now, pool, element(1))
	c.wantSent("update", home, registration(1))
	c.Deregister(c.now, pool, 1)
	c.wantSent("D3", home, &wire.Deregistration{Handle: pool, ID: 1})
	c.receive(home, &wire.DeregistrationResponse{Handle: pool, ID: 1})
	c.wantTold("deregistered", asap.Deregistered{Handle: pool, ID: 1})
	c.visit(1, "10.0.0.2")
	c.receive(1, &wire.EndpointKeepAlive{Home: true, Registrar: 0xbb, Handle: pool, ID: 2})
	c.wantAborted("the new home takes over", home)
	c.wantTold("the new home takes over", asap.HomeFound{Addr: at("10.0.0.2")})
	c.wantSent("alive", 1, &wire.EndpointKeepAliveAck{Handle: pool, ID: 2})
	want := registration(2)
	want.Element.Home = 0xbb
	c.wantSent("the one that is left", 1, want)
	c.wantIdle("nothing of the one that is gone")
}
