package asap_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5352 section 3.6: ENRP Server Hunt Procedures.

// "SH1) ... An ASAP Endpoint MUST NOT establish more than three associations or
// connections."
func TestHuntDialsThree(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5")
	c.wantIdle("nobody needs a registrar")
	c.resolve(pool)
	_, hosts := c.wantDials("SH1", 3)
	c.wantIdle("no more than three")
	if slices.Sort(hosts); len(slices.Compact(hosts)) != 3 {
		t.Errorf("dials %v, want three different ones", hosts)
	}
	c.resolve("Another")
	c.wantIdle("there is one hunt for all requests")
}

// "SH2) The ASAP Endpoint shall start a T5-Serverhunt timer." "SH5.1) The ASAP Endpoint
// MUST double the value of the T5-Serverhunt timer. Note that this doubling is capped at the
// value RETRAN.max." "SH5.2) The ASAP Endpoint SHOULD stop the establishment of associations"
func TestHuntDoublesT5(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2", "10.0.0.3")
	c.Register(c.now, pool, element(1))
	for _, t5 := range []time.Duration{huntTimeout, 2 * huntTimeout, maxHuntTimeout, maxHuntTimeout} {
		ids, _ := c.wantDials("SH1", 3)
		c.advanceToDeadline("T5-Serverhunt", t5)
		slices.Sort(ids)
		c.wantAborted("SH5.2", ids...)
	}
	ids, _ := c.wantDials("SH1", 3)

	// "SH3) ... The ASAP Endpoint SHOULD also reset the T5-Serverhunt timer to its initial
	// value"
	c.up(ids[0])
	c.wantAborted("SH6", ids[1:]...)
	c.wantTold("SH6", asap.HomeFound{Addr: c.dialed[ids[0]]})
	c.wantSent("SH6", ids[0], registration(1))
	c.receive(ids[0], &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.wantTold("registered", asap.Registered{Handle: pool, ID: 1})
	lost := c.dialed[ids[0]]
	c.lose(ids[0])
	c.wantTold("registrar lost", asap.HomeLost{Err: errTest})
	ids, _ = c.wantDials("SH1", 2)
	c.advanceToDeadline("head start of the others", 250*time.Millisecond)
	last, to := c.wantDial("the one that was lost")
	if !to.Equal(lost) {
		t.Errorf("dials %v, want %v", to, lost)
	}
	c.advanceToDeadline("T5-Serverhunt", huntTimeout-250*time.Millisecond)
	c.wantAborted("SH5.2", append(ids, last)...)
}

// SCTP is the protocol's transport; others are for where it does not get through.
func TestHuntPrefersSCTP(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2")
	for i := range 2 {
		overTCP := c.registrars[i]
		overTCP.Protocol = protocol.TCP
		c.registrars = append(c.registrars, overTCP)
	}
	c.resolve(pool)
	ids, _ := c.wantDials("over SCTP", 2)
	c.advanceToDeadline("head start", 250*time.Millisecond)
	id, to := c.wantDial("SH1: three in all")
	if to.Protocol != protocol.TCP {
		t.Errorf("dials %v, want TCP", to)
	}
	c.lose(ids[0])
	if _, to := c.wantDial("SH4"); to.Protocol != protocol.TCP {
		t.Errorf("dials %v, want TCP", to)
	}
	c.lose(id)
	c.wantIdle("no candidate is left")
}

// "SH5.2) ... It SHOULD attempt to select a different set of transport addresses with
// which to connect."
func TestHuntTriesOthersInNextRound(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6")
	c.Register(c.now, pool, element(1))
	ids, first := c.wantDials("SH1", 3)
	c.advanceToDeadline("T5-Serverhunt", huntTimeout)
	c.wantAborted("SH5.2", ids...)
	_, second := c.wantDials("SH1", 3)
	for _, host := range second {
		if slices.Contains(first, host) {
			t.Errorf("tries %v again at once, after %v", host, first)
		}
	}
}

// "SH4) If an association or connection establishment fails, the ASAP Endpoint SHOULD try
// to establish an association or connection using a different transport address."
func TestHuntTriesNextAfterFailure(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
	c.resolve(pool)
	ids, hosts := c.wantDials("SH1", 3)
	c.lose(ids[1])
	_, to := c.wantDial("SH4")
	if slices.Contains(hosts, to.Addrs[0].String()) {
		t.Errorf("tries %v again, which it is trying already: %v", to, hosts)
	}
	c.lose(ids[0])
	c.wantIdle("no candidate is left")
}

// "SH3) If the ASAP Endpoint establishes an association or connection it MUST stop its
// T5-Serverhunt timer." "SH6) The PE or PU shall pick one of the ENRP servers ... and
// send all subsequent ENRP request messages to this new Home ENRP server."
func TestHuntPicksOne(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2", "10.0.0.3")
	c.resolve(pool)
	c.resolve("Another")
	ids, _ := c.wantDials("SH1", 3)
	c.up(ids[1])
	c.wantAborted("SH6", ids[0], ids[2])
	c.wantTold("SH6", asap.HomeFound{Addr: c.dialed[ids[1]]})
	c.wantSent("SH6", ids[1], resolution(pool))
	c.wantSent("SH6", ids[1], resolution("Another"))
	c.advanceToDeadline("SH3: T1-ENRPrequest is the only timer", responseTimeout)
}

// That every registrar refuses takes no time, so that the next round need not wait for
// T5: one that is being started is found soon.
func TestHuntAgainSoonWhenAllRefuse(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2")
	c.Register(c.now, pool, element(1))
	for _, pause := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000} {
		ids, _ := c.wantDials("SH1", 2)
		c.lose(ids[0])
		c.lose(ids[1])
		c.advanceToDeadline("pause", pause*time.Millisecond)
	}
}

