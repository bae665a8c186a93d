package enrp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5353 section 3.3.1: "An ENRP server MUST announce this update to all its peers in a
// ENRP_HANDLE_UPDATE message with the Update Action field set to 'ADD_PE' ... The complete new
// information of the PE and the pool it belongs to MUST be indicated". RSPLIB: for every reregistration, too.
func TestUpdateToAllPeers(t *testing.T) {
	e := newServing(t, 2)
	el := e.registered("Echo", 7)
	e.want("registered", send(1, ourUpdate(1, add(5, "Echo", 7))), send(2, ourUpdate(2, add(5, "Echo", 7))))
	e.Registered(e.now, el)
	e.want("reregistered", send(1, ourUpdate(1, add(5, "Echo", 7))), send(2, ourUpdate(2, add(5, "Echo", 7))))
	// Section 3.3.2: "An ENRP server MUST announce the PE removal to all its peers".
	e.space.Remove("Echo", 7, handlespace.Deregistered)
	e.Removed(e.now, el)
	e.want("deregistered", send(1, ourUpdate(1, del(5, "Echo", 7))), send(2, ourUpdate(2, del(5, "Echo", 7))))
}

// RFC 5353 section 3.3.1: "If the named pool indicated by the pool handle does not exist in its local copy
// of the handlespace, the peer MUST create the named pool ... If the named pool exists and the PE is
// already a member of the pool, the peer MUST replace the attributes of the PE". Section 3.3.2: "the peer
// MUST also delete the pool".
func TestUpdateFromPeer(t *testing.T) {
	e := newServing(t, 2)
	e.receive(1, add(1, "Echo", 7))
	e.receive(1, add(1, "Echo", 8))
	again := add(1, "Echo", 7)
	again.Element.User.Port = 99
	e.receive(1, again)
	e.wantHomes("two PEs", "Echo/7@1 Echo/8@1")
	el := e.space.Get("Echo", 7)
	if el.User.Port != 99 {
		t.Errorf("the update did not replace %v", el.PoolElement)
	}
	e.receive(1, del(1, "Echo", 7))
	e.receive(1, del(1, "Echo", 8))
	e.receive(1, del(1, "Echo", 9)) // "it SHOULD take no further actions"
	e.wantHomes("none", "")
	e.want("nothing is answered")
}

// A deletion by one that is not the PE's home any more must not hit it; RSPLIB deletes.
func TestDeletionByFormerHome(t *testing.T) {
	e := newServing(t, 2)
	e.registered("Echo", 6)
	e.receive(1, add(1, "Echo", 7))
	e.receive(2, add(2, "Echo", 7))
	e.receive(1, del(1, "Echo", 7))
	e.receive(1, del(1, "Echo", 6))
	e.wantHomes("moved, and our own", "Echo/6@5 Echo/7@2")
	if got := e.Stats().UpdatesIgnored; got != 2 {
		t.Errorf("%d ignored, want 2", got)
	}
}

// Our own PE stays ours whatever others say, as long as its association vouches for it. One that others
// take for ours is not, and our PRESENCE has them audit us.
func TestUpdateOfOwnPE(t *testing.T) {
	e := newServing(t, 1)
	e.registered("Echo", 7)
	e.drain()
	e.receive(1, add(1, "Echo", 7))
	e.wantHomes("it is registered here", "Echo/7@5")
	e.want("nothing to say")
	ours := add(5, "Echo", 7)
	ours.Sender = 1
	e.receive(1, ours)
	e.want("so it is")
	unknown := add(5, "Echo", 8)
	unknown.Sender = 1
	e.receive(1, unknown)
	e.want("this one is not ours", send(1, e.ours(1, false)))
	e.wantHomes("and does not become", "Echo/7@5")
}

// RSPLIB's registrar: "entry deleted when it expires after last ADD/table entry".
func TestExpiry(t *testing.T) {
	e := newServing(t, 1)
	e.receive(1, add(1, "Echo", 7))
	e.registered("Echo", 8)
	for range 3 {
		e.advance(4 * time.Second)
		e.receive(1, presence(1, add(1, "Echo", 7)))
	}
	e.receive(1, add(1, "Echo", 7))
	for range 7 {
		e.advance(4 * time.Second)
		e.receive(1, presence(1, add(1, "Echo", 7)))
	}
	e.advance(2*time.Second - 1)
	e.wantHomes("30 s since it was renewed are not over", "Echo/7@1 Echo/8@5")
	e.advance(1)
	e.wantHomes("they are; for our own PEs keep-alives decide", "Echo/8@5")
	if got := e.Stats().Expired; got != 1 {
		t.Errorf("%d expired", got)
	}
	// One that registers here is ours, and does not expire any more.
	e.receive(1, add(1, "Echo", 9))
	e.registered("Echo", 9)
	e.advance(time.Minute)
	e.wantHomes("ours", "Echo/8@5 Echo/9@5")
}

