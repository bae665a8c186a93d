package transporttest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// echo sends a message there and back.
func echo(t *testing.T, a, b transport.Assoc) {
	t.Helper()
	send(t, a, []byte("there"))
	want(t, b, []byte("there"))
	send(t, b, []byte("back"))
	want(t, a, []byte("back"))
}

// within checks that sub is an address of p with the port of all and with some of its
// addresses.
func within(t *testing.T, what string, p protocol.TransportProtocol, sub, all protocol.TransportAddr) {
	t.Helper()
	foreign := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() || !slices.Contains(all.Addrs, a) }
	if sub.Protocol != p || sub.Port == 0 || sub.Port != all.Port ||
		len(sub.Addrs) == 0 || slices.ContainsFunc(sub.Addrs, foreign) {
		t.Errorf("%s: %v is not part of %v", what, sub, all)
	}
}

// "LocalAddr and RemoteAddr list the addresses that the association uses":
// what one end calls local, the other calls remote.
func testAddresses(t *testing.T, s Setup) {
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	client, err := s.Client.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guard(t, client)
	server := accept(t, ln)
	echo(t, client, server)
	within(t, "client as server sees it", s.Client.Protocol(), server.RemoteAddr(), client.LocalAddr())
	within(t, "server as client sees it", s.Server.Protocol(), client.RemoteAddr(), server.LocalAddr())
	within(t, "server's end", s.Server.Protocol(), server.LocalAddr(), ln.LocalAddr())
	within(t, "listener", s.Server.Protocol(), ln.LocalAddr(), ln.LocalAddr())
}

