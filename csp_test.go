package rsp_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/simnet"
)

// monitor is a real socket that gets the reports of programs on a network in memory: loopback delivers them
// before their senders go on.
type monitor struct {
	*testing.T
	conn *net.UDPConn
	last map[string]*csp.Report // by component
}

func newMonitor(t *testing.T) *monitor {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &monitor{t, conn, make(map[string]*csp.Report)}
}

func (m *monitor) addr() string { return m.conn.LocalAddr().String() }

// update takes in what has come by now.
func (m *monitor) update() {
	m.Helper()
	synctest.Wait()
	if _, err := m.conn.WriteTo([]byte("now"), m.conn.LocalAddr()); err != nil {
		m.Fatal(err)
	}
	b := make([]byte, 1<<16)
	for {
		n, err := m.conn.Read(b)
		if err != nil {
			m.Fatal(err)
		}
		if string(b[:n]) == "now" {
			return
		}
		r, err := csp.Parse(b[:n])
		if err != nil {
			m.Fatal(err)
		}
		m.last[r.Sender.String()] = r
	}
}

// want compares a component's latest report: "status workload [association ...]", or "final".
func (m *monitor) want(component, want string) {
	m.Helper()
	r := m.last[component]
	if r == nil {
		m.Errorf("%s has not reported", component)
		return
	}
	got := "final"
	if !r.Final {
		got = fmt.Sprintf("%s %x", r.Status, uint16(r.Workload))
		for _, a := range r.Associations {
			got += fmt.Sprintf(", %v by %d, PPID %d", a.Receiver, a.Protocol, a.PPID)
			if a.Duration >= 0 {
				got += fmt.Sprintf(" for %v", a.Duration.Round(100*time.Millisecond))
			}
		}
	}
	if got != want {
		m.Errorf("%s reports %q, want %q", component, got, want)
	}
}

func (m *monitor) wantLocation(component, suffix string) {
	m.Helper()
	if r := m.last[component]; r == nil || !strings.HasSuffix(r.Location, suffix) {
		m.Errorf("%s reports %+v, want it at %q", component, r, suffix)
	}
}

func (m *monitor) config() rsp.Config {
	return rsp.Config{CSPServer: m.addr(), CSPInterval: time.Second, CSPIdentifier: 0xc1}
}

// Registrar, pool element and pool user tell what they are and do, until their end.
func TestStatusReports(t *testing.T) {
	m := newMonitor(t)
	synctest.Test(t, func(t *testing.T) {
		s := &scope{t: t, net: simnet.New(simnet.Config{Latency: latency}), addr: "10.0.0.1:3863"}
		reg := rsp.NewRegistrarOn(rsp.RegistrarConfig{ID: 0x11111111, Address: s.addr, CSPServer: m.addr(), CSPInterval: time.Second}, s.net.Host("10.0.0.1"))
		if err := reg.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.update()
		m.want("PR $11111111", "0[0] PEs in 0 Pools, 0 Peers ffff")
		m.wantLocation("PR $11111111", ": 10.0.0.1:3863")

		server := s.endpoint("server", s.net.Host("10.0.0.2"), m.config())
		listener, err := server.Listen(ctx(), "EchoPool", rsp.PE{ID: 0xabc, Policy: rsp.LeastUsed(0.5)})
		if err != nil {
			t.Fatal(err)
		}
		pe := &testPE{socket: listener, got: make(chan string, 100)}
		go pe.serve()
		client := s.endpoint("client", s.net.Host("10.0.0.3"), m.config())
		session := s.connect(rsp.Dialer{Endpoint: client})
		if err := session.SendMsg(ctx(), []byte("?"), rsp.MsgInfo{PPID: 32}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the registrar has told its ID by a keep-alive
		m.update()
		m.want("PR $11111111", "1[1] PEs in 1 Pool, 0 Peers ffff")
		m.want("PE $00000abc", "1 Session 7fff, PR $11111111 by 132, PPID 11 for 10s")
		m.wantLocation("PE $00000abc", fmt.Sprintf(": 10.0.0.2:%d", listener.LocalAddr().(rsp.PoolAddr).Addr[0].Port()))
		m.want("PU $000000c1", "1 Session ffff, PR $00000000 by 132, PPID 11 for 10s, PE $00000abc by 132, PPID 32 for 10s")

		for _, err := range []error{session.SetStatus("computing"), listener.SetStatus("serving"), listener.SetPolicy(ctx(), rsp.LeastUsed(1))} {
			if err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
		m.update()
		m.want("PE $00000abc", "serving fffe, PR $11111111 by 132, PPID 11 for 11s")
		m.want("PU $000000c1", "computing ffff, PR $00000000 by 132, PPID 11 for 11s, PE $00000abc by 132, PPID 32 for 11s")

		session.Close()
		listener.SetStatus("")
		time.Sleep(time.Second)
		m.update()
		m.want("PE $00000abc", "0 Sessions fffe, PR $11111111 by 132, PPID 11 for 12s")
		m.want("PU $000000c1", "0 Sessions ffff, PR $00000000 by 132, PPID 11 for 12s")

		listener.DeregisterPE(ctx())
		client.Close()
		time.Sleep(time.Second)
		m.update()
		m.want("PE $00000abc", "final")
		m.want("PU $000000c1", "final")
		reg.Shutdown(ctx())
		m.update()
		m.want("PR $11111111", "final")
		if len(m.last) != 3 {
			t.Errorf("%d components have reported: %v", len(m.last), m.last)
		}
	})
}

// A PE that opens sessions reports them as its own. Who looks for a registrar says so, and who dies says nothing.
func TestStatusOfPEThatIsPU(t *testing.T) {
	m := newMonitor(t)
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("other", 0xb, nil)
		e := s.endpoint("both", s.host(), m.config())
		listener, err := e.Listen(ctx(), "RelayPool", rsp.PE{ID: 0xa})
		if err != nil {
			t.Fatal(err)
		}
		session := s.connect(rsp.Dialer{Endpoint: e, PE: listener})
		defer session.Close()
		time.Sleep(time.Second)
		m.update()
		m.want("PE $0000000a", "1 Session ffff, PR $00000000 by 132, PPID 11 for 1s, PE $0000000b by 132, PPID 0 for 1s")

		s.reg.Abort()
		time.Sleep(time.Second)
		m.update()
		m.want("PE $0000000a", "Looking for Registrar ... ffff, PE $0000000b by 132, PPID 0 for 2s")
		e.Abort()
		m.update()
		m.want("PE $0000000a", "Looking for Registrar ... ffff, PE $0000000b by 132, PPID 0 for 2s")
		if len(m.last) != 1 {
			t.Errorf("%d components have reported: %v", len(m.last), m.last)
		}
	})
}

