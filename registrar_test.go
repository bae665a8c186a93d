package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/tcp"
	"github.com/rserpool/rsp/internal/wire"
)

// startRegistrar starts a registrar on loopback that is shut down with the test.
func startRegistrar(t testing.TB, cfg rsp.RegistrarConfig) *rsp.Registrar {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	if cfg.Network == rsp.Auto {
		cfg.Network = rsp.TCPMapping
	}
	r, err := rsp.NewRegistrar(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// peer is the other end of an association with a registrar: no library, only messages.
type peer struct {
	testing.TB
	transport.Assoc
	decoder wire.Decoder
	buf     []byte
}

// toRegistrar is how patient associations with registrars are.
var toRegistrar = transport.Options{
	RTOInitial: 500 * time.Millisecond, RTOMin: 200 * time.Millisecond, RTOMax: time.Second,
	HeartbeatInterval: 3 * time.Second, PathMaxRetrans: 3, AssocMaxRetrans: 3,
}

// dialTCP opens an association over the TCP mapping.
func dialTCP(t testing.TB, r *rsp.Registrar) transport.Assoc {
	t.Helper()
	at := netip.MustParseAddrPort(r.Addr())
	to := protocol.TransportAddr{Protocol: protocol.TCP, Port: at.Port(), Addrs: []netip.Addr{at.Addr()}}
	assoc, err := tcp.Network{}.Dial(context.Background(), to, toRegistrar)
	if err != nil {
		t.Fatal(err)
	}
	return assoc
}

// dialRegistrar is dialTCP for a peer that is patient for 20 s, and gone with the test.
func dialRegistrar(t testing.TB, r *rsp.Registrar) *peer {
	t.Helper()
	assoc := dialTCP(t, r)
	t.Cleanup(func() { assoc.Abort() })
	assoc.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{TB: t, Assoc: assoc, buf: make([]byte, 1<<16)}
}

func (p *peer) send(m effect.Appender) {
	p.Helper()
	if err := p.Send(m.AppendTo(nil), transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
		p.Fatal(err)
	}
}

// receive returns the next message; it is valid until the next call.
func (p *peer) receive() (wire.Message, error) {
	p.Helper()
	n, info, err := p.Recv(p.buf)
	for err == nil && info.Notice != transport.NoticeNone {
		n, info, err = p.Recv(p.buf)
	}
	if err != nil {
		return nil, err
	}
	if info.PPID != protocol.PPIDASAP || !info.EOR {
		p.Fatalf("received %+v", info)
	}
	m, err := p.decoder.ASAP(p.buf[:n])
	if err != nil {
		p.Fatal(err)
	}
	return m, nil
}

func (p *peer) want(what wire.Message) {
	p.Helper()
	m, err := p.receive()
	if err != nil {
		p.Fatalf("%v instead of %v", err, what)
	}
	if m.String() != what.String() {
		p.Fatalf("received\n%v, want\n%v", m, what)
	}
}

// wantEnd skips messages until the association ends by err.
func (p *peer) wantEnd(err error) {
	p.Helper()
	for {
		if _, got := p.receive(); got != nil {
			if !errors.Is(got, err) {
				p.Fatalf("association ended by %v, want %v", got, err)
			}
			return
		}
	}
}

func loopbackElement(id protocol.PEID) protocol.PoolElement {
	return protocol.PoolElement{
		ID: id, Life: 90 * time.Second, Policy: protocol.Policy{Type: protocol.RoundRobin},
		User: protocol.TransportAddr{Protocol: protocol.TCP, Use: protocol.DataAndControl, Port: 7, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
	}
}

// wantService checks that a registrar serves: all of a PE's and a PU's life.
func wantService(t *testing.T, r *rsp.Registrar) {
	t.Helper()
	pe, pu := dialRegistrar(t, r), dialRegistrar(t, r)
	element := loopbackElement(0xabc0001)
	pe.send(&wire.Registration{Handle: "Service", Element: element})
	pe.want(&wire.RegistrationResponse{Handle: "Service", ID: element.ID})
	element.Home = r.ID()
	pu.send(&wire.HandleResolution{Handle: "Service"})
	pu.want(&wire.HandleResolutionResponse{Handle: "Service", Policy: element.Policy, Elements: []protocol.PoolElement{element}})
	pe.send(&wire.Deregistration{Handle: "Service", ID: element.ID})
	pe.want(&wire.DeregistrationResponse{Handle: "Service", ID: element.ID})
	pu.send(&wire.HandleResolution{Handle: "Service"})
	pu.want(&wire.HandleResolutionResponse{Handle: "Service", Causes: []wire.ErrorCause{{Code: protocol.CauseUnknownPoolHandle}}})
}

func TestRegistrar(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{ID: 0x11111111})
	if r.ID() != 0x11111111 {
		t.Errorf("ID %v", r.ID())
	}
	wantService(t, r)

	before := time.Now()
	pe := dialRegistrar(t, r)
	for id := range protocol.PEID(3) {
		pe.send(&wire.Registration{Handle: "Echo", Element: loopbackElement(3 - id)})
		pe.want(&wire.RegistrationResponse{Handle: "Echo", ID: 3 - id})
	}
	pools := r.Pools()
	if len(pools) != 1 || pools[0].Handle != "Echo" || pools[0].Policy != "RoundRobin" || len(pools[0].Elements) != 3 {
		t.Fatalf("pools %+v", pools)
	}
	for i, e := range pools[0].Elements {
		if e.ID != rsp.PEID(i+1) || e.Registrar != r.ID() || e.Protocol != "tcp" || e.Addrs[0].String() != "127.0.0.1:7" ||
			e.Policy != rsp.RoundRobin() || e.Since.Before(before) || e.Since.After(time.Now()) {
			t.Errorf("element %+v", e)
		}
	}
	if s := r.Stats(); s.Elements != 3 || s.Registrations != 4 || s.Deregistrations != 1 || s.Resolutions != 2 || s.UnknownPools != 1 {
		t.Errorf("stats %+v", s)
	}
}

// RFC 5352 section 3.4: the registrar asks PEs for a sign of life; those that do not answer
// lose their association.
func TestRegistrarWatchesElements(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{
		EndpointKeepAliveTransmissionInterval: 20 * time.Millisecond,
		EndpointKeepAliveTimeoutInterval:      time.Second,
	})
	pe := dialRegistrar(t, r)
	pe.send(&wire.Registration{Handle: "Echo", Element: loopbackElement(1)})
	pe.want(&wire.RegistrationResponse{Handle: "Echo", ID: 1})
	for range 5 {
		pe.want(&wire.EndpointKeepAlive{Registrar: r.ID(), Handle: "Echo", ID: 1})
		pe.send(&wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1})
	}
	pe.wantEnd(transport.ErrAborted)
	if pools := r.Pools(); len(pools) != 0 {
		t.Errorf("the PE is still there: %v", pools)
	}
}