func TestHuntWithoutAnyRegistrarKnown(t *testing.T) {
	c := newClientTest(t)
	c.Register(c.now, pool, element(1))
	c.advanceToDeadline("pause", 50*time.Millisecond)
	c.registrars = append(c.registrars, at("10.0.0.1")) // an announce
	c.advanceToDeadline("pause", 100*time.Millisecond)
	c.connect()
}

// "when it fails to communicate with its Home ENRP server (i.e., timed out on an ENRP
// request), a PE or PU MUST establish a new Home ENRP server (i.e., set up a TCP connection or
// SCTP association with a different ENRP server)." One that hangs still takes
// associations, and might be the first to do so.
func TestHuntAvoidsRegistrarThatHangs(t *testing.T) {
	c, home := newPU(t, "10.0.0.1", "10.0.0.2", "10.0.0.3")
	hangs := c.dialed[home].Addrs[0].String()
	c.resolve(pool)
	c.wantSent("asks", home, resolution(pool))
	c.advanceToDeadline("T1-ENRPrequest", responseTimeout)
	c.wantAborted("it is of no use", home)
	c.wantTold("registrar lost", asap.HomeLost{Err: asap.ErrNoResponse})
	ids, hosts := c.wantDials("the others", 2)
	if slices.Contains(hosts, hangs) {
		t.Errorf("dials %v, of which %v hangs", hosts, hangs)
	}
	c.lose(ids[0])
	c.wantIdle("one of the others may come up")
	c.lose(ids[1])
	if _, to := c.wantDial("nobody else is left"); to.Addrs[0].String() != hangs {
		t.Errorf("dials %v, want %v", to, hangs)
	}
}

// A registrar that takes associations but says nothing on them is not asked all the time.
func TestHuntPausesWhenRegistrarIsMute(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.Register(c.now, pool, element(1))
	for _, pause := range []time.Duration{50, 100, 200} {
		home := c.connect()
		c.wantSent("R3", home, registration(1))
		c.lose(home)
		c.wantTold("lost", asap.HomeLost{Err: errTest})
		c.advanceToDeadline("pause", pause*time.Millisecond)
	}
	home := c.connect()
	c.wantSent("R3", home, registration(1))
	c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: 1})
	c.wantTold("it speaks", asap.Registered{Handle: pool, ID: 1})
	c.lose(home)
	c.wantTold("lost", asap.HomeLost{Err: errTest})
	c.connect() // at once
}

