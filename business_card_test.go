package rsp_test

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// combination is a PU that is a PE of another pool, "Frontends", on a host of its own.
type combination struct {
	*testPE
	listener *rsp.Socket
}

func (s *scope) combination(name string, id rsp.PEID) *combination {
	s.t.Helper()
	c := &combination{testPE: &testPE{host: s.host(), got: make(chan string, 1000)}}
	c.Endpoint = s.endpoint(name, c.host, rsp.Config{})
	var err error
	if c.listener, err = c.Listen(s.t.Context(), "Frontends", rsp.PE{ID: id}); err != nil {
		s.t.Fatal(err)
	}
	c.socket = c.listener
	go c.serve()
	return c
}

func (s *scope) accept(listener *rsp.Socket) *rsp.Socket {
	s.t.Helper()
	session, err := listener.AcceptSocket(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

func wantCard(t *testing.T, session *rsp.Socket, pool rsp.PoolHandle, order ...rsp.PEID) *rsp.BusinessCard {
	t.Helper()
	card := session.PeerCard()
	if card == nil || card.Pool != pool || len(card.Elements) != len(order) {
		t.Fatalf("card is %+v, want one of %q with %v", card, pool, order)
	}
	for i, el := range card.Elements {
		if el.ID != order[i] || len(el.Addrs) == 0 || !el.ControlChannel {
			t.Fatalf("element %d of the card is %+v, want %v", i, el, order[i])
		}
	}
	return card
}

// RFC 5351 section 4: "Suppose in a particular peer-to-peer application, PU A is communicating with PE B, and
// it so happens that PU A is also a PE in pool X. PU A can pass a "business card" to PE B identifying it as
// a member of pool X. In the event of a failure at A, or a failure in the communication link between A and B,
// PE B can use the information in the business card to contact an equivalent PE to PU A from pool X."
func TestPoolsThatTalkToPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		b := s.endpoint("b", s.host(), rsp.Config{})
		pe, err := b.Listen(ctx(), "EchoPool", rsp.PE{ID: 0xb})
		if err != nil {
			t.Fatal(err)
		}
		a := s.combination("a", 0xa1)
		s.combination("other", 0xa2)
		session := s.connect(rsp.Dialer{Endpoint: a.Endpoint, PE: a.listener})
		if _, err := session.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		accepted := s.accept(pe)
		wantMsg(t, accepted, "hello", 0)
		card := wantCard(t, accepted, "Frontends", 0xa1)
		if card.Elements[0].Addrs[0].Addr() != a.host.Addrs()[0] {
			t.Errorf("card has %v, want the address of its sender", card.Elements[0].Addrs)
		}

		// While A lives, B's way back leads to it.
		d := rsp.Dialer{Endpoint: b}
		for range 5 {
			back, err := d.ConnectCard(ctx(), card)
			if err != nil || back.PeerPE() != 0xa1 {
				t.Fatalf("way back to %v, %v, want A", back, err)
			}
			back.Close()
		}
		a.die()
		if _, _, err := accepted.RecvMsg(ctx(), make([]byte, 10)); err == nil {
			t.Fatal("A's end was not noticed")
		}
		back, err := d.ConnectCard(ctx(), accepted.PeerCard())
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, back, "where were we", 0xa2)
	})
}

// "When communication begins between a PU and a PE": with the next PE too, after the cookie, which is "the
// first message on the control channel" (section 3.8).
func TestCardInFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		first := s.pe("first", 1, func(pe *testPE) { pe.cookie = "state" })
		a := s.combination("a", 0xa1)
		session := s.connect(rsp.Dialer{Endpoint: a.Endpoint, PE: a.listener})
		exchange(t, session, "hello", 1)

		next := s.endpoint("next", s.host(), rsp.Config{})
		pe, err := next.Listen(ctx(), "EchoPool", rsp.PE{ID: 2})
		if err != nil {
			t.Fatal(err)
		}
		first.die()
		go session.Read(make([]byte, 10))
		accepted := s.accept(pe)
		buf := make([]byte, 100)
		n, info, err := accepted.RecvMsg(ctx(), buf)
		if err != nil || !info.CookieEcho || string(buf[:n]) != "state" {
			t.Fatalf("first comes %q, %+v, %v; want the cookie", buf[:n], info, err)
		}
		if accepted.PeerCard() != nil {
			t.Error("the card came before the cookie")
		}
		accepted.SetReadDeadline(time.Now().Add(10 * latency))
		accepted.RecvMsg(ctx(), buf)
		wantCard(t, accepted, "Frontends", 0xa1)
	})
}

