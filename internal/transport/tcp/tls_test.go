package tcp_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/testca"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/tcp"
	"github.com/rserpool/rsp/internal/transport/transporttest"
)

func newCA(tb testing.TB) *testca.CA {
	tb.Helper()
	ca, err := testca.New()
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// mutual is a configuration as package rsp makes them, with a certificate of ca's.
func mutual(tb testing.TB, ca *testca.CA, leaf testca.Leaf) *tls.Config {
	tb.Helper()
	certificate, err := ca.Issue(leaf)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		RootCAs:      ca.Pool(), ClientCAs: ca.Pool(),
		ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13,
	}
}

func overTLS(tb testing.TB) transporttest.Setup {
	s := loopback()
	n := tcp.Network{TLS: mutual(tb, newCA(tb), testca.Leaf{Name: "host", Hosts: []string{"127.0.0.1"}})}
	s.Client, s.Server = n, n
	return s
}

func TestTransportOverTLS(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Setup { return overTLS(t) })
}

func BenchmarkTransportOverTLS(b *testing.B) {
	transporttest.Bench(b, func(b *testing.B) transporttest.Setup { return overTLS(b) })
}

// listenTLS serves with a certificate of ca's for "server".
func listenTLS(t *testing.T, n tcp.Network) transport.Listener {
	t.Helper()
	ln, err := n.Listen(t.Context(), loopbackAddr(0), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// Who does not belong to us is refused by either end, and told why.
func TestRefusals(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	past := time.Now().Add(-time.Hour)
	hosts := []string{"127.0.0.1"}
	member := mutual(t, ca, testca.Leaf{Name: "member", Hosts: hosts})
	client := func(change func(*tls.Config)) *tls.Config {
		c := member.Clone()
		change(c)
		return c
	}
	for _, c := range []struct {
		name           string
		client, server *tls.Config // nil: not over TLS
		want           string      // "": no refusal
	}{
		{"members", member, member, ""},
		{"no certificate", client(func(c *tls.Config) { c.Certificates = nil }), member, "certificate required"},
		{"certificate of another authority", client(func(c *tls.Config) {
			c.Certificates = mutual(t, other, testca.Leaf{Name: "member", Hosts: hosts}).Certificates
		}), member, "remote error: tls: unknown certificate authority"},
		{"certificate has expired", client(func(c *tls.Config) {
			c.Certificates = mutual(t, ca, testca.Leaf{Name: "old", Hosts: hosts, NotBefore: past.Add(-time.Hour), NotAfter: past}).Certificates
		}), member, "expired"},
		{"TLS 1.2", client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = 0, tls.VersionTLS12 }), member, "protocol version"},
		{"no TLS", nil, member, "peer wants TLS"},
		{"TLS to who has none", member, nil, "handshake failure"},
		{"server of another authority", member, mutual(t, other, testca.Leaf{Name: "member", Hosts: hosts}), "unknown authority"},
		{"server with another address", member, mutual(t, ca, testca.Leaf{Name: "member", Hosts: []string{"192.0.2.1"}}), "127.0.0.1"},
		{"server without a name", client(func(c *tls.Config) { c.ServerName = "registrar" }), member, "registrar"},
		{"server with a name", client(func(c *tls.Config) { c.ServerName = "member" }), member, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ln := listenTLS(t, tcp.Network{TLS: c.server})
			a, err := tcp.Network{TLS: c.client}.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
			if err == nil {
				a.Abort()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Dial: %v, want %q", err, c.want)
			}
			if err == nil {
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if a, err := ln.Accept(ctx); err == nil {
				a.Abort()
				t.Error("who was refused is accepted")
			}
		})
	}
}

// Each end knows the other's certificate.
func TestPeerCertificate(t *testing.T) {
	ca := newCA(t)
	hosts := []string{"127.0.0.1"}
	ln := listenTLS(t, tcp.Network{TLS: mutual(t, ca, testca.Leaf{Name: "server", Hosts: hosts})})
	client, err := tcp.Network{TLS: mutual(t, ca, testca.Leaf{Name: "client", Hosts: hosts})}.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Abort()
	server, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Abort()
	for end, want := range map[transport.Assoc]string{client: "server", server: "client"} {
		if c := transport.PeerCertificate(end); c == nil || c.Subject.CommonName != want {
			t.Errorf("certificate of the %s: %v", want, c)
		}
	}
	plainClient, _ := connect(t)
	if c := transport.PeerCertificate(plainClient); c != nil {
		t.Errorf("certificate without TLS: %v", c)
	}
}

// A client that is refused gets the reason although it has sent more than it was asked for, and one that
// does not go then is left alone.
func TestRefusalIsRead(t *testing.T) {
	ln := listenTLS(t, tcp.Network{TLS: mutual(t, newCA(t), testca.Leaf{Name: "server"})})
	addr := netip.AddrPortFrom(ln.LocalAddr().Addrs[0], ln.LocalAddr().Port)
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, 32<<10)); err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	got := make([]byte, 100)
	if n, err := conn.Read(got); err != nil || string(got[:n]) != "\x15\x03\x03\x00\x02\x02\x0a" {
		t.Fatalf("%x, %v; want an alert", got[:n], err)
	}
	if n, err := conn.Read(got); err == nil {
		t.Errorf("after the alert: %x", got[:n])
	}
}