func TestRegistrarShutdown(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*rsp.Registrar)
		want error
	}{
		"graceful": {func(r *rsp.Registrar) { r.Shutdown(context.Background()) }, io.EOF},
		"abrupt":   {(*rsp.Registrar).Abort, transport.ErrAborted},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRegistrar(t, rsp.RegistrarConfig{})
			p := dialRegistrar(t, r)
			p.send(&wire.Registration{Handle: "Echo", Element: loopbackElement(1)})
			p.want(&wire.RegistrationResponse{Handle: "Echo", ID: 1})
			c.end(r)
			p.wantEnd(c.want)
			if _, err := net.Dial("tcp", r.Addr()); err == nil {
				t.Error("the port is still open")
			}
			if err := r.Start(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Start afterwards: %v", err)
			}
			if r.Pools() != nil || r.Stats() != (rsp.RegistrarStats{}) {
				t.Error("it still tells of pools")
			}
		})
	}
}

func TestRegistrarStart(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{})
	if err := r.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	second, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: r.Addr(), Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Abort()
	if second.Addr() != "" {
		t.Errorf("serves at %v before Start", second.Addr())
	}
	if err := second.Start(t.Context()); err == nil {
		t.Error("two registrars at one port")
	}
	for _, cfg := range []rsp.RegistrarConfig{
		{Address: "127.0.0.1"}, {Address: "127.0.0.1:port"}, {Address: "192.0.2.1:0"},
	} {
		cfg.Network = rsp.TCPMapping
		bad, err := rsp.NewRegistrar(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := bad.Start(t.Context()); err == nil {
			t.Errorf("started at %q", cfg.Address)
		}
		bad.Abort()
	}
}

func TestRegistrarConfigValidation(t *testing.T) {
	for _, cfg := range []rsp.RegistrarConfig{
		{EndpointKeepAliveTransmissionInterval: -1}, {EndpointKeepAliveTimeoutInterval: -1}, {AutoClose: -1},
		{MaxBadPEReports: -1}, {MaxHResItems: -1}, {MaxIncrement: -1}, {MaxElements: -1}, {Network: 99},
	} {
		if _, err := rsp.NewRegistrar(&cfg); err == nil {
			t.Errorf("no error for %+v", cfg)
		}
	}
}

// Without an address, the registrars of a machine share it: the first has the
// well-known port, if nobody else has, the others take what is free.
func TestRegistrarDefaultAddress(t *testing.T) {
	seen := make(map[uint16]bool)
	for range 2 {
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Announce: "off"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Shutdown(context.Background())
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(r.Addrs()) == 0 {
			t.Fatal("no address")
		}
		at := netip.MustParseAddrPort(r.Addr())
		if at.Port() == 0 || seen[at.Port()] || at.Addr().IsUnspecified() {
			t.Errorf("serves at %v", r.Addrs())
		}
		seen[at.Port()] = true
		for _, addr := range r.Addrs() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Errorf("does not serve at %s: %v", addr, err)
				continue
			}
			conn.Close()
		}
	}
}

// In memory, a registrar has the addresses of a simulated host.
func TestRegistrarInMemory(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{Network: rsp.InMemory, Address: ":0"})
	if len(r.Addrs()) == 0 {
		t.Error("no address")
	}
}

// With Auto, kernel SCTP and the TCP mapping are served at one port number.
func TestRegistrarAllTransports(t *testing.T) {
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Network: rsp.KernelSCTP})
	if err != nil {
		t.Skipf("no kernel SCTP: %v", err)
	}
	r.Abort()
	r, err = rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Abort()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if addrs := r.Addrs(); len(addrs) != 1 {
		t.Errorf("transports are at different addresses: %v", addrs)
	}
	wantService(t, r)
}

func ExampleRegistrar() {
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.TCPMapping})
	if err != nil {
		panic(err)
	}
	if err := r.Start(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(len(r.Addrs()), "address,", len(r.Pools()), "pools")
	if err := r.Shutdown(context.Background()); err != nil {
		panic(err)
	}
	// Output: 1 address, 0 pools
}
