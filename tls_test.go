package rsp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/testca"
)

// registrarName is that of tests.
const registrarName = "registrar.rsp.internal"

// onLoopback are the addresses of programs in tests.
var onLoopback = []string{"127.0.0.1", "::1"}

// authority makes the certificates of a test.
type authority struct {
	t  testing.TB
	ca *testca.CA
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	ca, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	return authority{t, ca}
}

// config has a certificate for a name and the loopback addresses.
func (a authority) config(name string) *tls.Config {
	a.t.Helper()
	certificate, err := a.ca.Issue(testca.Leaf{Name: name, Hosts: onLoopback})
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: a.ca.Pool()}
}

// registrar starts a registrar with a certificate for name.
func (a authority) registrar(name string, cfg rsp.RegistrarConfig) *rsp.Registrar {
	a.t.Helper()
	cfg.TLS = a.config(name)
	return startTLSRegistrar(a.t, cfg)
}

func startTLSRegistrar(t testing.TB, cfg rsp.RegistrarConfig) *rsp.Registrar {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	r, err := rsp.NewRegistrar(&cfg)
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Abort)
	return r
}

// endpoint has a certificate for name.
func (a authority) endpoint(name string, r *rsp.Registrar) *rsp.Endpoint {
	a.t.Helper()
	return tlsEndpoint(a.t, rsp.Config{Registrars: r.Addrs(), TLS: a.config(name)})
}

func tlsEndpoint(t testing.TB, cfg rsp.Config) *rsp.Endpoint {
	t.Helper()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	return e
}

// A session over TLS is a net.Conn in every respect.
func TestNetConnOverTLS(t *testing.T) {
	a := newAuthority(t)
	r := a.registrar(registrarName, rsp.RegistrarConfig{})
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		pe, pu := a.endpoint("server", r), a.endpoint("client", r)
		listener, err := pe.Listen(ctx(), "TestPool", rsp.PE{})
		if err != nil {
			return nil, nil, nil, err
		}
		d := rsp.Dialer{Endpoint: pu, Failover: rsp.FailoverNone}
		session, err := d.Connect(ctx(), "TestPool")
		if err != nil {
			return nil, nil, nil, err
		}
		accepted, err := listener.Accept()
		return session, accepted, func() { pu.Close(); pe.Close() }, err
	})
}

// Both ends of a session know each other's certificate.
func TestPeerCertificate(t *testing.T) {
	a := newAuthority(t)
	r := a.registrar(registrarName, rsp.RegistrarConfig{})
	pe, pu := a.endpoint("server", r), a.endpoint("client", r)
	listener, err := pe.Listen(ctx(), "TestPool", rsp.PE{})
	if err != nil {
		t.Fatal(err)
	}
	session, err := pu.Connect(ctx(), "TestPool")
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.AcceptSocket(ctx())
	if err != nil {
		t.Fatal(err)
	}
	for socket, want := range map[*rsp.Socket]string{session: "server", accepted: "client"} {
		if c := socket.PeerCertificate(); c == nil || c.Subject.CommonName != want {
			t.Errorf("certificate of the %s is %v", want, c)
		}
	}
	if c := listener.PeerCertificate(); c != nil {
		t.Errorf("a listening Socket has a peer with %v", c)
	}
}

// wantElement waits until a registrar has a pool element with that home.
func wantElement(t *testing.T, r *rsp.Registrar, home rsp.RegistrarID) {
	t.Helper()
	for change, err := range r.Watch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if change.Kind != rsp.Removed && change.Element.Registrar == home {
			return
		}
	}
}

// Registrars over TLS find each other, and keep one handlespace.
func TestRegistrarsOverTLS(t *testing.T) {
	a := newAuthority(t)
	r1 := a.registrar(registrarName, rsp.RegistrarConfig{})
	r2 := a.registrar(registrarName, rsp.RegistrarConfig{Peers: []string{r1.PeerAddr()}})
	pe := a.endpoint("server", r1)
	if _, err := pe.Listen(ctx(), "TestPool", rsp.PE{ID: 7}); err != nil {
		t.Fatal(err)
	}
	wantElement(t, r2, r1.ID())
	r1.Abort() // the other one takes its PE over, and visits it
	wantElement(t, r2, r2.ID())
	if _, err := a.endpoint("client", r2).Connect(ctx(), "TestPool"); err != nil {
		t.Error(err)
	}
}

// Who has a certificate, but not a registrar's, is not taken for one, whoever connects.
func TestNoRegistrar(t *testing.T) {
	a := newAuthority(t)
	impostor := a.registrar("server", rsp.RegistrarConfig{})
	e := tlsEndpoint(t, rsp.Config{
		Registrars: impostor.Addrs(), TLS: a.config("client"), RegistrarRequestTimeout: time.Second,
	})
	if _, err := e.Resolve(ctx(), "TestPool", 0); !errors.Is(err, rsp.ErrNoRegistrar) {
		t.Errorf("Resolve: %v", err)
	}
	r := a.registrar(registrarName, rsp.RegistrarConfig{})
	if _, err := a.endpoint("server", r).Listen(ctx(), "TestPool", rsp.PE{}); err != nil {
		t.Fatal(err)
	}
	for _, door := range []string{r.PeerAddr(), rsp.ASAPAddrs(r)[0].String()} {
		cfg := a.config("server")
		cfg.ServerName = registrarName
		if door != r.PeerAddr() {
			cfg.ServerName = "server"
		}
		conn, err := tls.Dial("tcp", door, cfg)
		if err == nil {
			conn.SetDeadline(time.Now().Add(time.Minute))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "bad certificate") {
			t.Errorf("%s at %s: %v", cfg.ServerName, door, err)
		}
	}
}

