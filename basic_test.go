package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

func addrPort(s string) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(s)} }

// serveHTTP is a plain net/http server.
func serveHTTP(t *testing.T, address string) netip.AddrPort {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// serveUDP is a plain UDP server that echoes.
func serveUDP(t *testing.T, address string) netip.AddrPort {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1000)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(buf[:n], from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// testServices registers a net/http server and a UDP server at registrars and uses them as a PU
// that knows their pool handles alone.
func testServices(t *testing.T, cfg rsp.Config, host string) {
	cfg.Logger = testLog(t, "basic")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	pe, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pe.Abort()
	// One listens everywhere, the other at an address of its own.
	for pool, r := range map[rsp.PoolHandle]rsp.ElementRegistration{
		"Web":  {ID: 1, Protocol: "tcp", Addrs: []netip.AddrPort{serveHTTP(t, ":0")}},
		"Echo": {ID: 2, Protocol: "udp", Addrs: []netip.AddrPort{serveUDP(t, host+":0")}, Policy: rsp.WeightedRoundRobin(2)},
	} {
		if id, err := pe.RegisterElement(ctx, pool, r); err != nil || id != r.ID {
			t.Fatalf("%q: PE %v, %v", pool, id, err)
		}
	}
	pu, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pu.Abort()
	web := dialElement(ctx, t, pu, "Web", 1)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return web, nil },
	}}
	response, err := client.Get("http://Web/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "hello" {
		t.Errorf("GET: %q, %v", body, err)
	}
	response.Body.Close()
	client.CloseIdleConnections()

	echo := dialElement(ctx, t, pu, "Echo", 2)
	defer echo.Close()
	echo.SetDeadline(time.Now().Add(5 * time.Second))
	buf := []byte("hello")
	if _, err := echo.Write(buf); err != nil {
		t.Fatal(err)
	}
	if n, err := echo.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("UDP: %q, %v", buf[:n], err)
	}

	if err := pe.DeregisterElement(ctx, "Web", 1); err != nil {
		t.Fatal(err)
	}
	if r, err := pu.Resolve(ctx, "Web", 0); !errors.Is(err, rsp.ErrUnknownPool) {
		t.Errorf("after DeregisterElement: %v, %v", r, err)
	}
	if err := pe.Close(); err != nil {
		t.Error(err)
	}
	if r, err := pu.Resolve(ctx, "Echo", 0); !errors.Is(err, rsp.ErrUnknownPool) {
		t.Errorf("after Close: %v, %v", r, err)
	}
}

func dialElement(ctx context.Context, t *testing.T, e *rsp.Endpoint, pool rsp.PoolHandle, id rsp.PEID) net.Conn {
	t.Helper()
	r, err := e.Resolve(ctx, pool, 0)
	if err != nil {
		t.Fatal(err)
	}
	el := r.Elements[0]
	if len(r.Elements) != 1 || el.ID != id || len(el.Addrs) != 1 || el.ControlChannel {
		t.Fatalf("%q is %+v", pool, r.Elements)
	}
	conn, err := net.Dial(el.Protocol, el.Addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Services that know nothing of RSerPool are pool elements of any transport.
func TestBasicMode(t *testing.T) {
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.TCPMapping, Logger: testLog(t, "registrar")})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Shutdown(context.Background())
	testServices(t, rsp.Config{Registrars: r.Addrs(), Network: rsp.TCPMapping}, "127.0.0.1")
}

// RSPLIB's registrar serves them as well.
func TestBasicModeWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		m := mix{registrar: rsplib, port: 4200}
		m.startRegistrar(t.Context(), t)
		testServices(t, rsp.Config{Registrars: []string{m.registrarAddr()}}, labHost)
	})
}

// RFC 5354 sections 3.3 to 3.7: what a PE registers with each transport is what PUs resolve.
func TestElementTransports(t *testing.T) {
	for _, want := range []rsp.ElementRegistration{
		{Protocol: "tcp", Addrs: addrPort("10.1.0.1:80")},
		{Protocol: "tcp", Addrs: addrPort("10.1.0.1:80"), ControlChannel: true},
		{Protocol: "udp", Addrs: addrPort("10.1.1.1:53"), Policy: rsp.LeastUsed(0.5)},
		{Protocol: "udplite", Addrs: addrPort("10.1.0.1:53")},
		{Protocol: "dccp", Addrs: addrPort("10.1.0.1:5004"), ServiceCode: 0x52545056},
		{Protocol: "sctp", Addrs: append(addrPort("10.1.0.1:7"), addrPort("10.1.1.1:7")...)},
		{Protocol: "sctp", Addrs: addrPort("10.1.0.1:7"), ControlChannel: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			pe := s.endpoint("pe", s.net.Host("10.1.0.1", "10.1.1.1"), rsp.Config{})
			id, err := pe.RegisterElement(ctx(), "Pool", want)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.endpoint("pu", s.host(), rsp.Config{}).Resolve(ctx(), "Pool", 0)
			if err != nil {
				t.Fatal(err)
			}
			el := r.Elements[0]
			got := rsp.ElementRegistration{Protocol: el.Protocol, Addrs: el.Addrs, ServiceCode: el.ServiceCode,
				ControlChannel: el.ControlChannel, Policy: el.Policy}
			if want.Policy == (rsp.Policy{}) {
				want.Policy = rsp.RoundRobin()
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}, rsp.Policy{})); diff != "" || el.ID != id {
				t.Errorf("PE %v registers, PE %v is resolved (-want +got):\n%s", id, el.ID, diff)
			}
		})
	}
}

