package asap_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5352 section 3.3: Handle Resolution.

// "NR1) Fill in an ASAP_HANDLE_RESOLUTION message (Section 2.2.5) with the Pool Handle to be
// resolved." "NR2) If the endpoint does not have a Home ENRP server, start the ENRP Server Hunt
// procedures specified in Section 3.6 to obtain one." "NR3) ... send the
// ASAP_HANDLE_RESOLUTION message to the Home ENRP server" "NR4) Start a T1-ENRPrequest timer."
// "At the reception of the ASAP_HANDLE_RESOLUTION_RESPONSE message, the ASAP Endpoint MUST stop
// its T1-ENRPrequest timer."
func TestResolution(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	q := c.Resolve(c.now, pool, wire.AllItems)
	home := c.connect()
	c.wantSent("NR3", home, &wire.HandleResolution{Handle: pool, Items: wire.AllItems})
	if d := c.Deadline().Sub(c.now); d != responseTimeout {
		t.Errorf("NR4: T1-ENRPrequest is %v, want %v", d, responseTimeout)
	}
	answer := &wire.HandleResolutionResponse{
		Handle: pool, Policy: protocol.Policy{Type: protocol.RoundRobin},
		Elements: []protocol.PoolElement{element(1), element(2)},
	}
	c.receive(home, answer)
	c.receive(home, &wire.EndpointUnreachable{Handle: "XXXX", ID: 0xffffffff}) // the decoder's memory is used again
	c.wantTold("answered", asap.Resolved{Query: q, Policy: answer.Policy, Elements: answer.Elements})
	c.wantNoDeadline("T1-ENRPrequest is stopped")
	c.lose(home)
	c.wantTold("lost", asap.HomeLost{Err: errTest})
	c.wantIdle("a PU without a request needs no registrar")
}

// "the ENRP server MUST reject the handle resolution request by responding with an
// ASAP_HANDLE_RESOLUTION_RESPONSE message carrying an Unknown Pool Handle error."
func TestResolutionOfUnknownPool(t *testing.T) {
	newPU(t, "10.0.0.1") // sees to it
}

// "If a SEND.FAILURE notification is received ... the ASAP Endpoint SHOULD start the Server
// Hunt procedure ... After establishing a new Home ENRP server, the ASAP Endpoint SHOULD restart the
// handle resolution procedure."
func TestResolutionSurvivesRegistrar(t *testing.T) {
	c, home := newPU(t, "10.0.0.1")
	q := c.resolve(pool)
	c.wantSent("NR3", home, resolution(pool))
	c.lose(home)
	c.wantTold("lost", asap.HomeLost{Err: errTest})
	home = c.connect()
	c.wantSent("restart", home, resolution(pool))
	c.receive(home, &wire.HandleResolutionResponse{Handle: pool, Elements: []protocol.PoolElement{element(1)}})
	c.wantTold("answered", asap.Resolved{Query: q, Elements: []protocol.PoolElement{element(1)}})
}

// Section 3.7.2: "When the T1-ENRPrequest timer expires, the ASAP Endpoint should re-send the
// original request ... This should be repeated up to MAX-REQUEST-RETRANSMIT times. After that, an
// Error.Report notification should be generated to inform the ASAP User". As RSPLIB, we
// send it again to the next registrar only.
func TestT1ENRPrequest(t *testing.T) {
	c, home := newPU(t, "10.0.0.1")
	q := c.resolve(pool)
	for attempt := range maxRequestAttempts {
		c.wantSent("NR3", home, resolution(pool))
		c.advanceToDeadline("T1-ENRPrequest", responseTimeout)
		c.wantAborted("no response", home)
		c.wantTold("no response", asap.HomeLost{Err: asap.ErrNoResponse})
		if attempt < maxRequestAttempts-1 {
			home = c.connect()
		}
	}
	c.wantTold("MAX-REQUEST-RETRANSMIT", asap.Resolved{Query: q, Err: asap.ErrNoResponse})
	c.wantIdle("nobody needs a registrar")
	c.wantNoDeadline("nobody needs a registrar")
}

