package enrp

import (
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// starting returns a registrar that has static peers 1 to n, with their associations being
// dialed.
func starting(t *testing.T, n int) (*engineTest, []effect.AssocID) {
	e := newEngineTest(t)
	for i := range n {
		e.AddPeer(e.now, addr(i+1, protocol.PortENRP))
	}
	e.Start(e.now, addr(5, protocol.PortENRP), false)
	var ids []effect.AssocID
	for _, f := range e.drain() {
		if f.Kind != effect.Dial {
			t.Fatalf("starts with %s", e.text(f))
		}
		ids = append(ids, f.Assoc)
	}
	if len(ids) != n {
		t.Fatalf("dials %d peers, want %d at once", len(ids), n)
	}
	return e, ids
}

// reached lets a dialed registrar introduce itself over its association.
func (e *engineTest) reached(id effect.AssocID, number int) {
	e.HandleUp(e.now, id, addr(5, protocol.PortENRP), addr(number, protocol.PortENRP))
	e.answers(id, presence(number))
}

func (e *engineTest) answers(id effect.AssocID, m wire.Message) {
	e.HandleMessage(e.now, id, protocol.PPIDENRP, m.AppendTo(nil))
}

// requests returns where HANDLE_TABLE_REQUESTs went.
func (e *engineTest) requests() (to []protocol.RegistrarID) {
	var d wire.Decoder
	for _, f := range e.drain() {
		if f.Kind == effect.Send {
			if m, ok := mustDecode(e, &d, f.Data).(*wire.HandleTableRequest); ok {
				to = append(to, m.Receiver)
			}
		}
	}
	return to
}

func mustDecode(e *engineTest, d *wire.Decoder, data []byte) wire.Message {
	m, err := d.ENRP(data)
	if err != nil {
		e.Fatal(err)
	}
	return m
}

func (e *engineTest) wantRequest(reason string, to ...protocol.RegistrarID) {
	e.Helper()
	if got := e.requests(); len(got) != len(to) || len(to) > 0 && got[0] != to[0] {
		e.Errorf("%s: handle tables are requested from %v, want %v", reason, got, to)
	}
}

func (e *engineTest) wantServing(reason string, want bool) {
	e.Helper()
	if e.Serving() != want {
		e.Errorf("%s: serving is %v", reason, !want)
	}
}

// RFC 5353 section 3.2.2.1: "If no existing peer server is specified, the initiating server MUST assume
// that it is alone in the operational scope, and MUST ... consider its initialization completed and
// start offering ENRP services."
func TestStartAlone(t *testing.T) {
	e := newEngineTest(t)
	e.Start(e.now, addr(5, protocol.PortENRP), false)
	e.want("nobody to ask", tell(Serving{}))
	e.wantServing("alone", true)
}

// RFC 5353 section 3.2.2.2: "the initiating server MUST send an ENRP_LIST_REQUEST message to the mentor
// peer server". Section 3.2.3: "the initiating server MUST first send an ENRP_HANDLE_TABLE_REQUEST message
// to the mentor peer, with the W flag set to '0'".
func TestStartWithMentor(t *testing.T) {
	e, ids := starting(t, 1)
	e.reached(ids[0], 1)
	e.want("greeted, then asked", send(101, e.ours(0, true)), tell(PeerUp{1, addr(1, protocol.PortENRP)}),
		send(101, &wire.ListRequest{Sender: ownID, Receiver: 1}),
		send(101, &wire.HandleTableRequest{Sender: ownID, Receiver: 1}))
	e.wantServing("downloading", false)

	// "If the M flag is set to '1' in the just processed ENRP_HANDLE_TABLE_RESPONSE message, the initiating
	// server MUST send another ENRP_HANDLE_TABLE_REQUEST message to the mentor peer".
	e.answers(ids[0], table(1, true, add(1, "Echo", 7)))
	e.wantRequest("more to send", 1)
	// "When the last ENRP_HANDLE_TABLE_RESPONSE message is received from the mentor peer and unpacked into
	// the local handlespace, the initialization process is completed".
	e.answers(ids[0], table(1, false, add(2, "Echo", 8)))
	e.wantHomes("all pages", "Echo/7@1 Echo/8@2")
	e.wantServing("the last page", true)
}

// RFC 5353 section 3.2.2.2: "Upon the reception of the ENRP_LIST_RESPONSE message from the mentor peer, the
// initiating server MUST use the server information carried in the message to initialize its own
// peer list." RSPLIB lists identifiers 0 and the requester, too.
func TestListResponse(t *testing.T) {
	e := newServing(t, 1)
	server := func(id protocol.RegistrarID, number int) wire.ServerInformation {
		return wire.ServerInformation{ID: id, Transport: addr(number, protocol.PortENRP)}
	}
	loopback := server(8, 8)
	loopback.Transport.Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	e.receive(1, &wire.ListResponse{Sender: 1, Receiver: ownID, Servers: []wire.ServerInformation{
		server(0, 7), server(ownID, 5), server(1, 1), server(2, 2), loopback,
	}})
	e.want("one is new", dial(2))
}

// RFC 5353 section 3.2.2.2: "if the mentor itself is in the process of startup ..., it MUST reject the
// request by the initiating server and respond with an ENRP_LIST_RESPONSE message with the R flag set to
// '1', and with no server information included in the response." Section 3.2.3 says the same of
// ENRP_HANDLE_TABLE_REQUEST.
func TestRejectedWhileStarting(t *testing.T) {
	e, _ := starting(t, 1)
	e.up(3)
	e.receive(3, presence(3))
	e.drain()
	e.receive(3, &wire.ListRequest{Sender: 3})
	e.receive(3, &wire.HandleTableRequest{Sender: 3})
	e.want("not ready",
		send(3, &wire.ListResponse{Reject: true, Sender: ownID, Receiver: 3}),
		send(3, &wire.HandleTableResponse{Reject: true, Sender: ownID, Receiver: 3}))
	e.receive(3, &wire.HandleTableRequest{Sender: 3, OwnChildrenOnly: true})
	e.want("what is ours we know", send(3, &wire.HandleTableResponse{Sender: ownID, Receiver: 3}))
}

// RFC 5353 section 3.2.3: "In the case where its ENRP_HANDLE_TABLE_REQUEST is rejected by the mentor
// peer, the initiating server SHOULD ... if there is a backup mentor peer available, select another
// mentor peer server". "If this timer expires without receiving a response from the mentor peer, the
// initiating server SHOULD abort the current download session and re-start a new handlespace download
// with a backup mentor peer, if one is available."
func TestBackupMentor(t *testing.T) {
	for name, fail := range map[string]func(e *engineTest, id effect.AssocID){
		"rejected": func(e *engineTest, id effect.AssocID) {
			e.answers(id, &wire.HandleTableResponse{Reject: true, Sender: 1, Receiver: ownID})
		},
		"timeout": func(e *engineTest, _ effect.AssocID) { e.advance(5 * time.Second) },
		"lost":    func(e *engineTest, id effect.AssocID) { e.HandleLost(e.now, id, io.EOF) },
		"lost after a page": func(e *engineTest, id effect.AssocID) {
			e.answers(id, table(1, true, add(1, "Echo", 7)))
			e.wantRequest("the next page", 1)
			e.HandleLost(e.now, id, io.EOF)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, ids := starting(t, 2)
			e.reached(ids[0], 1)
			e.wantRequest("the first one", 1)
			e.reached(ids[1], 2)
			e.wantRequest("one mentor is enough")
			fail(e, ids[0])
			e.wantRequest("the other one", 2)
			e.answers(ids[1], table(2, false, add(2, "Echo", 8)))
			e.wantServing("the other's table", true)
		})
	}
}