func TestHuntEndsWithLastRequest(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	q := c.resolve(pool)
	id, _ := c.wantDial("SH1")
	c.Cancel(q)
	c.wantAborted("nobody waits for a registrar", id)
	c.wantNoDeadline("nobody waits for a registrar")
}

func TestRehome(t *testing.T) {
	c, home := newPU(t, "10.0.0.1")
	q := c.resolve(pool)
	c.wantSent("asks", home, resolution(pool))
	for range maxRequestAttempts + 1 {
		c.Rehome(c.now)
		if e := c.next("leaves gracefully", effect.Close); e.Assoc != home {
			t.Errorf("closes %d, want %d", e.Assoc, home)
		}
		c.next("tells", effect.Tell)
		home = c.connect()
		c.wantSent("this costs no attempt", home, resolution(pool))
	}
	c.receive(home, &wire.HandleResolutionResponse{Handle: pool, Elements: []protocol.PoolElement{element(1)}})
	c.wantTold("answered", asap.Resolved{Query: q, Elements: []protocol.PoolElement{element(1)}})
}

// Associations that are being opened go out from the wrong port as well.
func TestRehomeWhileHunting(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.Rehome(c.now)
	c.wantIdle("there is nothing to leave")
	c.resolve(pool)
	id, _ := c.wantDial("SH1")
	c.Rehome(c.now)
	c.wantAborted("from the wrong port", id)
	home := c.connect()
	c.wantSent("asks", home, resolution(pool))
}

// announce gives the Client the announce of a registrar at a host.
func (c *clientTest) announce(host string) {
	m := wire.ServerAnnounce{Registrar: 1}
	from := netip.AddrPortFrom(netip.MustParseAddr(host), protocol.PortASAP)
	c.HandleDatagram(c.now, protocol.PPIDASAP, from, m.AppendTo(nil))
}

// "If an ASAP_SERVER_ANNOUNCE message is received by a PU or PE, it SHOULD insert all new included
// transport addresses into its list of ENRP server addresses".
func TestHuntTriesAnnouncedAtOnce(t *testing.T) {
	c := newClientTest(t)
	c.announce("10.0.0.1")
	c.wantIdle("nobody needs a registrar")
	c.registrars = nil // T7-ENRPoutdate has expired
	c.Register(c.now, pool, element(1))
	c.wantIdle("nobody is known")
	c.announce("10.0.0.2")
	home := c.connect()
	c.wantSent("R3", home, registration(1))
	c.announce("10.0.0.3")
	c.wantIdle("there is a registrar")
}

func TestHuntTriesAnnouncedInPause(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.resolve(pool)
	id, _ := c.wantDial("SH1")
	c.lose(id)
	c.announce("10.0.0.1")
	c.wantIdle("it is known, and has just refused")
	c.announce("10.0.0.2")
	if _, hosts := c.wantDials("SH1", 2); hosts[0] != "10.0.0.2" {
		t.Errorf("dials %v, not the new one first", hosts)
	}
}

// SH1 holds for announced registrars as well.
func TestHuntTriesAnnouncedBesideOthers(t *testing.T) {
	c := newClientTest(t, "10.0.0.1")
	c.resolve(pool)
	ids, _ := c.wantDials("SH1", 1)
	for _, host := range []string{"10.0.0.2", "10.0.0.3"} {
		c.announce(host)
		id, to := c.wantDial("there is room")
		if to.Addrs[0].String() != host {
			t.Errorf("dials %v, want %v", to, host)
		}
		ids = append(ids, id)
	}
	c.announce("10.0.0.4")
	c.announce("10.0.0.5")
	c.wantIdle("no more than three")
	c.lose(ids[0])
	if _, to := c.wantDial("SH4"); to.Addrs[0].String() != "10.0.0.5" {
		t.Errorf("dials %v, want the one heard last", to)
	}
}