// "addresses (none: all of the machine)".
func testListenEverywhere(t *testing.T, s Setup) {
	ln := listen(t, s.Server, protocol.TransportAddr{Protocol: s.Server.Protocol()}, transport.Options{})
	local := ln.LocalAddr()
	within(t, "listener", s.Server.Protocol(), local, local)
	for _, addr := range s.ServerAddr.Addrs {
		if !slices.Contains(local.Addrs, addr) {
			t.Errorf("%v does not list %v", local, addr)
		}
	}
	remote := s.ServerAddr.Clone()
	remote.Port = local.Port
	client, err := s.Client.Dial(t.Context(), remote, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guard(t, client)
	echo(t, client, accept(t, ln))
}

// "Its methods may be called by several goroutines at once": a burst of dials
// finds room.
func testManyDials(t *testing.T, s Setup) {
	const dials = 40
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	var wg sync.WaitGroup
	for i := range dials {
		wg.Go(func() {
			a, err := s.Client.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
			if err != nil {
				t.Errorf("Dial %d: %v", i, err)
				return
			}
			guard(t, a)
			if err := a.Send([]byte{byte(i)}, transport.SendInfo{}); err != nil {
				t.Errorf("Send %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var seen [dials]bool
	for range dials {
		m, _, err := recvFull(accept(t, ln), make([]byte, 2))
		if err != nil || len(m) != 1 || seen[m[0]] {
			t.Fatalf("first message of an association: %x, %v", m, err)
		}
		seen[m[0]] = true
	}
}

// "when ctx ends first, ctx's error".
func testAcceptContext(t *testing.T, s Setup) {
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ln.Accept(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept, cancelled before: %v", err)
	}
	expiring, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	if _, err := ln.Accept(expiring); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Accept, expiring: %v", err)
	}
	waiting, cancel := context.WithCancel(t.Context())
	accepted := make(chan error, 1)
	go func() {
		_, err := ln.Accept(waiting)
		accepted <- err
	}()
	wantWaiting(t, "Accept", accepted)
	cancel()
	if err := <-accepted; !errors.Is(err, context.Canceled) {
		t.Errorf("Accept, cancelled while it waits: %v", err)
	}
	// None of this has cost an association or the listener.
	client, err := s.Client.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guard(t, client)
	echo(t, client, accept(t, ln))
}

// "When ctx ends before the association is up, the error matches ctx's."
func testDialContext(t *testing.T, s Setup) {
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	from := listen(t, s.Client, s.ClientAddr, transport.Options{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Client.Dial(cancelled, ln.LocalAddr(), transport.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Network.Dial, cancelled before: %v", err)
	}
	if _, err := from.Dial(cancelled, ln.LocalAddr()); !errors.Is(err, context.Canceled) {
		t.Errorf("Listener.Dial, cancelled before: %v", err)
	}
	// A context that ends when the association is up does not end the association.
	ctx, cancel := context.WithCancel(t.Context())
	client, err := s.Client.Dial(ctx, ln.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guard(t, client)
	cancel()
	echo(t, client, accept(t, ln))
}

// Nobody listens: an error that is not the context's, long before its end.
func testDialNobody(t *testing.T, s Setup) {
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	from := listen(t, s.Client, s.ClientAddr, transport.Options{})
	nobody := ln.LocalAddr()
	ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := s.Client.Dial(ctx, nobody, transport.Options{})
	if err == nil || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Network.Dial to nobody: %v", err)
	}
	_, err = from.Dial(ctx, nobody)
	if err == nil || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Listener.Dial to nobody: %v", err)
	}
}

// No answer at all: the context ends the wait.
func testDialSilent(t *testing.T, s Setup) {
	if s.Silent.IsZero() {
		t.Skip("this setup has no address that stays silent")
	}
	expiring, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	if _, err := s.Client.Dial(expiring, s.Silent, transport.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial, expiring: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(moment, cancel)
	if _, err := s.Client.Dial(ctx, s.Silent, transport.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial, cancelled while it waits: %v", err)
	}
}

// Dial opens an association "to any of remote's addresses".
func testDialSecondAddress(t *testing.T, s Setup) {
	if !s.Dead.IsValid() {
		t.Skip("this setup has no dead address")
	}
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	remote := ln.LocalAddr().Clone()
	remote.Addrs = slices.Insert(remote.Addrs, 0, s.Dead)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := s.Client.Dial(ctx, remote, transport.Options{})
	if err != nil {
		t.Fatalf("Dial %v: %v", remote, err)
	}
	guard(t, client)
	echo(t, client, accept(t, ln))
}

// "After Close the error matches net.ErrClosed"; "Close stops listening and
// unblocks Accept."
func testListenerClose(t *testing.T, s Setup) {
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	accepted := make(chan error, 2)
	for range cap(accepted) {
		go func() {
			_, err := ln.Accept(t.Context())
			accepted <- err
		}()
	}
	wantWaiting(t, "Accept", accepted)
	if err := ln.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for range cap(accepted) {
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept under way: %v", err)
		}
	}
	for range 2 {
		if _, err := ln.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
	}
	if _, err := ln.Dial(t.Context(), ln.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Dial after Close: %v", err)
	}
}

// "associations come in to its port, and go out from that same port", both at
// once.
func testListenerDial(t *testing.T, s Setup) {
	element := listen(t, s.Server, s.ServerAddr, transport.Options{})
	registrars := []transport.Listener{
		listen(t, s.Client, s.ClientAddr, transport.Options{}),
		listen(t, s.Client, s.ClientAddr, transport.Options{}),
	}
	var wg sync.WaitGroup
	for range 5 { // pool users
		wg.Go(func() {
			a, err := s.Client.Dial(t.Context(), element.LocalAddr(), transport.Options{})
			if err != nil {
				t.Errorf("Dial of the listener that dials: %v", err)
				return
			}
			guard(t, a)
			if err := a.Send([]byte("user"), transport.SendInfo{}); err != nil {
				t.Errorf("Send: %v", err)
			}
		})
	}
	for _, registrar := range registrars {
		client := dial(t, element, registrar.LocalAddr())
		server := accept(t, registrar)
		echo(t, client, server)
		within(t, "element as registrar sees it", s.Server.Protocol(), server.RemoteAddr(), element.LocalAddr())
	}
	wg.Wait()
	for range 5 {
		want(t, accept(t, element), []byte("user"))
	}
}

// "Associations live on."
func testAssocOutlivesListener(t *testing.T, s Setup) {
	ln := listen(t, s.Server, s.ServerAddr, transport.Options{})
	peer := listen(t, s.Client, s.ClientAddr, transport.Options{})
	client, err := s.Client.Dial(t.Context(), ln.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guard(t, client)
	server := accept(t, ln)
	dialed := dial(t, ln, peer.LocalAddr())
	far := accept(t, peer)
	if err := ln.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	peer.Close()
	echo(t, client, server)
	echo(t, dialed, far)
}