// "a PU ... SHOULD ... BC2) Unpack the message and populate a preferred list for failover order. If the
// peer's PE should fail, this preferred list will be used". And: "a new ASAP_BUSINESS_CARD message may be sent at
// any time by either entity to update its failover order".
func TestCardOrdersFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		one := s.endpoint("one", s.host(), rsp.Config{})
		pe, err := one.Listen(ctx(), "EchoPool", rsp.PE{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		session := s.connect(rsp.Dialer{})
		accepted := s.accept(pe)
		for id := rsp.PEID(2); id <= 9; id++ {
			s.pe("other", id, nil)
		}
		all, err := one.Resolve(ctx(), "EchoPool", rsp.AllElements)
		if err != nil {
			t.Fatal(err)
		}
		byID := make(map[rsp.PEID]rsp.Element)
		for _, el := range all.Elements {
			byID[el.ID] = el
		}
		for _, order := range [][]rsp.PEID{{3, 4}, {0x99, 7, 5}} {
			card := &rsp.BusinessCard{Pool: "EchoPool"}
			for _, id := range order {
				el := byID[id]
				if id == 0x99 { // has left the pool meanwhile
					el = byID[2]
					el.ID = id
				}
				card.Elements = append(card.Elements, el)
			}
			if err := accepted.SendBusinessCard(ctx(), card); err != nil {
				t.Fatal(err)
			}
			if _, err := accepted.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			wantMsg(t, session, "x", 1)
			wantCard(t, session, "EchoPool", order...)
		}
		one.Abort()
		time.Sleep(10 * latency)
		exchange(t, session, "to seven", 7)
	})
}

// Another pool's card, or one that nobody can use, leads nowhere.
func TestUselessCards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pe", s.host(), rsp.Config{})
		pe, err := e.Listen(ctx(), "EchoPool", rsp.PE{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		session := s.connect(rsp.Dialer{PE: s.endpoint("no PE", s.host(), rsp.Config{}).Socket()})
		accepted := s.accept(pe)
		usable := rsp.Element{ID: 7, Protocol: "sctp", Addrs: addrPort("10.0.0.9:7"), ControlChannel: true}
		for name, card := range map[string]rsp.BusinessCard{
			"no handle":     {Elements: []rsp.Element{usable}},
			"no element":    {Pool: "EchoPool"},
			"no identifier": {Pool: "EchoPool", Elements: []rsp.Element{{Protocol: "sctp", Addrs: usable.Addrs}}},
			"no address":    {Pool: "EchoPool", Elements: []rsp.Element{{ID: 7, Protocol: "sctp"}}},
			"any address":   {Pool: "EchoPool", Elements: []rsp.Element{{ID: 7, Protocol: "sctp", Addrs: addrPort("0.0.0.0:7")}}},
			"no protocol":   {Pool: "EchoPool", Elements: []rsp.Element{{ID: 7, Addrs: usable.Addrs}}},
		} {
			if err := accepted.SendBusinessCard(ctx(), &card); err == nil {
				t.Errorf("%s: was sent", name)
			}
		}
		if err := e.Socket().SendBusinessCard(ctx(), &rsp.BusinessCard{Pool: "EchoPool", Elements: []rsp.Element{usable}}); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("without a session: %v", err)
		}
		if card := accepted.PeerCard(); card != nil {
			t.Errorf("a Socket that is no PE sent the card %+v", card)
		}

		// It is the registrar that says where elements are, not the card.
		if _, err := (&rsp.Dialer{Endpoint: e}).ConnectCard(ctx(), &rsp.BusinessCard{Pool: "Nowhere", Elements: []rsp.Element{usable}}); !errors.Is(err, rsp.ErrUnknownPool) {
			t.Errorf("a card of no pool: %v", err)
		}
		session.Close()
	})
}

// RSPLIB's server says nothing to a card, and goes on.
func TestCardToRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		m := mix{registrar: rsplib, server: rsplib, port: 4300}
		m.startRegistrar(t.Context(), t)
		m.startServer(t.Context(), t, 0xa)
		e := m.endpoint(t, "pu")
		listener, err := e.Listen(t.Context(), "Frontends", rsp.PE{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		d := rsp.Dialer{Endpoint: e, PE: listener}
		c := &sessionClient{}
		if c.session, err = d.Connect(t.Context(), "EchoPool"); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"line 1", "line 2"} {
			if id := c.exchange(t.Context(), t, line); id != 0xa {
				t.Errorf("%q comes from PE %v", line, id)
			}
			card := &rsp.BusinessCard{Pool: "Frontends", Elements: []rsp.Element{{ID: 1, Protocol: "sctp", Addrs: []netip.AddrPort{netip.MustParseAddrPort(labHost + ":7")}}}}
			if err := c.session.SendBusinessCard(t.Context(), card); err != nil {
				t.Fatal(err)
			}
		}
	})
}