// One that hangs, and is the only one known, does not keep an announced one waiting.
func TestHuntPrefersAnnouncedToRegistrarThatHangs(t *testing.T) {
	c, home := newPU(t, "10.0.0.1", "10.0.0.2")
	hangs := c.dialed[home]
	c.resolve(pool)
	c.wantSent("asks", home, resolution(pool))
	c.advanceToDeadline("T1-ENRPrequest", responseTimeout)
	c.wantAborted("it is of no use", home)
	c.wantTold("registrar lost", asap.HomeLost{Err: asap.ErrNoResponse})
	if _, to := c.wantDial("another"); to.Equal(hangs) {
		t.Errorf("dials %v, which hangs", to)
	}
	c.announce("10.0.0.3")
	if _, to := c.wantDial("announced"); to.Addrs[0].String() != "10.0.0.3" {
		t.Errorf("dials %v, want the one that was heard", to)
	}
}

// Anybody can send anything to the group.
func TestGarbageInGroup(t *testing.T) {
	c := newClientTest(t)
	c.resolve(pool)
	from := netip.MustParseAddrPort("10.0.0.1:3863")
	for _, data := range [][]byte{
		nil, {0x0a}, {0x0a, 0, 0, 8, 1, 2, 3}, {0xff, 0, 0, 4},
		(&wire.RegistrationResponse{Handle: pool, ID: 1}).AppendTo(nil),
		(&wire.ServerAnnounce{Registrar: 1}).AppendTo(nil)[:7],
	} {
		c.HandleDatagram(c.now, protocol.PPIDASAP, from, data)
	}
	c.wantIdle("none of these is an announce")
	if len(c.registrars) > 0 {
		t.Errorf("knows %v", c.registrars)
	}
}

// Registrars that a lookup of names brings are tried at once, and those that it takes away are not waited for.
func TestHuntFollowsLookup(t *testing.T) {
	c := newClientTest(t, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
	c.HandleLookup(c.now, []protocol.TransportAddr{at("10.0.0.5")}, nil, nil)
	c.wantIdle("nobody needs a registrar")
	c.registrars = c.registrars[:3]
	c.Register(c.now, pool, element(1))
	ids, _ := c.wantDials("SH1", 3)

	gone := []protocol.TransportAddr{c.dialed[ids[0]], c.dialed[ids[1]]}
	c.registrars = []protocol.TransportAddr{c.dialed[ids[2]], at("10.0.0.6")}
	c.HandleLookup(c.now, []protocol.TransportAddr{at("10.0.0.6")}, gone, nil)
	c.wantAborted("they are gone", ids[:2]...)
	id, to := c.wantDial("the new one")
	if !to.Equal(at("10.0.0.6")) {
		t.Errorf("dials %v", to)
	}
	c.wantIdle("there are no others")

	gone = []protocol.TransportAddr{c.dialed[ids[2]], at("10.0.0.6")}
	c.registrars = nil
	c.HandleLookup(c.now, nil, gone, nil)
	c.wantAborted("all are gone", ids[2], id)
	c.advanceToDeadline("pause", 50*time.Millisecond)
	c.wantIdle("there is nobody")

	if c.HandleLookup(c.now, nil, nil, errTest); !errors.Is(c.HuntError(), errTest) {
		t.Errorf("the hunt has failed by %v", c.HuntError())
	}
	c.registrars = []protocol.TransportAddr{at("10.0.0.7")}
	c.HandleLookup(c.now, c.registrars, nil, nil)
	id, _ = c.wantDial("the pause is over")
	c.up(id)
	if c.Hunting() || c.HuntError() != nil {
		t.Errorf("with a registrar: hunting %v, %v", c.Hunting(), c.HuntError())
	}
}