// An unspecified address stands for those of the machine, of which a single one remains where the
// transport has but one.
func TestElementAnywhere(t *testing.T) {
	for _, test := range []struct{ protocol, at, want string }{
		{"sctp", "0.0.0.0:7", "[10.1.0.1:7 10.1.1.1:7]"},
		{"sctp", "[::]:7", "[10.1.0.1:7 10.1.1.1:7 [fd00::1]:7]"},
		{"tcp", "[::]:7", "[10.1.0.1:7]"},
		{"udp", "[::ffff:0.0.0.0]:7", "[10.1.0.1:7]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			pe := s.endpoint("pe", s.net.Host("10.1.0.1", "10.1.1.1", "fd00::1"), rsp.Config{})
			if _, err := pe.RegisterElement(ctx(), "Pool", rsp.ElementRegistration{Protocol: test.protocol, Addrs: addrPort(test.at)}); err != nil {
				t.Fatal(err)
			}
			r, err := pe.Resolve(ctx(), "Pool", 0)
			if err != nil || fmt.Sprint(r.Elements[0].Addrs) != test.want {
				t.Errorf("%s %s resolves to %+v, %v, want %s", test.protocol, test.at, r, err, test.want)
			}
		})
	}
}

func TestRegisterElementErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pe", s.net.Host("10.1.0.1"), rsp.Config{})
		two := append(addrPort("10.1.0.1:7"), addrPort("10.1.1.1:7")...)
		otherPort := append(addrPort("10.1.0.1:7"), addrPort("10.1.1.1:8")...)
		for _, test := range []struct {
			want string
			r    rsp.ElementRegistration
		}{
			{`unknown transport protocol ""`, rsp.ElementRegistration{Addrs: two}},
			{`unknown transport protocol "opaque"`, rsp.ElementRegistration{Protocol: "opaque", Addrs: two}},
			{"needs an address", rsp.ElementRegistration{Protocol: "tcp"}},
			{"has one address over udp, not 2", rsp.ElementRegistration{Protocol: "udp", Addrs: two}},
			{"needs addresses with one port", rsp.ElementRegistration{Protocol: "sctp", Addrs: otherPort}},
			{"needs addresses with one port", rsp.ElementRegistration{Protocol: "sctp", Addrs: addrPort("10.1.0.1:0")}},
			{"needs addresses with one port", rsp.ElementRegistration{Protocol: "sctp", Addrs: make([]netip.AddrPort, 1)}},
			{"has no control channel over udp", rsp.ElementRegistration{Protocol: "udp", Addrs: two[:1], ControlChannel: true}},
			{"has no service code over tcp", rsp.ElementRegistration{Protocol: "tcp", Addrs: two[:1], ServiceCode: 1}},
			{"no usable user addresses", rsp.ElementRegistration{Protocol: "tcp", Addrs: addrPort("10.9.9.9:7")}},
		} {
			if id, err := e.RegisterElement(ctx(), "Pool", test.r); err == nil || !strings.Contains(err.Error(), test.want) || id != 0 {
				t.Errorf("%+v: PE %v, error %v, want %q", test.r, id, err, test.want)
			}
		}
		if _, err := e.RegisterElement(ctx(), "", rsp.ElementRegistration{}); !errors.Is(err, rsp.ErrPoolHandle) {
			t.Errorf("no handle: %v", err)
		}
		if err := e.DeregisterElement(ctx(), "Pool", 1); !errors.Is(err, rsp.ErrNotRegistered) {
			t.Errorf("deregistering what is not registered: %v", err)
		}
		// A Socket's own registration is the Socket's.
		listener, err := e.Listen(ctx(), "Pool", rsp.PE{ID: 9})
		if err != nil {
			t.Fatal(err)
		}
		service := rsp.ElementRegistration{ID: 9, Protocol: "sctp", Addrs: addrPort("10.1.0.1:7")}
		if _, err := e.RegisterElement(ctx(), "Pool", service); err == nil {
			t.Error("registered over a Socket")
		}
		if err := e.DeregisterElement(ctx(), "Pool", 9); !errors.Is(err, rsp.ErrNotRegistered) {
			t.Errorf("deregistering a Socket's PE: %v", err)
		}
		listener.Close()
		e.Close()
		if _, err := e.RegisterElement(ctx(), "Pool", service); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if err := e.DeregisterElement(ctx(), "Pool", 9); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		fresh := s.endpoint("fresh", s.host(), rsp.Config{})
		fresh.Close()
		if _, err := fresh.RegisterElement(ctx(), "Pool", service); !errors.Is(err, net.ErrClosed) {
			t.Errorf("first of all Close: %v", err)
		}
	})
}

