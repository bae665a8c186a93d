package tcp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/testca"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/tcp"
)

// middle is between a client and a server: it sees all bytes, and may change those for the server.
type middle struct {
	net.Listener
	server string
	change atomic.Pointer[func([]byte) []byte]
	wg     sync.WaitGroup

	mu                 sync.Mutex
	toServer, toClient bytes.Buffer
}

func newMiddle(t *testing.T, server netip.AddrPort) *middle {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &middle{Listener: ln, server: server.String()}
	t.Cleanup(func() { ln.Close(); m.wg.Wait() })
	m.wg.Go(m.relay)
	return m
}

// relay serves one client.
func (m *middle) relay() {
	near, err := m.Accept()
	if err != nil {
		return
	}
	defer near.Close()
	far, err := net.Dial("tcp", m.server)
	if err != nil {
		return
	}
	defer far.Close()
	m.wg.Go(func() { m.copy(far, near, &m.toServer, true) })
	m.copy(near, far, &m.toClient, false)
}

func (m *middle) copy(to, from net.Conn, seen *bytes.Buffer, forServer bool) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		b := buf[:n]
		m.mu.Lock()
		seen.Write(b)
		m.mu.Unlock()
		if change := m.change.Load(); forServer && change != nil {
			b = (*change)(b)
		}
		if _, err := to.Write(b); err != nil {
			return
		}
	}
}

// bytes is what has gone either way.
func (m *middle) bytes() (toServer, toClient []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.toServer.Bytes()), bytes.Clone(m.toClient.Bytes())
}

// connectThrough gives two ends of an association through a middle, without heartbeats; tls false: in clear.
func connectThrough(t *testing.T, tls bool) (*middle, transport.Listener, transport.Assoc, transport.Assoc) {
	t.Helper()
	var n tcp.Network
	if tls {
		n.TLS = mutual(t, newCA(t), testca.Leaf{Name: "host", Hosts: []string{"127.0.0.1"}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	opts := transport.Options{HeartbeatInterval: -1}
	ln, err := n.Listen(ctx, loopbackAddr(0), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	m := newMiddle(t, netip.AddrPortFrom(ln.LocalAddr().Addrs[0], ln.LocalAddr().Port))
	client, err := n.Dial(ctx, loopbackAddr(m.Addr().(*net.TCPAddr).AddrPort().Port()), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Abort() })
	server, err := ln.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Abort() })
	return m, ln, client, server
}

const secret = "the secret message"

// exchange sends a message each way.
func exchange(t *testing.T, a, b transport.Assoc) {
	t.Helper()
	buf := make([]byte, 100)
	for _, ends := range [][2]transport.Assoc{{a, b}, {b, a}} {
		if err := ends[0].Send([]byte(secret), transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
			t.Fatal(err)
		}
		if n, _, err := ends[1].Recv(buf); err != nil || string(buf[:n]) != secret {
			t.Fatalf("received %q, %v", buf[:n], err)
		}
	}
}

// RFC 5355 section 2.11: nobody between sees what is sent. Without TLS he does, so that the test can see it.
func TestNothingInClear(t *testing.T) {
	for _, tls := range []bool{false, true} {
		m, _, client, server := connectThrough(t, tls)
		exchange(t, client, server)
		toServer, toClient := m.bytes()
		for _, seen := range [][]byte{toServer, toClient} {
			if strings.Contains(string(seen), secret) == tls {
				t.Errorf("TLS %v: %q", tls, seen)
			}
		}
	}
}

// RFC 5355 section 2.10: what is changed on the way, or comes twice (section 2.8), is not delivered, and
// ends the association.
func TestTampered(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"changed": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"twice":   func(b []byte) []byte { return append(bytes.Clone(b), b...) },
	} {
		m, _, client, server := connectThrough(t, true)
		exchange(t, client, server)
		m.change.Store(&change)
		if err := client.Send([]byte(secret), transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		delivered := 0
		for {
			_, _, err := server.Recv(make([]byte, 100))
			if errors.Is(err, transport.ErrAborted) {
				break
			}
			if delivered++; err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if most := map[string]int{"changed": 0, "twice": 1}[name]; delivered > most {
			t.Errorf("%s: delivered %d times", name, delivered)
		}
	}
}

// RFC 5355 section 2.8: a whole conversation that was recorded is worth nothing.
func TestReplay(t *testing.T) {
	m, ln, client, server := connectThrough(t, true)
	exchange(t, client, server)
	recorded, _ := m.bytes()
	conn, err := net.Dial("tcp", m.server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(recorded); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the server keeps it: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := ln.Accept(ctx); err == nil {
		a.Abort()
		t.Error("an association comes of it")
	}
}