// A client that has no certificate is told so at each door.
func TestRefusedAtEachDoor(t *testing.T) {
	a := newAuthority(t)
	r := a.registrar(registrarName, rsp.RegistrarConfig{})
	if _, err := a.endpoint("server", r).Listen(ctx(), "TestPool", rsp.PE{}); err != nil {
		t.Fatal(err)
	}
	doors := map[string]string{ // to the name of who serves there
		r.Addr():     registrarName, // for PEs and PUs
		r.PeerAddr(): registrarName, // for registrars
		r.Pools()[0].Elements[0].Addrs[0].String(): "server", // for PUs
		rsp.ASAPAddrs(r)[0].String():               "server", // for registrars that take the PE over
	}
	if len(doors) != 4 {
		t.Fatalf("doors: %v", doors)
	}
	for address, name := range doors {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: a.ca.Pool(), ServerName: name})
		if err == nil {
			conn.SetDeadline(time.Now().Add(time.Minute))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "certificate required") {
			t.Errorf("%s at %s: %v", name, address, err)
		}
	}
}

// What would authenticate less than the documentation promises is refused.
func TestTLSConfigRefused(t *testing.T) {
	a := newAuthority(t)
	for name, change := range map[string]func(*rsp.Config){
		"kernel SCTP":     func(c *rsp.Config) { c.Network = rsp.KernelSCTP },
		"memory":          func(c *rsp.Config) { c.Network = rsp.InMemory },
		"TLS 1.2":         func(c *rsp.Config) { c.TLS.MinVersion = tls.VersionTLS12 },
		"TLS 1.2 at most": func(c *rsp.Config) { c.TLS.MaxVersion = tls.VersionTLS12 },
		"no authority":    func(c *rsp.Config) { c.TLS.RootCAs = nil },
		"no certificate":  func(c *rsp.Config) { c.TLS.Certificates = nil },
		"no verification": func(c *rsp.Config) { c.TLS.InsecureSkipVerify = true },
		"any certificate": func(c *rsp.Config) { c.TLS.ClientAuth = tls.RequireAnyClientCert },
		"another per peer": func(c *rsp.Config) {
			c.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
		},
	} {
		cfg := rsp.Config{Registrars: []string{"127.0.0.1:1"}, TLS: a.config("client")}
		change(&cfg)
		e, err := rsp.NewEndpoint(&cfg)
		if err == nil {
			e.Abort()
			t.Errorf("%s: NewEndpoint takes it", name)
		} else if !strings.Contains(err.Error(), "TLS") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Network: cfg.Network, TLS: cfg.TLS}); err == nil {
			t.Errorf("%s: NewRegistrar takes it", name)
		}
	}
}

// writeCertificate writes a certificate for name, and returns its files.
func (a authority) writeCertificate(dir, name string) (cert, key, ca string) {
	a.t.Helper()
	certPEM, keyPEM, err := testca.PEM(a.config(name).Certificates[0])
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key, ca = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	for file, content := range map[string][]byte{cert: certPEM, key: keyPEM, ca: a.ca.PEM()} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key, ca
}

// A certificate is read again when its files have changed, but not while they do not fit together.
func TestTLSFiles(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	cert, key, ca := a.writeCertificate(dir, "first")
	cfg, err := rsp.TLSFiles(cert, key, ca)
	if err != nil {
		t.Fatal(err)
	}
	r := a.registrar(registrarName, rsp.RegistrarConfig{})
	e := tlsEndpoint(t, rsp.Config{Registrars: r.Addrs(), TLS: cfg})
	listener, err := e.Listen(ctx(), "TestPool", rsp.PE{})
	if err != nil {
		t.Fatal(err)
	}
	wantName := func(want string) {
		t.Helper()
		session, err := e.Connect(ctx(), "TestPool")
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		accepted, err := listener.AcceptSocket(ctx())
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		for _, s := range []*rsp.Socket{session, accepted} {
			if got := s.PeerCertificate().Subject.CommonName; got != want {
				t.Errorf("certificate of %q, want %q", got, want)
			}
		}
	}
	wantName("first")
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	a.writeCertificate(dir, "the second")
	next, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		key  []byte
		want string
	}{{secret, "first"}, {nil, "first"}, {next, "the second"}} {
		if err := os.WriteFile(key, step.key, 0o600); err != nil {
			t.Fatal(err)
		}
		wantName(step.want)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	wantName("the second")
}

