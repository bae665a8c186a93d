package tcp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

var loopback = protocol.TransportAddr{Protocol: protocol.TCP, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}

func listen(t *testing.T) *listener {
	t.Helper()
	ln, err := Network{}.Listen(t.Context(), loopback, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*listener)
}

func accept(t *testing.T, ln transport.Listener) transport.Assoc {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, err := ln.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Abort() })
	return a
}

// mustDial dials from ln, and checks that it and to have one association then.
func mustDial(t *testing.T, ln, to transport.Listener) (client, server transport.Assoc) {
	t.Helper()
	client, err := ln.Dial(t.Context(), to.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Abort() })
	server = accept(t, to)
	if err := client.Send([]byte("hello"), transport.SendInfo{}); err != nil {
		t.Fatal(err)
	}
	if n, _, err := server.Recv(make([]byte, 10)); n != 5 || err != nil {
		t.Fatalf("Recv: %d, %v", n, err)
	}
	return client, server
}

// A port is one listener's, although it is shared with what that one dials.
func TestListenTwice(t *testing.T) {
	ln, far := listen(t), listen(t)
	mustDial(t, ln, far)
	if second, err := (Network{}).Listen(t.Context(), ln.LocalAddr(), transport.Options{}); err == nil {
		t.Errorf("second listener %v", second.LocalAddr())
	}
}

// The port can be listened at again while associations of the former listener live.
func TestListenAgain(t *testing.T) {
	ln, far := listen(t), listen(t)
	dialed, _ := mustDial(t, ln, far)
	mustDial(t, far, ln)
	ln.Close()
	again, err := Network{}.Listen(t.Context(), ln.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if err := dialed.Send([]byte("still there"), transport.SendInfo{}); err != nil {
		t.Error(err)
	}
}

// "Listener.Dial goes out from an ephemeral port [...] for a remote port to which it is
// taken already", be it that the last association still is in TIME-WAIT.
func TestDialAgain(t *testing.T) {
	if !canSharePort {
		t.Skip("the port cannot be shared on this system")
	}
	ln, far := listen(t), listen(t)
	first, firstServer := mustDial(t, ln, far)
	if port := first.LocalAddr().Port; port != ln.port {
		t.Errorf("dialed from port %d, not %d", port, ln.port)
	}
	second, _ := mustDial(t, ln, far)
	if port := second.LocalAddr().Port; port == ln.port {
		t.Errorf("a second association between the same ports")
	}
	first.Close()
	if _, _, err := firstServer.Recv(nil); err != io.EOF {
		t.Errorf("Recv: %v", err)
	}
	mustDial(t, ln, far)
}

// A listener can reach itself: TCP would connect the port to itself instead.
func TestDialOneself(t *testing.T) {
	ln := listen(t)
	client, server := mustDial(t, ln, ln)
	if client.LocalAddr().Equal(client.RemoteAddr()) || !server.RemoteAddr().Equal(client.LocalAddr()) {
		t.Errorf("client %v -> %v, server %v -> %v", client.LocalAddr(), client.RemoteAddr(), server.LocalAddr(), server.RemoteAddr())
	}
}

// pipeListener accepts the ends of net.Pipe that are put into it.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (l pipeListener) Close() error   { close(l); return nil }
func (l pipeListener) Addr() net.Addr { return nil }

// Connections that never speak keep nobody out: when there are too many, the oldest end,
// and all do after 5 seconds.
func TestSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(pipeListener)
		ln := Network{}.newListener(loopback, transport.Options{})
		ln.listeners = []net.Listener{conns}
		ln.start()
		defer ln.Close()
		connect := func() peer {
			near, far := net.Pipe()
			conns <- near
			return peer{t, far}
		}
		silent := make([]peer, backlog+1)
		for i := range silent {
			silent[i] = connect()
		}
		speaker := connect()
		speaker.send("\x01\x00\x00\x04")
		speaker.want("\x01\x00\x00\x04")
		a, err := ln.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer a.Abort()
		for _, p := range silent[:2] { // backlog+2 have come
			p.wantEnd()
		}
		silent[2].wantSilence(handshakeTime - 1)
		synctest.Wait()
		silent[2].wantEnd()
		silent[backlog].wantEnd()
	})
}

// What waits for Accept when the listener closes ends with it.
func TestListenerCloseEndsWaiting(t *testing.T) {
	ln := listen(t)
	a, err := Network{}.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abort()
	silent, err := net.Dial("tcp", ln.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ln.Close()
	if _, _, err := a.Recv(nil); !errors.Is(err, transport.ErrAborted) {
		t.Errorf("Recv: %v", err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the silent connection lives on")
	}
}

// "Each side sends INIT once and first"; "sends no flag, and aborts when it gets one of
// them"; "A side that has no INIT after 5 seconds aborts."
func TestHandshake(t *testing.T) {
	const init = "\x01\x00\x00\x04"
	for _, c := range []struct {
		name, peer string
		ok         bool
	}{
		{"INIT", init, true},
		{"INIT with a flag that is not assigned", "\x01\x80\x00\x04", true},
		{"INIT without TSN", "\x01\x01\x00\x04", false},
		{"INIT without PPID", "\x01\x04\x00\x04", false},
		{"DATA first", data(0, "x"), false},
		{"other protocol", "HTTP/1.1 400 Bad Request", false},
		{"half an INIT", "\x01\x00", false},
		{"nothing", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, shake := range []func(context.Context, net.Conn) error{dialerHandshake, acceptorHandshake} {
					near, far := net.Pipe()
					go io.Copy(io.Discard, far)
					go io.WriteString(far, c.peer)
					start := time.Now()
					err := shake(t.Context(), near)
					if (err == nil) != c.ok {
						t.Errorf("handshake: %v", err)
					}
					if waited := time.Since(start); waited > 5*time.Second {
						t.Errorf("waited %v", waited)
					}
					near.Close()
					far.Close()
				}
			})
		})
	}
}

// "the side that opened the connection does not wait for the other's, the other may": it
// does here.
func TestHandshakeOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		p := peer{t, far}
		done := make(chan error)
		go func() { done <- acceptorHandshake(t.Context(), near) }()
		p.wantSilence(time.Second)
		p.send("\x01\x00\x00\x04")
		p.want("\x01\x00\x00\x04")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// "When ctx ends before the association is up, the error matches ctx's": here after the
// connection.
func TestDialContextInHandshake(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	remote := transportAddr(silent.Addr())
	if a, err := (Network{}).Dial(ctx, remote, transport.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: %v, %v", a, err)
	}
}

func TestOtherProtocol(t *testing.T) {
	sctp := loopback
	sctp.Protocol, sctp.Port = protocol.SCTP, 1
	if _, err := (Network{}).Dial(t.Context(), sctp, transport.Options{}); !errors.Is(err, transport.ErrUnsupported) {
		t.Errorf("Dial: %v", err)
	}
	if _, err := (Network{}).Listen(t.Context(), sctp, transport.Options{}); !errors.Is(err, transport.ErrUnsupported) {
		t.Errorf("Listen: %v", err)
	}
}
