package enrp

import (
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
)

// proven is the configuration of a registrar that has TLS.
func proven(c *Config) { c.Proven = true }

// With TLS, datagrams of the group make no peers, and keep none alive: they are looked into, a few at a time.
func TestDatagramsProveNothing(t *testing.T) {
	e := newServing(t, 1, proven)
	told := func(number int, id protocol.RegistrarID) {
		m := presence(number)
		m.Sender, m.Server.ID = id, id
		e.HandleDatagram(e.now, addr(number, protocol.PortENRP).AddrPort(), m.AppendTo(nil))
	}
	told(2, 2)
	e.want("who is there?", dial(2))
	told(2, 3)
	e.want("it is being looked into")
	told(1, 1)
	e.want("it is known")
	if got := len(e.Peers()); got != 1 {
		t.Errorf("%d peers, want the one that has an association", got)
	}

	// A peer that is silent dies although somebody speaks for it.
	for range 12 {
		e.advance(time.Second)
		told(1, 1)
	}
	if got := len(e.Peers()); got != 0 {
		t.Errorf("%d peers, want none", got)
	}

	for i := range 1000 {
		told(100+i, protocol.RegistrarID(100+i))
	}
	if got := len(e.strangers); got != maxStrangers/2 {
		t.Errorf("%d are looked into after 1000 datagrams, want %d", got, maxStrangers/2)
	}
	e.up(3)
	e.receive(3, presence(3))
	if e.peer(3) == nil {
		t.Error("a registrar that is there finds no place")
	}
}

// Who must not be a registrar here is left.
func TestRefusedPeer(t *testing.T) {
	e := newServing(t, 1)
	e.up(2)
	e.Engine.HandleRefused(e.now, effect.AssocID(2))
	e.want("it goes", "abort 2")
	if s := e.Stats(); s.Unauthorized != 1 {
		t.Errorf("counted %+v", s)
	}
	e.Engine.HandleRefused(e.now, effect.AssocID(2)) // once more
	e.want("it is gone")
}

// Who says to be a peer gets so many associations, and no more.
func TestLinksOfPeer(t *testing.T) {
	e := newServing(t, 1)
	for id := range effect.AssocID(20) {
		e.HandleUp(e.now, 1000+id, addr(5, protocol.PortENRP), addr(1, protocol.PortENRP))
		e.receive(1000+int(id), presence(1))
	}
	if got := len(e.linksOf(e.peer(1))); got != maxLinks {
		t.Errorf("%d associations, want %d", got, maxLinks)
	}
	if got := len(e.strangers); got != 0 {
		t.Errorf("%d strangers", got)
	}
}