// Files that cannot be used are an error at once.
func TestTLSFilesErrors(t *testing.T) {
	a := newAuthority(t)
	cert, key, ca := a.writeCertificate(t.TempDir(), "first")
	_, otherKey, _ := a.writeCertificate(t.TempDir(), "other")
	for _, files := range [][3]string{
		{cert + "x", key, ca}, {cert, key + "x", ca}, {cert, key, ca + "x"}, {cert, key, key}, {cert, otherKey, ca}, {ca, key, ca},
	} {
		if _, err := rsp.TLSFiles(files[0], files[1], files[2]); err == nil {
			t.Errorf("%v: no error", files)
		}
	}
}

// The flags make a configuration, whatever their order; one that is forgotten is an error.
func TestTLSFlags(t *testing.T) {
	cert, key, ca := newAuthority(t).writeCertificate(t.TempDir(), "client")
	parse := func(args ...string) (rsp.Config, error) {
		cfg := rsp.Config{Registrars: []string{"127.0.0.1:1"}}
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		cfg.RegisterFlags(fs)
		if err := fs.Parse(args); err != nil {
			return cfg, err
		}
		e, err := rsp.NewEndpoint(&cfg)
		if err == nil {
			e.Abort()
		}
		return cfg, err
	}
	cfg, err := parse("-tlsname=server", "-tlskey="+key, "-tlsca="+ca, "-registrarname=pr", "-tlscert="+cert)
	if err != nil || cfg.TLS.ServerName != "server" || cfg.RegistrarName != "pr" {
		t.Errorf("%+v, %v", cfg, err)
	}
	for _, args := range [][]string{
		{"-tlscert=" + cert}, {"-tlskey=" + key}, {"-tlsca=" + ca}, {"-tlsname=server"}, {"-registrarname=pr"},
		{"-tlscert=" + cert, "-tlskey=" + key}, {"-tlscert=" + cert, "-tlsca=" + ca}, {"-tlsca=" + ca + "x"},
		{"-tlscert=" + ca, "-tlskey=" + key, "-tlsca=" + ca},
	} {
		if _, err := parse(args...); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// A failover goes to no PE that does not prove its address, and its handler knows whose the new one is.
func TestFailoverOverTLS(t *testing.T) {
	a := newAuthority(t)
	r := a.registrar(registrarName, rsp.RegistrarConfig{})
	serve := func(id rsp.PEID, cfg *tls.Config, priority uint32) (*rsp.Endpoint, *rsp.Socket) {
		e := tlsEndpoint(t, rsp.Config{Registrars: r.Addrs(), TLS: cfg})
		listener, err := e.Listen(ctx(), "TestPool", rsp.PE{ID: id, Policy: rsp.Priority(priority)})
		if err != nil {
			t.Fatal(err)
		}
		return e, listener
	}
	first, _ := serve(1, a.config("first"), 3)
	met := make(chan string, 1)
	d := rsp.Dialer{Endpoint: a.endpoint("client", r), OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		met <- f.PeerCertificate().Subject.CommonName
		return nil
	}}
	session, err := d.Connect(ctx(), "TestPool")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	elsewhere, err := a.ca.Issue(testca.Leaf{Name: "elsewhere", Hosts: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	_, unproven := serve(2, &tls.Config{Certificates: []tls.Certificate{elsewhere}, RootCAs: a.ca.Pool()}, 2) // is tried first
	serve(3, a.config("third"), 1)
	first.Abort()
	if _, err := session.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := <-met; got != "third" {
		t.Errorf("the session goes on with %q", got)
	}
	over, cancel := context.WithCancel(ctx())
	cancel()
	if s, err := unproven.AcceptSocket(over); err == nil {
		t.Errorf("%v has a session", s.LocalPE())
	}
}

// An announced registrar that is none is passed over; one that is, is found.
func TestFalseAnnounceOverTLS(t *testing.T) {
	unused, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused.Close()
	group := netip.AddrPortFrom(asapAnnounces.Addr(), netip.MustParseAddrPort(unused.LocalAddr().String()).Port()).String()
	a := newAuthority(t)
	a.registrar("server", rsp.RegistrarConfig{Announce: group, ENRPAnnounce: "off", MentorDiscoveryTimeout: time.Millisecond})
	e := tlsEndpoint(t, rsp.Config{
		Registrars: []string{"127.0.0.1:1"}, Announce: group, TLS: a.config("client"), RegistrarRequestTimeout: 2 * time.Second,
	})
	if _, err := e.Resolve(ctx(), "TestPool", 0); !errors.Is(err, rsp.ErrNoRegistrar) {
		t.Errorf("one that is none: %v", err)
	}
	a.registrar(registrarName, rsp.RegistrarConfig{Announce: group, ENRPAnnounce: "off", MentorDiscoveryTimeout: time.Millisecond})
	for {
		if _, err := e.Resolve(ctx(), "TestPool", 0); errors.Is(err, rsp.ErrUnknownPool) {
			return
		} else if !errors.Is(err, rsp.ErrNoRegistrar) {
			t.Fatal(err)
		}
	}
}