// Nobody is left to be asked: no reason to wait for the end of MentorDiscoveryTimeout.
func TestStartWithDeadPeers(t *testing.T) {
	e, ids := starting(t, 2)
	e.HandleLost(e.now, ids[0], syscall.ECONNREFUSED)
	e.wantServing("one is left", false)
	e.HandleLost(e.now, ids[1], syscall.ECONNREFUSED)
	e.want("both have refused", tell(Serving{}), dial(1), dial(2))
	e.advance(2750 * time.Millisecond)
	e.want("they are being dialed still")
}

func TestMentorDiscoveryTimeout(t *testing.T) {
	e, _ := starting(t, 1)
	e.advance(4999 * time.Millisecond)
	e.wantServing("the peer may still answer", false)
	e.advance(time.Millisecond)
	e.wantServing("it has not", true)
}

// With a group a reply is asked for at once, and the first one is the mentor's.
func TestStartWithGroup(t *testing.T) {
	e := newEngineTest(t)
	e.Start(e.now, addr(5, protocol.PortENRP), true)
	e.want("who is there?", "announce "+e.ours(0, true).String())
	e.HandleDatagram(e.now, addr(1, protocol.PortENRP).AddrPort(), presence(1).AppendTo(nil))
	e.wantServing("a mentor may be there", false)
	id := e.dialedTo(1)
	e.reached(id, 1)
	e.wantRequest("it is", 1)
	e.answers(id, table(1, false))
	e.want("served", tell(Serving{Mentor: 1}), "announce "+e.ours(0, false).String(),
		send(number(id), e.ours(1, false)))
}

// RFC 5353 section 3.2.3: "If the pool already exists in the local handlespace AND the PE(s) in the pool
// entry is already a member of the pool, the initiating server SHOULD replace the attributes". The mentor
// can only do so for its own PEs: of those of others we may have heard later.
func TestMentorTableIsOlderThanUpdates(t *testing.T) {
	e, ids := starting(t, 1)
	e.reached(ids[0], 1)
	fresh := add(2, "Echo", 7)
	fresh.Element.Life = time.Minute
	e.answers(ids[0], fresh) // whoever sends it for 2
	e.up(2)
	e.receive(2, presence(2))
	e.receive(2, fresh)
	e.answers(ids[0], table(1, false, add(2, "Echo", 7), add(1, "Echo", 8)))
	e.wantHomes("both", "Echo/7@2 Echo/8@1")
	if life := e.space.Get("Echo", 7).Life; life != time.Minute {
		t.Errorf("the mentor's word about another's PE replaced what that said itself: life %v", life)
	}
}