// "When re-registering, the PE MUST use the same PE identifier" (RFC 5352 section 3.1). RegisterElement
// returns when the registrar has the new values, so that every PU has them from then on.
func TestRegisterElementAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		pe := s.endpoint("pe", s.net.Host("10.1.0.1", "10.1.1.1"), rsp.Config{})
		pu := s.endpoint("pu", s.host(), rsp.Config{})
		r := rsp.ElementRegistration{Protocol: "tcp", Addrs: addrPort("10.1.0.1:80"), Policy: rsp.LeastUsed(0)}
		var err error
		if r.ID, err = pe.RegisterElement(ctx(), "Web", r); err != nil {
			t.Fatal(err)
		}
		r.Addrs, r.Policy = addrPort("10.1.1.1:81"), rsp.LeastUsed(0.5)
		if id, err := pe.RegisterElement(ctx(), "Web", r); err != nil || id != r.ID {
			t.Fatalf("PE %v, %v", id, err)
		}
		got, err := pu.Resolve(ctx(), "Web", 0)
		if err != nil || len(got.Elements) != 1 || got.Elements[0].Policy != r.Policy || got.Elements[0].Addrs[0] != r.Addrs[0] {
			t.Errorf("resolved %+v, %v", got, err)
		}

		// A pool has one policy and one transport, so that a second PE cannot have others: the reason comes along.
		r.ID, r.Policy = r.ID+1, rsp.RoundRobin()
		_, err = pe.RegisterElement(ctx(), "Web", r)
		if cause, ok := rsp.CauseOf(err); !ok || !strings.Contains(cause.String(), "policy") {
			t.Errorf("another policy: %v", err)
		}
		r.Protocol, r.Policy = "udp", rsp.LeastUsed(0)
		_, err = pe.RegisterElement(ctx(), "Web", r)
		if cause, ok := rsp.CauseOf(err); !ok || !strings.Contains(cause.String(), "transport") {
			t.Errorf("another transport: %v", err)
		}
	})
}

// A service stays registered: it answers keep-alives, registers again before its life ends, and with
// whatever registrar there is.
func TestElementStaysRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		pe := s.endpoint("pe", s.net.Host("10.1.0.1"), rsp.Config{})
		service := rsp.ElementRegistration{ID: 1, Protocol: "udp", Addrs: addrPort("10.1.0.1:53")}
		if _, err := pe.RegisterElement(ctx(), "DNS", service); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		stats := s.reg.Stats()
		if len(s.reg.Pools()) != 1 || stats.KeepAliveAcks == 0 || stats.Reregistrations < 19 {
			t.Errorf("after 10 minutes: pools %+v, %+v", s.reg.Pools(), stats)
		}
		s.reg.Abort()
		time.Sleep(time.Minute)
		s.startRegistrar(s.registrarHost)
		time.Sleep(10 * time.Second)
		if len(s.reg.Pools()) != 1 {
			t.Error("not registered at the new registrar")
		}
		// It is only now that it is reported: the registrar asks, and it lives.
		pu := s.endpoint("pu", s.host(), rsp.Config{})
		if err := pu.ReportFailure("DNS", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if _, err := pu.Resolve(ctx(), "DNS", 0); err != nil {
			t.Errorf("reported once, though it answers keep-alives: %v", err)
		}
	})
}

// Without a registrar RegisterElement waits as long as its user does, and leaves nothing behind.
func TestRegisterElementGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.reg.Abort()
		pe := s.endpoint("pe", s.net.Host("10.1.0.1"), rsp.Config{})
		service := rsp.ElementRegistration{ID: 1, Protocol: "udp", Addrs: addrPort("10.1.0.1:53")}
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		if _, err := pe.RegisterElement(short, "DNS", service); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a registrar: %v", err)
		}
		s.startRegistrar(s.registrarHost)
		time.Sleep(time.Minute)
		if pools := s.reg.Pools(); len(pools) != 0 {
			t.Errorf("registered later all the same: %+v", pools)
		}
		if _, err := pe.RegisterElement(ctx(), "DNS", service); err != nil {
			t.Errorf("once more: %v", err)
		}
	})
}