func TestResolutionWithoutRegistrar(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2")
	first := c.resolve(pool)
	ids, _ := c.wantDials("SH1", 2)
	c.sleep(time.Second)
	second := c.resolve(pool)
	c.lose(ids[0])
	c.advanceToDeadline("the first waits no longer", requestTimeout-time.Second)
	c.wantTold("no registrar", asap.Resolved{Query: first, Err: asap.ErrNoRegistrar})
	c.advanceToDeadline("the second waits no longer", time.Second)
	c.wantTold("the cause is told too", asap.Resolved{Query: second, Err: errTest})
	c.wantAborted("nobody needs a registrar", ids[1])
	c.wantNoDeadline("nobody needs a registrar")
}

func TestRequestsArePipelined(t *testing.T) {
	c, home := newPU(t, "10.0.0.1")
	first, other, second := c.resolve(pool), c.resolve("Other"), c.resolve(pool)
	c.wantSent("first", home, resolution(pool))
	c.wantSent("other", home, resolution("Other"))
	c.wantSent("second", home, resolution(pool))
	for _, answer := range []struct {
		to     asap.QueryID
		handle protocol.PoolHandle
		id     protocol.PEID
	}{{first, pool, 1}, {other, "Other", 2}, {second, pool, 3}} {
		pes := []protocol.PoolElement{element(answer.id)}
		c.receive(home, &wire.HandleResolutionResponse{Handle: answer.handle, Elements: pes})
		c.wantTold("in order", asap.Resolved{Query: answer.to, Elements: pes})
	}
}

// The oldest request's timer is that of them all.
func TestT1WithSeveralRequests(t *testing.T) {
	c, home := newPU(t, "10.0.0.1")
	c.resolve(pool)
	c.wantSent("first", home, resolution(pool))
	c.sleep(time.Second)
	c.resolve("Other")
	c.wantSent("other", home, resolution("Other"))
	c.receive(home, &wire.HandleResolutionResponse{Handle: pool, Causes: cause(0)})
	c.next("the first is answered", effect.Tell)
	c.advanceToDeadline("T1 of the other", responseTimeout)
	c.wantAborted("no response", home)
}

// ASAP_ERROR names no request. Answers come in order, so it is about the oldest.
func TestErrorFailsOldestRequest(t *testing.T) {
	c, home := newPE(t, 1)
	q1 := c.resolve(pool)
	q2 := c.resolve(pool)
	c.Register(c.now, pool, element(1))
	c.Deregister(c.now, pool, 1)
	c.wantSent("resolution", home, resolution(pool))
	c.wantSent("resolution", home, resolution(pool))
	c.wantSent("registration", home, registration(1))
	c.wantSent("deregistration", home, &wire.Deregistration{Handle: pool, ID: 1})
	message := &wire.ASAPError{Causes: cause(protocol.CauseUnrecognizedMessage)}
	err := &asap.RemoteError{Cause: protocol.CauseUnrecognizedMessage}
	c.receive(home, message)
	c.wantTold("the oldest", asap.Resolved{Query: q1, Err: err})
	c.receive(home, message)
	c.wantTold("the next", asap.Resolved{Query: q2, Err: err})
	c.receive(home, message)
	c.wantIdle("the registration does not matter any more")
	c.receive(home, message)
	c.wantTold("the last", asap.Deregistered{Handle: pool, ID: 1, Err: err})
	c.receive(home, message)
	c.wantIdle("there is no request")
}

func TestErrorFailsRegistration(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.Register(c.now, pool, element(1))
	home := c.connect()
	c.wantSent("R3", home, registration(1))
	c.receive(home, &wire.ASAPError{Causes: cause(protocol.CauseLackOfResources)})
	c.wantTold("rejected", asap.Rejected{Handle: pool, ID: 1, Err: &asap.RemoteError{Cause: protocol.CauseLackOfResources}})
}

func TestUnsolicitedAnswersAreDropped(t *testing.T) {
	c, home := newPE(t, 1)
	c.resolve(pool)
	c.wantSent("NR3", home, resolution(pool))
	c.visit(1, "10.0.0.2")
	answer := &wire.HandleResolutionResponse{Handle: pool, Elements: []protocol.PoolElement{element(1)}}
	c.receive(1, answer)
	c.wantIdle("it is not from the home registrar")
	c.receive(home, &wire.HandleResolutionResponse{Handle: "Other", Elements: []protocol.PoolElement{element(1)}})
	c.receive(home, &wire.RegistrationResponse{Reject: true, Handle: pool, ID: 1})
	c.receive(home, &wire.DeregistrationResponse{Handle: pool, ID: 1})
	c.receive(home, registration(1))
	c.receive(home, &wire.Cookie{Cookie: []byte{1}})
	c.HandleMessage(c.now, home, protocol.PPIDENRP, answer.AppendTo(nil))
	c.wantIdle("nobody has asked for these")
	c.receive(home, answer)
	c.next("this one is waited for", effect.Tell)
}

