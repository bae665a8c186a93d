package rsp_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/wire"
)

var asapAnnounces = netip.MustParseAddrPort("239.0.0.50:3863")

// announcer is a registrar of which there is no more than its port and its announces.
type announcer struct {
	*testing.T
	transport.Group
	listener transport.Listener
}

func newAnnouncer(t *testing.T, h *simnet.Host) *announcer {
	t.Helper()
	g, err := h.Join(asapAnnounces, protocol.PortASAP)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := h.Listen(t.Context(), protocol.TransportAddr{Port: protocol.PortASAP}, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(); ln.Close() })
	return &announcer{t, g, ln}
}

func announce(t *testing.T, g transport.Group) {
	t.Helper()
	if err := g.Send((&wire.ServerAnnounce{Registrar: 0x11111111}).AppendTo(nil)); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// wantAsked wants an association within a time, or none.
func (a *announcer) wantAsked(reason string, within time.Duration, want bool) {
	a.Helper()
	ctx, cancel := context.WithTimeout(a.Context(), within)
	defer cancel()
	assoc, err := a.listener.Accept(ctx)
	if (err == nil) != want {
		a.Errorf("%s: asked within %v: %v (%v)", reason, within, err == nil, err)
	}
	if err == nil {
		assoc.Abort()
	}
}

// inAnnounces runs a test of an Endpoint whose only configured registrar is dead.
func inAnnounces(t *testing.T, f func(t *testing.T, e *rsp.Endpoint, a *announcer)) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Config{Latency: latency})
		e, err := rsp.NewEndpointOn(rsp.Config{
			Registrars: []string{"10.9.9.9:3863"}, Announce: "auto", Logger: testLog(t, "endpoint"),
			RegistrarRequestTimeout: 24 * time.Hour, RegistrarRequestAttempts: 1000,
		}, n.Host("10.0.0.2"))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Abort()
		f(t, e, newAnnouncer(t, n.Host("10.0.0.1")))
	})
}

// need makes e look for a registrar until the test ends.
func need(t *testing.T, e *rsp.Endpoint) {
	go e.Resolve(t.Context(), "EchoPool", 1)
	synctest.Wait()
}

// A hunt that has nobody to try, or waits for somebody, tries a registrar as soon as it is heard.
func TestAnnounceStartsHunt(t *testing.T) {
	for _, wait := range []time.Duration{0, 10 * time.Millisecond, time.Second, 100 * time.Second} {
		inAnnounces(t, func(t *testing.T, e *rsp.Endpoint, a *announcer) {
			need(t, e)
			time.Sleep(wait)
			a.wantAsked("not announced", time.Minute, false)
			announce(t, a)
			a.wantAsked("announced", 5*latency, true) // the announce's, and three of the handshake
		})
	}
}

// "If a T7-ENRPoutdate timer for a transport address expires, the corresponding address is
// deleted".
func TestRegistrarNoLongerHeardIsForgotten(t *testing.T) {
	inAnnounces(t, func(t *testing.T, e *rsp.Endpoint, a *announcer) {
		ctx, cancel := context.WithCancel(t.Context())
		go e.Resolve(ctx, "EchoPool", 1) // joins the group
		synctest.Wait()
		cancel()
		announce(t, a)
		a.wantAsked("nobody needs it", 3*time.Second, false)
		announce(t, a)
		a.wantAsked("nobody needs it", 4900*time.Millisecond, false)
		need(t, e)
		a.wantAsked("remembered", 5*latency, true)
		a.wantAsked("tried again", time.Second, true)
		time.Sleep(5 * time.Second)
		for a.asked() { // what was under way
		}
		a.wantAsked("forgotten", time.Hour, false)
		announce(t, a)
		a.wantAsked("heard again", time.Minute, true)
	})
}

// asked reports whether an association comes within a second.
func (a *announcer) asked() bool {
	ctx, cancel := context.WithTimeout(a.Context(), time.Second)
	defer cancel()
	assoc, err := a.listener.Accept(ctx)
	if err == nil {
		assoc.Abort()
	}
	return err == nil
}

// A flood of fake registrars costs an Endpoint no more than the room for some, and no more
// attempts than the hunt makes anyway; the true one is found.
func TestFakeAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("pe", 1, nil)
		liar, err := s.host().Join(asapAnnounces, protocol.PortASAP)
		if err != nil {
			t.Fatal(err)
		}
		defer liar.Close()
		e := s.endpoint("pu", s.host(), rsp.Config{Announce: "auto"})
		need(t, e)
		for i := range 10_000 {
			fake := wire.ServerAnnounce{Registrar: 1, Transports: []protocol.TransportAddr{{
				Protocol: protocol.SCTP, Port: 3863, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 7, byte(i >> 8), byte(i)})},
			}}}
			if err := liar.Send(fake.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Microsecond)
		}
		s.reg.Abort()
		s.startRegistrar(s.registrarHost)
		before := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			if _, err := e.Resolve(ctx, "EchoPool", 1); err == nil || ctx.Err() != nil {
				t.Logf("found after %v: %v", time.Since(before), err)
				if err != nil {
					t.Error(err)
				}
				return
			}
		}
	})
}

// PE and PU find a registrar without its address in their configuration, by real multicast
// on this machine.
func TestAnnouncesOnThisMachine(t *testing.T) {
	unused, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused.Close()
	group := netip.AddrPortFrom(asapAnnounces.Addr(), netip.MustParseAddrPort(unused.LocalAddr().String()).Port())
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{
		Address: "127.0.0.1:0", Announce: group.String(), ENRPAnnounce: "off", Network: rsp.TCPMapping,
		Logger: testLog(t, "registrar"),
	})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Abort()

	var ends [2]*rsp.Endpoint
	for i := range ends {
		ends[i], err = rsp.NewEndpoint(&rsp.Config{
			Registrars: []string{"127.0.0.1:1"}, Announce: group.String(), Network: rsp.TCPMapping,
			Logger: testLog(t, "endpoint"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer ends[i].Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	listener, err := ends[0].Listen(ctx, "EchoPool", rsp.PE{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := ends[1].Resolve(ctx, "EchoPool", 1); err != nil {
		t.Error(err)
	}
}

// "Where it cannot be joined, that is logged and no error."
func TestAnnouncesNotHeard(t *testing.T) {
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() // this port is not shared
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.TCPMapping})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Abort()
	group := netip.AddrPortFrom(asapAnnounces.Addr(), c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: r.Addrs(), Announce: group.String(), Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Resolve(t.Context(), "EchoPool", 1); !errors.Is(err, rsp.ErrUnknownPool) {
		t.Errorf("the configured registrar says %v", err)
	}
}
