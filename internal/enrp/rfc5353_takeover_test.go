package enrp

import (
	"io"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// dies is the end of a registrar whose machine says so.
func (e *engineTest) dies(number int) {
	e.Helper()
	e.HandleLost(e.now, effect.AssocID(number), io.EOF)
	e.HandleLost(e.now, e.dialedTo(number), syscall.ECONNREFUSED)
}

func initTakeover(sender, receiver, target protocol.RegistrarID) *wire.InitTakeover {
	return &wire.InitTakeover{Sender: sender, Receiver: receiver, Target: target}
}

func ack(sender, receiver, target protocol.RegistrarID) *wire.InitTakeoverAck {
	return &wire.InitTakeoverAck{Sender: sender, Receiver: receiver, Target: target}
}

func takeoverServer(sender, receiver, target protocol.RegistrarID) *wire.TakeoverServer {
	return &wire.TakeoverServer{Sender: sender, Receiver: receiver, Target: target}
}

// withTarget is a registrar with three peers, of which 1 owns a PE.
func withTarget(t *testing.T) *engineTest {
	e := newServing(t, 3, func(cfg *Config) { cfg.PeerHeartbeatCycle = time.Hour })
	e.receive(1, add(1, "Echo", 7))
	e.receive(2, add(2, "Echo", 8))
	return e
}

// RFC 5353 section 3.5.1: "The initiating server SHOULD first start the takeover arbitration process by
// sending an ENRP_INIT_TAKEOVER message to all its peer servers." Section 3.5.2: "The initiating ENRP
// server MUST first send, via an announcement, an ENRP_TAKEOVER_SERVER message ... mark itself as the Home
// ENRP server of each of the PEs originally owned by the target server; send a point-to-point
// ASAP_ENDPOINT_KEEP_ALIVE message".
func TestTakeover(t *testing.T) {
	e := withTarget(t)
	e.dies(1)
	e.want("arbitration", send(2, initTakeover(ownID, 2, 1)), send(3, initTakeover(ownID, 3, 1)))
	e.receive(2, ack(2, ownID, 1))
	e.receive(2, ack(2, ownID, 1))
	e.want("one is missing")
	e.wantHomes("not yet", "Echo/7@1 Echo/8@2")
	e.receive(3, ack(3, ownID, 1))
	e.wantHomes("won", "Echo/7@5 Echo/8@2")
	e.want("the end", send(2, takeoverServer(ownID, 2, 1)), send(3, takeoverServer(ownID, 3, 1)),
		tell(TakenOver{Target: 1, By: ownID, Elements: 1}), tell(PeerLost{1}),
		send(2, e.ours(2, false)), send(3, e.ours(3, false)))
	if !slices.Equal(e.adopted, []protocol.PEID{7}) {
		t.Errorf("adopts %v", e.adopted)
	}
	e.advance(time.Minute)
	if el := e.space.Get("Echo", 7); el == nil {
		t.Error("the PE has expired, which is ours to watch now")
	}
}

// A silent target is told too: "'group-casting' to all known peers, including the target server".
func TestTakeoverOfSilentTarget(t *testing.T) {
	e := withTarget(t)
	for range 4 {
		e.advance(2500 * time.Millisecond)
		e.receive(2, presence(2, add(2, "Echo", 8)))
		e.receive(3, presence(3))
	}
	e.want("asked, then taken over", send(1, e.ours(1, true)),
		send(1, initTakeover(ownID, 1, 1)), send(2, initTakeover(ownID, 2, 1)), send(3, initTakeover(ownID, 3, 1)))
	// "if it receives an ENRP_PRESENCE from the target server at any point in the arbitration process, the
	// initiating server MUST immediately stop the takeover process and mark the status of the target server as
	// 'active'."
	e.receive(1, presence(1, add(1, "Echo", 7)))
	e.receive(2, ack(2, ownID, 1))
	e.receive(3, ack(3, ownID, 1))
	e.want("it lives")
	e.wantHomes("and keeps its PE", "Echo/7@1 Echo/8@2")
	if p := e.Peers()[0]; p.State != "alive" {
		t.Errorf("the target is %s", p.State)
	}
}

// With nobody to acknowledge, the arbitration is won: RSPLIB's would wait in vain.
func TestTakeoverAlone(t *testing.T) {
	e := newServing(t, 1)
	e.receive(1, add(1, "Echo", 7))
	e.dies(1)
	e.wantHomes("at once", "Echo/7@5")
}

// A peer that is lost itself is not waited for, nor one that has not answered in time.
func TestTakeoverWithoutAcknowledgement(t *testing.T) {
	e := withTarget(t)
	e.dies(1)
	e.receive(2, ack(2, ownID, 1))
	e.HandleLost(e.now, 3, io.EOF)
	e.wantHomes("3 cannot answer any more", "Echo/7@5 Echo/8@2")

	e = withTarget(t)
	e.dies(1)
	e.advance(5*time.Second - 1)
	e.wantHomes("they have 5 s", "Echo/7@1 Echo/8@2")
	e.advance(1)
	e.wantHomes("over", "Echo/7@5 Echo/8@2")
}

// RFC 5353 section 3.5.1: "1. If the peer server determines that it (itself) is the target server ... it
// MUST immediately announce an ENRP_PRESENCE message to all its peer ENRP servers".
func TestTakeoverOfUs(t *testing.T) {
	e := newServing(t, 2)
	e.registered("Echo", 7)
	e.drain()
	e.receive(2, initTakeover(2, ownID, ownID))
	e.want("we live", send(1, e.ours(1, false)), send(2, e.ours(2, false)))
	e.receive(2, takeoverServer(2, ownID, ownID))
	e.want("we do", send(1, e.ours(1, false)), send(2, e.ours(2, false)))
	e.wantHomes("and keep what is ours", "Echo/7@5")
}

// "2. If the peer server finds that it has already started its own takeover arbitration process on the
// same target server, it MUST perform the following arbitration". RSPLIB lets the lower identifier win.
func TestTakeoverRivals(t *testing.T) {
	e := newServing(t, 3)
	e.known(8)
	e.receive(1, add(1, "Echo", 7))
	e.dies(1)
	e.drain()
	e.receive(8, initTakeover(8, ownID, 1))
	e.want("8 has to give way")
	e.receive(2, initTakeover(2, ownID, 1))
	e.want("we have to", send(2, ack(ownID, 2, 1)))
	for _, id := range []int{2, 3, 8} {
		e.receive(id, ack(protocol.RegistrarID(id), ownID, 1))
	}
	e.want("our arbitration is over")
	e.receive(2, takeoverServer(2, ownID, 1))
	e.wantHomes("2 has won", "Echo/7@2")
	e.want("1 is gone", tell(TakenOver{Target: 1, By: 2, Elements: 1}), tell(PeerLost{1}))
}

// "3. If the peer finds that it is neither the target server nor is in its own takeover process, the peer
// MUST: a) mark the target server as 'not active' on its internal peer list so that its status will no longer
// be monitored by this peer, and b) MUST reply". RSPLIB also for a target that it does not know.
func TestTakeoverByOther(t *testing.T) {
	e := withTarget(t)
	e.receive(3, initTakeover(3, ownID, 9))
	e.receive(3, initTakeover(3, ownID, 1))
	e.want("go ahead", send(3, ack(ownID, 3, 9)), send(3, ack(ownID, 3, 1)))
	e.HandleLost(e.now, 1, io.EOF)
	e.want("it is not our business any more")
	// Section 3.5.2: "remove the target server from its internal peer list; update the Home ENRP server of each
	// PE in its local copy of the handlespace to be the sender of the message".
	e.receive(3, takeoverServer(3, ownID, 1))
	e.wantHomes("3 is its home", "Echo/7@3 Echo/8@2")
	e.want("and 1 is gone", tell(TakenOver{Target: 1, By: 3, Elements: 1}), tell(PeerLost{1}))
}

// A takeover that its initiator does not finish is taken up.
func TestTakeoverByOtherFails(t *testing.T) {
	e := withTarget(t)
	e.receive(3, initTakeover(3, ownID, 1))
	e.HandleLost(e.now, 1, io.EOF)
	e.drain()
	e.dies(3)
	e.want("3 has gone meanwhile", tell(PeerLost{3}), send(2, initTakeover(ownID, 2, 1)))

	e = withTarget(t)
	e.receive(3, initTakeover(3, ownID, 1))
	e.HandleLost(e.now, 1, io.EOF)
	e.drain()
	for range 2 {
		e.advance(2500 * time.Millisecond)
		e.receive(2, presence(2, add(2, "Echo", 8)))
		e.receive(3, presence(3))
	}
	e.want("3 takes too long", send(2, initTakeover(ownID, 2, 1)), send(3, initTakeover(ownID, 3, 1)))
}

// RSPLIB's registrars do not say that they have won. Their next PRESENCE does.
func TestTakeoverByRSPLIB(t *testing.T) {
	e := withTarget(t)
	e.receive(3, initTakeover(3, ownID, 1))
	e.HandleLost(e.now, 1, io.EOF)
	e.drain()
	e.receive(3, presence(3, add(3, "Echo", 7)))
	e.want("an audit", send(3, &wire.HandleTableRequest{OwnChildrenOnly: true, Sender: ownID, Receiver: 3}))
	e.receive(3, table(3, false, add(3, "Echo", 7)))
	e.wantHomes("3 has it", "Echo/7@3 Echo/8@2")
	e.receive(2, presence(2, add(2, "Echo", 8)))
	e.advance(5 * time.Second)
	e.want("1 has left nothing behind", tell(PeerLost{1}), send(2, e.ours(2, true)), send(3, e.ours(3, true)))
}

// Two registrars have taken the same PE over. While neither has visited it, the lower identifier has it, and
// they do not give it up to each other; who is its home by its own word keeps it.
func TestBothHaveTakenOver(t *testing.T) {
	e := newServing(t, 3)
	e.known(8)
	e.receive(1, add(1, "Echo", 7))
	e.dies(1)
	for _, id := range []int{2, 3, 8} {
		e.receive(id, ack(protocol.RegistrarID(id), ownID, 1))
	}
	e.receive(8, add(8, "Echo", 7))
	e.wantHomes("8 has to give way", "Echo/7@5")
	e.receive(2, add(2, "Echo", 7))
	e.wantHomes("we have to", "Echo/7@2")
	if !slices.Equal(e.released, []protocol.PEID{7}) {
		t.Errorf("released %v", e.released)
	}

	e = newServing(t, 2)
	e.receive(1, add(1, "Echo", 7))
	e.dies(1)
	e.receive(2, ack(2, ownID, 1))
	e.drain()
	e.Registered(e.now, e.space.Get("Echo", 7))
	e.want("visited, it is announced", send(2, ourUpdate(2, add(5, "Echo", 7))))
	e.receive(2, add(2, "Echo", 7))
	e.wantHomes("and stays", "Echo/7@5")
}

// suggested is an update with RSPLIB's flag.
func suggested(u *wire.HandleUpdate) *wire.HandleUpdate {
	u.TakeoverSuggested = true
	return u
}

// A registrar that ends in good order finds a home for each of its PEs first.
func TestHandOver(t *testing.T) {
	e := newServing(t, 2)
	e.registered("Echo", 7)
	e.registered("Echo", 8)
	e.drain()
	e.HandOver(e.now, 2)
	e.want("take them", send(2, suggested(ourUpdate(2, add(5, "Echo", 7)))), send(2, suggested(ourUpdate(2, add(5, "Echo", 8)))))
	e.receive(2, add(2, "Echo", 7))
	e.want("one is left")
	e.receive(2, add(2, "Echo", 8))
	e.want("none is left", tell(HandedOver{}))
	e.wantHomes("both have another home", "Echo/7@2 Echo/8@2")
	if !slices.Equal(e.released, []protocol.PEID{7, 8}) {
		t.Errorf("released %v", e.released)
	}
}

func TestHandOverEnds(t *testing.T) {
	e := newServing(t, 2)
	e.HandOver(e.now, 0)
	e.want("nothing to hand over", tell(HandedOver{}))
	e.registered("Echo", 7)
	e.drain()
	e.HandOver(e.now, 0)
	e.want("anybody", send(1, suggested(ourUpdate(1, add(5, "Echo", 7)))))
	e.HandleLost(e.now, 1, io.EOF)
	e.want("somebody else", send(2, suggested(ourUpdate(2, add(5, "Echo", 7)))), dial(1))
	e.advance(handOverTimeout - 1)
	e.want("it has 2 s")
	e.advance(1)
	e.want("it does not do so", tell(HandedOver{Left: 1}))
	e.HandleLost(e.now, 2, io.EOF)
	e.drain()
	e.HandOver(e.now, 0)
	e.want("nobody is there", tell(HandedOver{Left: 1}))
}

// The other side: only the home may suggest it.
func TestTakeoverSuggested(t *testing.T) {
	e := newServing(t, 3)
	e.receive(1, add(1, "Echo", 7))
	e.receive(1, suggested(add(1, "Echo", 7)))
	e.wantHomes("taken", "Echo/7@5")
	e.want("all are told", send(1, ourUpdate(1, add(5, "Echo", 7))), send(2, ourUpdate(2, add(5, "Echo", 7))), send(3, ourUpdate(3, add(5, "Echo", 7))))
	if !slices.Equal(e.adopted, []protocol.PEID{7}) {
		t.Errorf("adopts %v", e.adopted)
	}
	e.receive(1, del(1, "Echo", 7))
	e.wantHomes("its former home's farewell", "Echo/7@5")
	e.receive(1, suggested(add(1, "Echo", 8)))
	e.wantHomes("one that we have not known", "Echo/7@5 Echo/8@5")
	foreign := suggested(add(2, "Echo", 9))
	foreign.Sender = 3
	e.receive(3, foreign)
	e.wantHomes("not 3's to give", "Echo/7@5 Echo/8@5 Echo/9@2")
}
