package enrp

import (
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5353 section 3.4.1: "If a message of any type is received from a previously unknown peer, the ENRP
// server MUST consider this peer a new peer in the operational scope and add it to the peer list. The ENRP
// server MUST send an ENRP_PRESENCE message with the Reply-required flag set to '1' to the source
// address found in the arrived message."
func TestNewPeer(t *testing.T) {
	e := newServing(t, 0)
	e.drain()
	e.up(1)
	e.want("who has dialed us speaks first")
	e.receive(1, asking(presence(1)))
	e.want("a new peer", tell(PeerUp{1, addr(1, protocol.PortENRP)}), send(1, e.ours(1, true)), send(1, e.ours(1, false)),
		send(1, &wire.ListRequest{Sender: ownID, Receiver: 1}))

	e.up(2)
	e.receive(2, &wire.ListRequest{Sender: 2})
	e.want("it is answered all the same, as by RSPLIB", send(2, e.ours(0, true)),
		send(2, &wire.ListResponse{Sender: ownID, Receiver: 2, Servers: []wire.ServerInformation{{ID: 1, Transport: addr(1, protocol.PortENRP)}}}))
	e.receive(2, &wire.HandleTableRequest{Sender: 2})
	e.want("but it gets no table", send(2, &wire.HandleTableResponse{Reject: true, Sender: ownID, Receiver: 2}))
	if got := e.Peers(); len(got) != 1 || got[0].ID != 1 || got[0].State != "alive" {
		t.Errorf("peers are %+v", got)
	}
}

// Who does not introduce itself is not kept.
func TestStrangersGo(t *testing.T) {
	e := newServing(t, 0)
	e.drain()
	e.up(1)
	e.advance(5*time.Second - 1)
	e.want("it may still speak")
	e.advance(1)
	e.want("it has not", "abort 1")
	for i := range maxStrangers {
		e.up(100 + i)
	}
	e.want("many")
	e.up(99)
	e.want("too many", "abort 99")
}

// RFC 5353 section 3.4.2: "Every PEER-HEARTBEAT-CYCLE seconds, an ENRP server MUST announce its continued
// presence to all its peer with a ENRP_PRESENCE message ... MUST set the 'Replay_required' flag to '0'".
func TestHeartbeat(t *testing.T) {
	e := newServing(t, 2)
	e.advance(2138 * time.Millisecond)
	e.want("not before seven eighths")
	e.advance(612 * time.Millisecond)
	e.want("a heartbeat", send(1, e.ours(1, false)), send(2, e.ours(2, false)))
}

// RFC 5353 section 3.4.3: "If a peer has not been heard for more than MAX-TIME-LAST-HEARD seconds, the ENRP
// server MUST immediately send a point-to-point ENRP_PRESENCE with the Reply_request flag set to '1' to
// that peer. If the send fails or the peer does not reply after MAX-TIME-NO-RESPONSE seconds, the ENRP
// server MUST consider the peer server dead".
func TestSilentPeer(t *testing.T) {
	quiet := func(cfg *Config) { cfg.PeerHeartbeatCycle = time.Hour }
	e := newServing(t, 1, quiet)
	e.advance(5*time.Second - 1)
	e.want("it may be quiet for so long")
	e.advance(1)
	e.want("are you there?", send(1, e.ours(1, true)))
	e.advance(5*time.Second - 1)
	e.receive(1, presence(1))
	e.want("it is")
	e.advance(5 * time.Second)
	e.want("are you there?", send(1, e.ours(1, true)))
	e.advance(5 * time.Second)
	e.want("it is not, and had no PE", "abort 1", tell(PeerLost{1}))
	if got := e.Peers(); len(got) != 0 {
		t.Errorf("peers are %+v", got)
	}
}

// The end of the last association is no reason to wait.
func TestPeerWithoutAssociation(t *testing.T) {
	e := newServing(t, 1)
	e.HandleLost(e.now, 1, io.EOF)
	e.want("probed", dial(1))
	e.HandleLost(e.now, 1<<63|1, syscall.ECONNREFUSED)
	e.want("dead", tell(PeerLost{1}))

	e = newServing(t, 1)
	e.HandleLost(e.now, 1, io.EOF)
	e.drain()
	e.reached(1<<63|1, 1)
	e.want("it lives, and may know others now", send(101, e.ours(0, true)), send(101, &wire.ListRequest{Sender: ownID, Receiver: 1}))
}

// Where a peer was, another registrar answers: the peer has been killed and started anew.
func TestRestartedPeer(t *testing.T) {
	e := newServing(t, 1)
	e.receive(1, add(1, "Echo", 7))
	e.HandleLost(e.now, 1, io.EOF)
	id := e.dialedTo(1)
	e.HandleUp(e.now, id, addr(5, protocol.PortENRP), addr(1, protocol.PortENRP))
	reborn := presence(9)
	reborn.Server.Transport = addr(1, protocol.PortENRP)
	e.answers(id, reborn)
	e.wantHomes("the old one waits for the new one's acknowledgement", "Echo/7@1")
	e.answers(id, &wire.InitTakeoverAck{Sender: 9, Receiver: ownID, Target: 1})
	e.wantHomes("taken over", "Echo/7@5")
}

// When both sides have dialed, each hears both associations and sends over one.
func TestTwoAssociations(t *testing.T) {
	e := newServing(t, 1)
	e.HandleUp(e.now, 11, addr(5, protocol.PortENRP), addr(1, protocol.PortENRP))
	e.HandleMessage(e.now, 11, protocol.PPIDENRP, asking(presence(1)).AppendTo(nil))
	e.drain()
	e.HandleLost(e.now, 1, io.EOF)
	e.want("the other one is there")
	e.registered("Echo", 7)
	e.want("and used", send(11, ourUpdate(1, add(5, "Echo", 7))))
	e.HandleLost(e.now, 11, io.EOF)
	e.want("none is left", dial(1))
	e.HandleUp(e.now, 12, addr(5, protocol.PortENRP), addr(1, protocol.PortENRP))
	e.HandleMessage(e.now, 12, protocol.PPIDENRP, presence(1).AppendTo(nil))
	e.drain()
	e.HandleUp(e.now, 1<<63|1, addr(5, protocol.PortENRP), addr(1, protocol.PortENRP))
	e.want("what was dialed is not needed any more", "close 101")
}

// A static peer is dialed again and again, with every heartbeat; as long as nobody has answered it
// has no identifier.
func TestStaticPeer(t *testing.T) {
	e, ids := starting(t, 1)
	e.HandleLost(e.now, ids[0], syscall.ECONNREFUSED)
	e.drain()
	e.HandleLost(e.now, 1<<63|2, syscall.ECONNREFUSED)
	e.advance(2750 * time.Millisecond)
	e.want("again", dial(1))
	if got := e.Peers(); len(got) != 1 || got[0].ID != 0 || !got[0].Static {
		t.Errorf("peers are %+v", got)
	}
	e.reached(1<<63|3, 1)
	if got := e.Peers(); len(got) != 1 || got[0].ID != 1 || !got[0].Static {
		t.Errorf("peers are %+v", got)
	}
	e.AddPeer(e.now, addr(2, protocol.PortENRP))
	if e.drain(); len(e.Peers()) != 2 {
		t.Errorf("peers are %+v", e.Peers())
	}
}

// A peer that the configuration does not know any more is not sought, but stays while it lives.
func TestRemovePeer(t *testing.T) {
	e, ids := starting(t, 2)
	e.reached(ids[0], 1)
	e.drain()
	e.RemovePeer(e.now, addr(1, protocol.PortENRP))
	e.RemovePeer(e.now, addr(2, protocol.PortENRP))
	e.want("it is sought no more", fmt.Sprintf("abort %d", number(ids[1])))
	e.RemovePeer(e.now, addr(3, protocol.PortENRP)) // unknown
	if got := e.Peers(); len(got) != 1 || got[0].ID != 1 || got[0].Static {
		t.Errorf("peers are %+v", got)
	}
	e.answers(ids[0], presence(1))
	e.drain()
	e.HandleLost(e.now, ids[0], syscall.ECONNREFUSED)
	e.drain()
	e.advance(time.Minute)
	if e.drain(); len(e.Peers()) > 0 {
		t.Errorf("peers are %+v", e.Peers())
	}
	e.advance(time.Minute)
	e.want("nor later")
}

// A configuration may name all registrars, the own one too.
func TestStaticPeerIsOurselves(t *testing.T) {
	e := newEngineTest(t)
	e.AddPeer(e.now, addr(5, protocol.PortENRP))
	e.Start(e.now, addr(5, protocol.PortENRP), false)
	e.want("our address", tell(Serving{}))
	e.advance(time.Minute)
	if e.want("it is not dialed"); len(e.Peers()) != 0 {
		t.Errorf("peers are %+v", e.Peers())
	}
}

// It may do so by an address that only others see.
func TestStaticPeerLeadsToOurselves(t *testing.T) {
	e := newEngineTest(t)
	e.AddPeer(e.now, addr(6, protocol.PortENRP))
	e.Start(e.now, addr(5, protocol.PortENRP), false)
	id := e.dialedTo(6)
	e.HandleUp(e.now, id, addr(5, protocol.PortENRP), addr(6, protocol.PortENRP))
	e.want("hello", send(number(id), e.ours(0, true)))
	e.up(9) // the other end
	e.receive(9, e.ours(0, true))
	e.want("who asks", send(9, e.ours(0, false)))
	e.answers(id, e.ours(0, false))
	e.want("it is me", "close 101", tell(Serving{}))
	e.HandleLost(e.now, 9, io.EOF)
	if len(e.Peers()) != 0 {
		t.Errorf("peers are %+v", e.Peers())
	}
	e.advance(time.Minute)
	e.want("it is not dialed again")
}

// RFC 5353 section 3.2.1: "two ENRP servers in an operational scope will generate the same server ID ...
// However, no severe consequence of such a conflict has been identified."
func TestCollision(t *testing.T) {
	e := newServing(t, 1)
	for _, m := range []wire.Message{presence(5), add(5, "Echo", 7), &wire.ListRequest{Sender: 5}, &wire.InitTakeover{Sender: 5, Target: 1}} {
		e.receive(1, m)
	}
	e.HandleDatagram(e.now, addr(6, protocol.PortENRP).AddrPort(), presence(5).AppendTo(nil))
	e.HandleDatagram(e.now, addr(5, protocol.PortENRP).AddrPort(), presence(5).AppendTo(nil))     // our own
	e.HandleDatagram(e.now, netip.MustParseAddrPort("127.0.0.1:9901"), presence(5).AppendTo(nil)) // as well
	e.want("ignored")
	if got := e.Stats().Collisions; got != 5 {
		t.Errorf("counted %d", got)
	}
}

// A peer that cannot be dialed where it says to be is none: RSPLIB takes the addresses that it names and
// that its association proves.
func TestAddressOfPeer(t *testing.T) {
	e := newServing(t, 0)
	e.drain()
	e.up(1)
	foreign := presence(1)
	foreign.Server.Transport = addr(2, protocol.PortENRP)
	e.receive(1, foreign)
	e.want("somebody else's address")
	more := presence(1)
	more.Server.Transport.Addrs = append(addr(2, 0).Addrs, addr(1, 0).Addrs...)
	e.receive(1, more)
	if got := e.Peers(); len(got) != 1 || !got[0].Addr.Equal(addr(1, protocol.PortENRP)) {
		t.Errorf("peers are %+v", got)
	}
	e.drain()
	e.up(2)
	bare := presence(2)
	bare.Server.Transport = protocol.TransportAddr{}
	e.receive(2, bare)
	if got := e.Peers(); len(got) != 2 || !got[1].Addr.Equal(addr(2, protocol.PortENRP)) {
		t.Errorf("without Server Information peers are %+v", got)
	}
}

func TestMaxPeers(t *testing.T) {
	e := newServing(t, 2, func(cfg *Config) { cfg.MaxPeers = 2 })
	e.up(3)
	e.receive(3, presence(3))
	e.want("one too many", "abort 3")
	e.HandleDatagram(e.now, addr(4, protocol.PortENRP).AddrPort(), presence(4).AppendTo(nil))
	e.want("nor this one")
}

// Whoever has lost a peer asks the others for their lists again: they may reach it.
func TestLostPeerIsAskedFor(t *testing.T) {
	e := newServing(t, 2)
	e.receive(1, presence(1))
	e.want("its list is here")
	e.HandleLost(e.now, 2, io.EOF)
	e.HandleLost(e.now, 1<<63|1, syscall.ECONNREFUSED)
	e.drain()
	e.receive(1, presence(1))
	e.want("once more", send(1, &wire.ListRequest{Sender: ownID, Receiver: 1}))
	e.receive(1, &wire.ListResponse{Sender: 1, Receiver: ownID, Servers: []wire.ServerInformation{{ID: 2, Transport: addr(2, protocol.PortENRP)}}})
	e.want("it lives there", dial(2))
	theirs := add(2, "Echo", 7)
	theirs.Sender = 1
	e.receive(1, theirs)
	e.HandleLost(e.now, 1<<63|2, syscall.ECONNREFUSED)
	e.want("not for us, but it has not been heard: nobody is taken over on hearsay")
	e.wantHomes("and its PE stays its own", "Echo/7@2")
	if got := e.Peers(); len(got) != 1 {
		t.Errorf("peers are %+v", got)
	}
}

// RSPLIB's registrar: "PPID 11 on the ENRP socket or PPID 12 on the ASAP socket: registrar aborts the
// association. Any other PPID: parse fails, no reply".
func TestWrongPPID(t *testing.T) {
	e := newServing(t, 1)
	m := presence(1).AppendTo(nil)
	for _, ppid := range []protocol.PPID{0, 10, 13} {
		e.HandleMessage(e.now, effect.AssocID(1), ppid, m)
	}
	e.want("passed over")
	e.HandleMessage(e.now, effect.AssocID(1), protocol.PPIDASAP, m)
	e.want("fatal", "abort 1", dial(1))
}

// RFC 5353 section 3.7: "the ENRP server that discovered the error SHOULD send back an ENRP_ERROR message
// with a proper error cause code."
func TestMalformed(t *testing.T) {
	e := newServing(t, 1)
	report := func(cause protocol.Cause, data []byte) string {
		return send(1, &wire.ENRPError{Sender: ownID, Receiver: 1, Causes: []wire.ErrorCause{{Code: cause, Data: data}}})
	}
	receive := func(b ...byte) { e.HandleMessage(e.now, 1, protocol.PPIDENRP, b) }
	receive(5, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 5)
	e.want("shorter than it says", report(protocol.CauseInvalidMessage, nil))
	receive(5, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 5, 0x40, 0xff, 0, 4)
	e.want("unknown parameter", report(protocol.CauseUnrecognizedParameter, []byte{0x40, 0xff, 0, 4}))
	receive(0x2f, 0, 0, 4)
	receive(10, 0, 0, 8, 0, 0, 0, 1)
	e.receive(1, &wire.ENRPError{Sender: 1, Causes: []wire.ErrorCause{{Code: protocol.CauseInvalidMessage}}})
	e.want("an unknown type, and errors, have no answer")
	for range maxMalformed {
		receive(5)
	}
	e.drain()
	receive(5)
	e.want("enough", "abort 1", dial(1))
	e.HandleDatagram(e.now, addr(1, 9).AddrPort(), []byte{1})
	e.HandleDatagram(e.now, addr(1, 9).AddrPort(), (&wire.ListRequest{Sender: 1}).AppendTo(nil))
	e.want("nothing of the kind is answered to a datagram")
}