// A registrar reports its peers.
func TestStatusOfPeers(t *testing.T) {
	m := newMonitor(t)
	t.Setenv("CSP_SERVER", m.addr())
	synctest.Test(t, func(t *testing.T) {
		newPeers(t, 2)
		time.Sleep(time.Second)
		m.update()
		m.want("PR $00000001", "0[0] PEs in 0 Pools, 1 Peer ffff, PR $00000002 by 132, PPID 12")
		m.want("PR $00000002", "0[0] PEs in 0 Pools, 1 Peer ffff, PR $00000001 by 132, PPID 12")
	})
}

func TestSetStatusErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		fresh := s.endpoint("program", s.host(), rsp.Config{}).Socket()
		if err := fresh.SetStatus("x"); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("a fresh Socket: %v", err)
		}
		fresh.Close()
		if err := fresh.SetStatus("x"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed Socket: %v", err)
		}
	})
}

// RSPLIB's rules: PEs and PUs need a server and an interval, a registrar one of them.
func TestStatusSettings(t *testing.T) {
	for _, tt := range []struct {
		server, envServer, envInterval string
		interval                       time.Duration
		registrar                      bool
		want                           string
	}{
		{want: " 0s"},
		{registrar: true, want: "127.0.0.1:2960 0s"},
		{server: "a:1", want: "a:1 0s"},
		{server: "a:1", registrar: true, want: "a:1 250ms"},
		{interval: time.Second, want: " 1s"},
		{interval: time.Second, registrar: true, want: "127.0.0.1:2960 1s"},
		{envServer: "b:2", envInterval: "1000", want: "b:2 1s"},
		{envServer: "b:2", registrar: true, want: "b:2 250ms"},
		{envServer: "b:2", envInterval: "0", registrar: true, want: "b:2 250ms"},
		{server: "a:1", envServer: "b:2", interval: 2 * time.Second, envInterval: "1000", want: "a:1 2s"},
		{envServer: "b:2", envInterval: "1000", interval: -1, registrar: true, want: "b:2 -1ns"},
	} {
		t.Setenv("CSP_SERVER", tt.envServer)
		t.Setenv("CSP_INTERVAL", tt.envInterval)
		server, interval, err := rsp.CSPSettings(tt.server, tt.interval, tt.registrar)
		if got := fmt.Sprintf("%s %v", server, interval); err != nil || got != tt.want {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
	t.Setenv("CSP_INTERVAL", "soon")
	if _, err := rsp.NewEndpoint(&rsp.Config{CSPServer: "127.0.0.1:2960"}); err == nil || !strings.Contains(err.Error(), "CSP_INTERVAL") {
		t.Errorf("CSP_INTERVAL=soon: %v", err)
	}
	t.Setenv("CSP_INTERVAL", "")
	for _, cfg := range []rsp.Config{
		{CSPServer: "nowhere"},
		{CSPServer: "127.0.0.1:0", CSPInterval: time.Second},
		{CSPInterval: 2 * time.Hour},
		{CSPIdentifier: 1 << 56},
	} {
		if e, err := rsp.NewEndpoint(&cfg); err == nil {
			e.Close()
			t.Errorf("%+v is taken", cfg)
		}
	}
}

func TestStatusFlags(t *testing.T) {
	for args, want := range map[string]string{
		"": " 0s 0x0",
		"-cspserver=a:1 -cspinterval=1000 -cspidentifier=0x7": "a:1 1s 0x7",
		"-cspinterval=0":  " -1ns 0x0",
		"-cspinterval=-1": "error",
		"-cspinterval=1s": "error",
		"-cspidentifier=1" + strings.Repeat("0", 20): "error",
	} {
		var c rsp.Config
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		c.RegisterFlags(fs)
		got := "error"
		if fs.Parse(strings.Fields(args)) == nil {
			got = fmt.Sprintf("%s %v 0x%x", c.CSPServer, c.CSPInterval, c.CSPIdentifier)
		}
		if got != want {
			t.Errorf("%q gives %q, want %q", args, got, want)
		}
	}
}
