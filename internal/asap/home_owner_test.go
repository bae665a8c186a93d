package asap

import (
	"fmt"
	"testing"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// newOwnedHomeTest has associations whose peers have proven to be owners.
func newOwnedHomeTest(t *testing.T, owners map[effect.AssocID]string) *homeTest {
	return newHomeTest(t, func(c *HomeConfig) {
		c.Owner = func(id effect.AssocID) string { return owners[id] }
	})
}

var forSecurity = []wire.ErrorCause{{Code: protocol.CauseSecurity}}

// RFC 5355 section 3.1 to 3.3: a PE belongs to whose certificate has registered it.
func TestOwner(t *testing.T) {
	h := newOwnedHomeTest(t, map[effect.AssocID]string{1: "alice", 2: "mallory", 3: "alice"})
	for id := range effect.AssocID(3) {
		h.up(id+1, "10.0.0.4")
	}
	pe := element(7)
	h.receive(1, &wire.Registration{Handle: "Echo", Element: pe})
	h.drain()
	if got := h.space.Get("Echo", 7).Owner; got != "alice" {
		t.Errorf("the PE is %q's", got)
	}

	changed := element(7)
	changed.Policy.Load++
	changed.Owner = "alice" // it may say what it wants
	h.receive(2, &wire.Registration{Handle: "Echo", Element: changed})
	h.want("another takes it", send(2, &wire.RegistrationResponse{Reject: true, Handle: "Echo", ID: 7, Causes: forSecurity}))
	h.receive(2, &wire.Deregistration{Handle: "Echo", ID: 7})
	h.want("another removes it", send(2, &wire.DeregistrationResponse{Handle: "Echo", ID: 7, Causes: forSecurity}))
	h.wantChanges("nothing has happened")

	h.receive(2, &wire.HandleResolution{Handle: "Echo"})
	told := element(7)
	told.Home = homeID
	h.want("PUs are not told the owner", send(2, &wire.HandleResolutionResponse{
		Handle: "Echo", Policy: told.Policy, Elements: []protocol.PoolElement{told},
	}))

	h.receive(3, &wire.Registration{Handle: "Echo", Element: changed})
	h.want("its owner changes it from elsewhere", send(3, &wire.RegistrationResponse{Handle: "Echo", ID: 7}))
	h.receive(1, &wire.Deregistration{Handle: "Echo", ID: 7})
	h.want("its owner removes it", send(1, &wire.DeregistrationResponse{Handle: "Echo", ID: 7}))
	if s := h.Stats(); s.Unauthorized != 2 {
		t.Errorf("counted %+v", s)
	}
}

// Who is where a PE was that is taken over is asked for its certificate first.
func TestOwnerOfAdopted(t *testing.T) {
	owners := map[effect.AssocID]string{}
	h := newOwnedHomeTest(t, owners)
	id := h.takeOver(1)
	owners[id] = "mallory" // the PE has none, as its registrar has told
	h.up(id, "10.0.0.4")
	h.want("it is not greeted", fmt.Sprintf("close %d", id))
	h.wantChanges("the PE is gone", "removed Echo/1 (keep-alive lost)")
}

// Requests that are refused get the cause that RFC 5354 section 3.12 has for it.
func TestRefused(t *testing.T) {
	h := newHomeTest(t)
	h.registered(1, "Echo", 1)
	h.up(2, "10.0.0.4")
	refuse := func(id effect.AssocID, m effect.Appender) { h.HandleRefused(h.now, id, m.AppendTo(nil)) }

	refuse(2, &wire.Registration{Handle: "Echo", Element: element(1)})
	h.want("registration", send(2, &wire.RegistrationResponse{Reject: true, Handle: "Echo", ID: 1, Causes: forSecurity}))
	refuse(2, &wire.Deregistration{Handle: "Echo", ID: 1})
	h.want("deregistration", send(2, &wire.DeregistrationResponse{Handle: "Echo", ID: 1, Causes: forSecurity}))
	refuse(2, &wire.HandleResolution{Handle: "Echo"})
	h.want("resolution", send(2, &wire.HandleResolutionResponse{Handle: "Echo", Causes: forSecurity}))
	refuse(2, &wire.EndpointUnreachable{Handle: "Echo", ID: 1})
	h.want("a report has no answer")
	h.wantChanges("nothing has happened")

	refuse(1, &wire.Registration{Handle: "Echo", Element: element(1)})
	h.want("a member's", send(1, &wire.RegistrationResponse{Reject: true, Handle: "Echo", ID: 1, Causes: forSecurity}))
	h.wantChanges("who may be in the pool no more leaves it", "removed Echo/1 (deregistered)")
	if s := h.Stats(); s.Unauthorized != 5 || s.Rejections != 2 || s.FailureReports != 0 {
		t.Errorf("counted %+v", s)
	}
	refuse(3, &wire.HandleResolution{Handle: "Echo"}) // an association that has ended
	h.HandleRefused(h.now, 2, []byte{0x07})
	h.want("what cannot be read", send(2, &wire.ASAPError{Causes: []wire.ErrorCause{{Code: protocol.CauseInvalidMessage}}}))
}
