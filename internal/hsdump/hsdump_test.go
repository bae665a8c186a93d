package hsdump_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/hsdump"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/tcp"
	"github.com/rserpool/rsp/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testContext ends before the test does.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func startRegistrar(t *testing.T, cfg rsp.RegistrarConfig) *rsp.Registrar {
	t.Helper()
	cfg.Address, cfg.Network = "127.0.0.1:0", rsp.TCPMapping
	r, err := rsp.NewRegistrar(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Abort)
	return r
}

// fill registers n pool elements, in two pools.
func fill(t *testing.T, ctx context.Context, r *rsp.Registrar, n int) {
	t.Helper()
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{r.Addr()}, Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	for i := range n {
		pool := rsp.PoolHandle([]string{"B", "AA"}[i%2])
		at := []netip.AddrPort{netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", i+1))}
		if _, err := e.RegisterElement(ctx, pool, rsp.ElementRegistration{ID: rsp.PEID(n - i), Protocol: "tcp", Addrs: at}); err != nil {
			t.Fatal(err)
		}
	}
}

// dump makes a text of a registrar's dump.
func dump(t *testing.T, ctx context.Context, c *hsdump.Client) string {
	t.Helper()
	d, err := c.Dump(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := fmt.Sprintf("%v:", d.Registrar)
	for _, p := range d.Peers {
		s += fmt.Sprintf(" peer %v", p.ID)
	}
	for _, pool := range d.Pools {
		s += " " + string(pool.Handle)
		for _, pe := range pool.Elements {
			s += fmt.Sprintf(" %d@%d", pe.ID, pe.User.Port)
		}
	}
	return s
}

// All pages come, and again over the same association what is there by then.
func TestDump(t *testing.T) {
	ctx := testContext(t)
	r := startRegistrar(t, rsp.RegistrarConfig{ID: 0x11111111, MaxElementsPerHTRequest: 2})
	c, err := hsdump.Dial(ctx, r.PeerAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, want := dump(t, ctx, c), "0x11111111:"; got != want {
		t.Errorf("an empty handlespace is %q, want %q", got, want)
	}
	fill(t, ctx, r, 5)
	if err := c.Attend(ctx, 10*time.Millisecond); err != nil {
		t.Error(err)
	}
	if got, want := dump(t, ctx, c), "0x11111111: B 1@5 3@3 5@1 AA 2@4 4@2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if peers := r.Peers(); len(peers) != 1 || peers[0].ID != hsdump.ID {
		t.Errorf("the registrar's peers are %v", peers)
	}
}

// The registrar's peers are told, without us.
func TestPeers(t *testing.T) {
	ctx := testContext(t)
	a := startRegistrar(t, rsp.RegistrarConfig{ID: 0xa})
	b := startRegistrar(t, rsp.RegistrarConfig{ID: 0xb, Peers: []string{a.PeerAddr()}})
	for len(a.Peers()) == 0 || a.Peers()[0].LastHeard.IsZero() {
		if ctx.Err() != nil {
			t.Fatal("they do not find each other")
		}
		time.Sleep(time.Millisecond)
	}
	fill(t, ctx, b, 1)
	for a.Stats().Elements == 0 {
		if ctx.Err() != nil {
			t.Fatal("the pool element is not told")
		}
		time.Sleep(time.Millisecond)
	}
	c, err := hsdump.Dial(ctx, a.PeerAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, want := dump(t, ctx, c), "0x0000000a: peer 0x0000000b B 1@1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A registrar whose peer has died need not wait for us to take it over.
func TestTakeover(t *testing.T) {
	ctx := testContext(t)
	patience := rsp.RegistrarConfig{
		PeerMaxTimeLastHeard: 300 * time.Millisecond, PeerMaxTimeNoResponse: 300 * time.Millisecond, PeerHeartbeatCycle: 100 * time.Millisecond,
		TakeoverExpiryInterval: time.Hour,
	}
	patience.ID = 0xa
	a := startRegistrar(t, patience)
	patience.ID, patience.Peers = 0xb, []string{a.PeerAddr()}
	b := startRegistrar(t, patience)
	fill(t, ctx, b, 1)
	c, err := hsdump.Dial(ctx, a.PeerAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for a.Stats().Elements == 0 {
		dump(t, ctx, c)
	}
	b.Abort()
	for a.Stats().OwnedElements == 0 { // the PE does not come by itself: it knows b alone
		if err := c.Attend(ctx, 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// fakeRegistrar answers each message by the next of its answers.
func fakeRegistrar(t *testing.T, answers ...func(c transport.Assoc, b []byte)) string {
	ln, err := tcp.Network{}.Listen(t.Context(), protocol.TransportAddr{Protocol: protocol.TCP, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		assoc, err := ln.Accept(context.Background())
		if err != nil {
			return
		}
		defer assoc.Abort()
		buf := make([]byte, 1<<16)
		for _, answer := range answers {
			n, _, err := assoc.Recv(buf)
			if err != nil {
				return
			}
			answer(assoc, buf[:n])
		}
		assoc.Recv(buf)
	}()
	return ln.LocalAddr().AddrPort().String()
}

func silence(transport.Assoc, []byte) {}

func saying(m wire.Message) func(transport.Assoc, []byte) {
	return func(a transport.Assoc, _ []byte) {
		a.Send(m.AppendTo(nil), transport.SendInfo{PPID: protocol.PPIDENRP})
	}
}

// What a registrar does wrong is an error, and no endless dump.
func TestBadRegistrars(t *testing.T) {
	list := saying(&wire.ListResponse{Sender: 1})
	endless := saying(&wire.HandleTableResponse{Sender: 1, MoreToSend: true})
	for name, tt := range map[string]struct {
		answers []func(transport.Assoc, []byte)
		want    string
	}{
		"refuses its list":  {[]func(transport.Assoc, []byte){silence, saying(&wire.ListResponse{Reject: true})}, "refuses its peer list"},
		"refuses its table": {[]func(transport.Assoc, []byte){silence, list, saying(&wire.HandleTableResponse{Reject: true})}, "refuses"},
		"has no end":        {[]func(transport.Assoc, []byte){silence, list, endless, endless}, "does not end"},
		"ends":              {[]func(transport.Assoc, []byte){silence, func(a transport.Assoc, _ []byte) { a.Close() }}, "association has ended"},
		"speaks otherwise": {[]func(transport.Assoc, []byte){silence, func(a transport.Assoc, _ []byte) {
			a.Send([]byte("hello"), transport.SendInfo{PPID: protocol.PPIDENRP})
		}}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			c, err := hsdump.Dial(ctx, fakeRegistrar(t, tt.answers...))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Dump(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A registrar that says nothing is waited for until the context ends.
func TestSilentRegistrar(t *testing.T) {
	c, err := hsdump.Dial(testContext(t), fakeRegistrar(t, silence, silence))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Dump(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestDialErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	for _, address := range []string{"", "127.0.0.1", "127.0.0.1:x", ln.Addr().String()} {
		if c, err := hsdump.Dial(testContext(t), address); err == nil {
			c.Close()
			t.Errorf("%q is reached", address)
		}
	}
}