// What does not fit into its pool, or is too much, is refused.
func TestRefusedPEs(t *testing.T) {
	e := newServing(t, 1, func(cfg *Config) { cfg.MaxElements = 2 })
	e.receive(1, add(1, "Echo", 7))
	other := add(1, "Echo", 8)
	other.Element.Policy.Type = protocol.Random
	e.receive(1, other)
	zero := add(1, "Echo", 0)
	e.receive(1, zero)
	e.receive(1, add(1, "Echo", 9))
	e.receive(1, add(1, "Echo", 10))
	e.wantHomes("full", "Echo/7@1 Echo/9@1")
	if got := e.Stats().Refused; got != 3 {
		t.Errorf("%d refused, want 3", got)
	}
	e.receive(1, add(1, "Echo", 9))
	if got := e.Stats().Refused; got != 3 {
		t.Errorf("what is there can be renewed, but %d refused", got)
	}
}

// RFC 5353 section 3.2.3: "the mentor peer MUST use the M flag in each ENRP_HANDLE_TABLE_RESPONSE message
// to indicate whether this message is the last one ... MUST keep track of the progress of the current
// download session". W asks for our own PEs alone.
func TestTablePages(t *testing.T) {
	e := newServing(t, 2, func(cfg *Config) { cfg.MaxElementsPerHTRequest = 2 })
	e.receive(1, add(1, "A", 1))
	for i := range protocol.PEID(4) {
		e.registered("Echo", i+1)
	}
	e.drain()
	pages := func(n int, own bool, change func(page int)) (got []string) {
		for page := range n {
			change(page)
			e.drain()
			e.receive(2, &wire.HandleTableRequest{OwnChildrenOnly: own, Sender: 2, Receiver: ownID})
			var d wire.Decoder
			m := mustDecode(e, &d, e.drain()[0].Data).(*wire.HandleTableResponse)
			s := ""
			for _, entry := range m.Entries {
				for _, pe := range entry.Elements {
					s += fmt.Sprintf("%s/%d ", entry.Handle, pe.ID)
				}
			}
			got = append(got, fmt.Sprintf("%smore %v", s, m.MoreToSend))
		}
		return got
	}
	calm := func(int) {}
	equal := func(reason string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: pages are %q, want %q", reason, got, want)
		}
	}
	equal("all", pages(3, false, calm), "A/1 Echo/1 more true", "Echo/2 Echo/3 more true", "Echo/4 more false")
	equal("again, our own", pages(2, true, calm), "Echo/1 Echo/2 more true", "Echo/3 Echo/4 more false")
	// PEs come and go between two pages.
	equal("changing", pages(3, false, func(page int) {
		if page == 1 {
			e.space.Remove("Echo", 1, handlespace.Deregistered) // sent already
			e.space.Remove("Echo", 2, handlespace.Deregistered) // not yet
			e.registered("Echo", 9)                             // still to come
		}
	}), "A/1 Echo/1 more true", "Echo/3 Echo/4 more true", "Echo/9 more false")
	// "If this timer expires without receiving another request from the initiating server, the mentor peer
	// SHOULD abort the session".
	equal("one page", pages(1, false, calm), "A/1 Echo/3 more true")
	e.advance(2500 * time.Millisecond)
	e.drain()
	equal("from the beginning", pages(1, false, calm), "A/1 Echo/3 more true")
	equal("another request is another session", pages(1, true, calm), "Echo/3 Echo/4 more true")
}