func TestCancel(t *testing.T) {
	c, home := newPU(t, "10.0.0.1")
	first, second := c.resolve(pool), c.resolve(pool)
	c.wantSent("first", home, resolution(pool))
	c.wantSent("second", home, resolution(pool))
	c.Cancel(first)
	c.Cancel(first)
	c.Cancel(1000)
	pes := []protocol.PoolElement{element(1)}
	c.receive(home, &wire.HandleResolutionResponse{Handle: pool, Elements: pes})
	c.wantIdle("this answers the first, which nobody waits for")
	c.receive(home, &wire.HandleResolutionResponse{Handle: pool, Elements: pes})
	c.wantTold("this answers the second", asap.Resolved{Query: second, Elements: pes})

	third := c.resolve(pool)
	c.wantSent("third", home, resolution(pool))
	c.Cancel(third)
	c.lose(home)
	c.wantTold("lost", asap.HomeLost{Err: errTest})
	c.wantIdle("what was cancelled is not sent again")
}

// RFC 5352 section 3.5: Unreachable Endpoints.

// "the ASAP Endpoint SHOULD report the unavailability of the PE by sending an
// ASAP_ENDPOINT_UNREACHABLE message to any ENRP server." "an ASAP Endpoint MUST report no more than
// once each time it encounters such an event."
func TestReportUnreachable(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.ReportUnreachable(c.now, pool, 7)
	home := c.connect()
	c.wantSent("report", home, &wire.EndpointUnreachable{Handle: pool, ID: 7})
	c.wantNoDeadline("there is no answer")
	c.lose(home)
	c.wantTold("lost", asap.HomeLost{Err: errTest})
	c.wantIdle("no more than once")
}

func TestReportUnreachableWithoutRegistrar(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.ReportUnreachable(c.now, pool, 7)
	id, _ := c.wantDial("SH1")
	c.advanceToDeadline("it is old news", requestTimeout)
	c.wantAborted("nobody needs a registrar", id)
	c.wantNoDeadline("nobody needs a registrar")
}

// What a registrar sends that cannot be read may be the answer that is waited for.
func TestGarbageEndsAssociation(t *testing.T) {
	short := resolution(pool).AppendTo(nil)
	binary.BigEndian.PutUint16(short[2:], 400)
	for name, garbage := range map[string][]byte{
		"empty":      {},
		"header":     {0x06, 0, 0},
		"length":     short,
		"parameters": {0x06, 0, 0, 8, 0, 9, 0, 77},
	} {
		t.Run(name, func(t *testing.T) {
			c, home := newPE(t, 1)
			q := c.resolve(pool)
			c.wantSent("NR3", home, resolution(pool))
			c.visit(1, "10.0.0.2")
			c.HandleMessage(c.now, 1, protocol.PPIDASAP, garbage)
			c.wantIdle("a stranger may talk nonsense")
			c.receiveBytes(home, garbage)
			c.wantAborted("garbage", home)
			c.wantTold("garbage", asap.HomeLost{Err: asap.ErrProtocol})
			home = c.connect()
			c.wantSent("again", home, resolution(pool))
			c.wantSent("again", home, registration(1))
			c.receiveBytes(home, garbage)
			c.wantAborted("garbage", home)
			c.wantTold("garbage", asap.HomeLost{Err: asap.ErrProtocol})
			c.wantTold("enough", asap.Resolved{Query: q, Err: asap.ErrProtocol})
			c.advanceToDeadline("garbage is no answer", 50*time.Millisecond)
			c.wantDial("a registration waits for ever")
		})
	}
}

// RFC 5354 section 4: a message of unknown type is discarded.
func TestUnknownMessageIsDiscarded(t *testing.T) {
	c, home := newPE(t, 1)
	c.receiveBytes(home, []byte{0x3f, 0, 0, 4})
	c.wantIdle("discarded")
}
