package asap

import (
	"testing"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// One client has no more associations than he may, and gets another one as soon as one of his has ended.
func TestClientAssociations(t *testing.T) {
	owners := map[effect.AssocID]string{}
	h := newOwnedHomeTest(t, owners)
	h.cfg.MaxClientAssociations = 2
	for _, c := range []struct {
		id          effect.AssocID
		owner, host string
		refused     bool
	}{
		{1, "", "10.0.0.4", false}, {2, "", "10.0.0.4", false}, {3, "", "10.0.0.4", true},
		{4, "", "10.0.0.5", false},
		{5, "alice", "10.0.0.4", false}, {6, "alice", "10.0.0.5", false}, {7, "alice", "10.0.0.6", true},
	} {
		owners[c.id] = c.owner
		h.up(c.id, c.host)
		if h.Knows(c.id) == c.refused {
			t.Errorf("association %d of %q at %s is refused: %v", c.id, c.owner, c.host, !c.refused)
		}
	}
	h.want("two are refused", "abort 3", "abort 7")
	h.HandleLost(h.now, 1, nil)
	h.up(8, "10.0.0.4")
	h.want("there is room again")
	for _, id := range []effect.AssocID{2, 4, 5, 6, 8} {
		h.HandleLost(h.now, id, nil)
	}
	if len(h.clients) != 0 {
		t.Errorf("%d clients are remembered", len(h.clients))
	}
}

// One client registers no more PEs than he may, over all his associations.
func TestClientElements(t *testing.T) {
	h := newHomeTest(t, func(c *HomeConfig) { c.MaxClientElements = 2 })
	h.registered(1, "Echo", 1)
	h.registered(2, "Other", 1)
	reject := send(2, &wire.RegistrationResponse{
		Reject: true, Handle: "Third", ID: 1, Causes: []wire.ErrorCause{{Code: protocol.CauseLackOfResources}},
	})
	h.receive(2, &wire.Registration{Handle: "Third", Element: element(1)})
	h.want("a third one", reject)
	h.receive(2, &wire.Registration{Handle: "Echo", Element: element(1)})
	h.want("one that is there", send(2, &wire.RegistrationResponse{Handle: "Echo", ID: 1}))
	h.HandleLost(h.now, 1, nil)
	h.receive(2, &wire.Registration{Handle: "Third", Element: element(1)})
	h.want("nothing was registered over the other association any more", reject)
	h.receive(2, &wire.Deregistration{Handle: "Echo", ID: 1})
	h.drain()
	h.registered(2, "Third", 1)
}