// A page is never larger than a message.
func TestTablePageSize(t *testing.T) {
	e := newServing(t, 1, func(cfg *Config) { cfg.MaxElementsPerHTRequest = 1000 })
	for i := range protocol.PEID(1000) {
		e.registered("Echo", i+1)
	}
	e.drain()
	sent, pages := 0, 0
	for more := true; more; pages++ {
		e.receive(1, &wire.HandleTableRequest{Sender: 1, Receiver: ownID})
		data := e.drain()[0].Data
		if len(data) > maxPage+100 {
			t.Errorf("a page of %d bytes", len(data))
		}
		var d wire.Decoder
		m := mustDecode(e, &d, data).(*wire.HandleTableResponse)
		sent += len(m.Entries[0].Elements)
		more = m.MoreToSend
	}
	if sent != 1000 || pages != 2 {
		t.Errorf("%d PEs on %d pages, want 1000 on 2", sent, pages)
	}
}

// RFC 5353 section 3.6.1: "If the two values do NOT match, server A SHOULD consider that there is a
// handlespace inconsistency between itself and server B, and a re-synchronization process SHOULD be carried
// out immediately". Section 3.6.3: "After transferring all the PE entries ... the ENRP server SHOULD silently
// remove those 'marked' entries."
func TestAudit(t *testing.T) {
	e := newServing(t, 2, func(cfg *Config) { cfg.PeerHeartbeatCycle = time.Hour })
	e.receive(1, add(1, "Echo", 1))
	e.receive(1, add(1, "Echo", 2))
	e.receive(2, add(2, "Echo", 3))
	e.receive(1, presence(1, add(1, "Echo", 1), add(1, "Echo", 2)))
	e.want("the same")
	now := presence(1, add(1, "Echo", 1), add(1, "Echo", 4), add(1, "Web", 5))
	e.receive(1, now)
	request := send(1, &wire.HandleTableRequest{OwnChildrenOnly: true, Sender: ownID, Receiver: 1})
	e.want("different", request)
	e.receive(1, now)
	e.want("it is being cleared up")
	e.receive(1, table(1, true, add(1, "Echo", 1), add(1, "Echo", 4)))
	e.want("the next page at once", request)
	e.receive(1, table(1, false, add(1, "Web", 5), add(2, "Web", 6))) // whose 6 is not 1's to list
	e.wantHomes("as it says", "Web/5@1 Echo/1@1 Echo/3@2 Echo/4@1")
	e.receive(1, now)
	e.want("the same again")
	e.receive(1, table(1, false))
	e.wantHomes("unasked", "Web/5@1 Echo/1@1 Echo/3@2 Echo/4@1")
	e.HandleDatagram(e.now, addr(2, protocol.PortENRP).AddrPort(), presence(2).AppendTo(nil))
	e.want("a datagram may have overtaken updates")
}

// "Note, similar to what is described in Section 3.2.3, the peer may reject the ENRP_HANDLE_TABLE_REQUEST".
func TestAuditFails(t *testing.T) {
	e := newServing(t, 1, func(cfg *Config) { cfg.PeerHeartbeatCycle = time.Hour })
	e.receive(1, add(1, "Echo", 1))
	e.receive(1, presence(1))
	e.drain()
	e.receive(1, &wire.HandleTableResponse{Reject: true, Sender: 1, Receiver: ownID})
	e.wantHomes("nothing is removed", "Echo/1@1")
	e.receive(1, presence(1))
	e.want("again", send(1, &wire.HandleTableRequest{OwnChildrenOnly: true, Sender: ownID, Receiver: 1}))
	e.advance(5 * time.Second)
	e.receive(1, table(1, false))
	e.wantHomes("too late", "Echo/1@1")
}

// Two pools of one handle that cannot be one: audits are in vain, and become rare.
func TestFutileAudits(t *testing.T) {
	e := newServing(t, 1, func(cfg *Config) { cfg.PeerHeartbeatCycle = time.Hour })
	e.registered("Echo", 1)
	e.drain()
	other := add(1, "Echo", 2)
	other.Element.Policy.Type = protocol.Random
	audits := ""
	for range 70 {
		before := e.Stats().Audits
		e.receive(1, presence(1, other))
		e.receive(1, table(1, false, other))
		audits += fmt.Sprint(e.Stats().Audits - before)
	}
	if want := "11010001000000010000000000000001000000000000000100000000000000010000000"; audits != want[:70] {
		t.Errorf("audits are\n%s, want\n%s", audits, want[:70])
	}
	e.receive(1, presence(1))
	e.receive(1, presence(1, other))
	if got := e.requests(); len(got) == 0 || got[len(got)-1] != 1 {
		t.Error("after checksums that were the same, the first difference counts")
	}
}
