//go:build !386

package sctp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// What kernel SCTP does beyond the contract of all transports.
func TestKernel(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		t.Run("PortTaken", testPortTaken)
		t.Run("IPv6", testIPv6)
		t.Run("DialFromEverywhere", testDialFromEverywhere)
		t.Run("Options", testOptions)
		t.Run("EndedWhileDialed", testEndedWhileDialed)
		t.Run("EndOfRecord", testEndOfRecord)
		t.Run("RTT", testRTT)
		t.Run("PathFailure", testPathFailure)
		t.Run("DeadPeer", testDeadPeer)
		t.Run("Suspicion", testSuspicion)
		t.Run("SuspicionOfPaths", testSuspicionOfPaths)
		t.Run("LateReader", testLateReader)
		t.Run("Refused", testRefused)
		t.Run("BlackHole", testBlackHole)
		t.Run("Restart", testRestart)
		t.Run("KilledPeer", testKilledPeer)
	})
}

// quick finds a dead peer within a second.
var quick = transport.Options{
	RTOInitial: 100 * time.Millisecond, RTOMin: 50 * time.Millisecond, RTOMax: 100 * time.Millisecond,
	HeartbeatInterval: 100 * time.Millisecond, PathMaxRetrans: 2, AssocMaxRetrans: 4,
}

func listenAt(t testing.TB, h *lab.Host, port uint16, opts transport.Options) transport.Listener {
	t.Helper()
	n := newTestNetwork(t)
	var ln transport.Listener
	var err error
	h.Do(t, func() { ln, err = n.Listen(t.Context(), at(port, h.Addrs...), opts) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// pair is an association from the host client to the host server.
func pair(t testing.TB, client, server *lab.Host, opts transport.Options) (dialed, accepted transport.Assoc) {
	t.Helper()
	ln := listenAt(t, server, 0, opts)
	n := newTestNetwork(t)
	var err error
	client.Do(t, func() { dialed, err = n.Dial(t.Context(), ln.LocalAddr(), opts) })
	if err != nil {
		t.Fatal(err)
	}
	return owned(t, dialed), acceptFrom(t, ln)
}

// dialFrom dials from the port of ln, which is on the host h.
func dialFrom(ctx context.Context, t *testing.T, h *lab.Host, ln transport.Listener, remote protocol.TransportAddr) (a transport.Assoc, err error) {
	t.Helper()
	h.Do(t, func() { a, err = ln.Dial(ctx, remote) })
	return a, err
}

func acceptFrom(t testing.TB, ln transport.Listener) transport.Assoc {
	t.Helper()
	a, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return owned(t, a)
}

// owned ends a with the test; calls that wait for more than 20 s fail.
func owned(t testing.TB, a transport.Assoc) transport.Assoc {
	a.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { a.Abort() })
	return a
}

func send(t *testing.T, a transport.Assoc, text string) {
	t.Helper()
	if err := a.Send([]byte(text), transport.SendInfo{PPID: 11}); err != nil {
		t.Fatalf("Send %q: %v", text, err)
	}
}

// next is the next message or notice, as text, or the error.
func next(a transport.Assoc) (string, error) {
	b := make([]byte, 100)
	n, info, err := a.Recv(b)
	if info.Notice != transport.NoticeNone {
		return info.Notice.String(), err
	}
	return string(b[:n]), err
}

func wantNext(t *testing.T, a transport.Assoc, want string) {
	t.Helper()
	if got, err := next(a); got != want || err != nil {
		t.Fatalf("Recv: %q, %v, want %q", got, err, want)
	}
}

// until skips messages and notices up to the one called want.
func until(t *testing.T, a transport.Assoc, want string) {
	t.Helper()
	for {
		got, err := next(a)
		if err != nil {
			t.Fatalf("Recv instead of %q: %v", want, err)
		}
		if got == want {
			return
		}
	}
}

// wantEnd skips messages and notices up to the error, which must stay, and gives the
// notices.
func wantEnd(t *testing.T, a transport.Assoc, want error) (notices []string) {
	t.Helper()
	for {
		got, err := next(a)
		if err == nil {
			notices = append(notices, got)
			continue
		}
		if _, again := next(a); !errors.Is(err, want) || again != err {
			t.Errorf("Recv: %v, then %v, want %v", err, again, want)
		}
		return notices
	}
}

// One listener has a port for itself, but not the associations that one before
// has left there.
func testPortTaken(t *testing.T) {
	n := newTestNetwork(t)
	ln, err := n.Listen(t.Context(), at(3863, guestAddr), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, addrs := range [][]netip.Addr{{guestAddr}, nil} {
		if _, err := n.Listen(t.Context(), at(3863, addrs...), transport.Options{}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second listener on %v: %v", addrs, err)
		}
	}
	peer, err := n.Listen(t.Context(), at(0, guestAddr), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	dialed, err := ln.Dial(t.Context(), peer.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	owned(t, dialed)
	far := acceptFrom(t, peer)
	ln.Close()
	again, err := n.Listen(t.Context(), at(3863, guestAddr), transport.Options{})
	if err != nil {
		t.Fatalf("with an association on the port: %v", err)
	}
	defer again.Close()
	send(t, far, "to the old one")
	wantNext(t, dialed, "to the old one")
	other, err := n.Dial(t.Context(), again.LocalAddr(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	send(t, owned(t, other), "to the new one")
	wantNext(t, acceptFrom(t, again), "to the new one")
}

func testIPv6(t *testing.T) {
	n := newTestNetwork(t)
	loopback4, loopback6 := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	for _, addrs := range [][]netip.Addr{{loopback6}, {loopback4, loopback6}, {loopback6, loopback4}, nil} {
		t.Run(fmt.Sprint(addrs), func(t *testing.T) {
			ln, err := n.Listen(t.Context(), at(0, addrs...), transport.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			if got := ln.LocalAddr().Addrs; len(addrs) > 0 && !slices.Equal(got, addrs) {
				t.Errorf("LocalAddr %v, want %v", got, addrs)
			}
			a, err := n.Dial(t.Context(), at(ln.LocalAddr().Port, loopback6), transport.Options{})
			if err != nil {
				t.Fatal(err)
			}
			send(t, owned(t, a), "hello")
			b := acceptFrom(t, ln)
			wantNext(t, b, "hello")
			if !slices.Contains(b.LocalAddr().Addrs, loopback6) || !slices.Contains(b.RemoteAddr().Addrs, loopback6) {
				t.Errorf("from %v to %v, without %v", b.RemoteAddr(), b.LocalAddr(), loopback6)
			}
		})
	}
}

// A listener on all addresses dials peers of both families from its port.
func testDialFromEverywhere(t *testing.T) {
	n := newTestNetwork(t)
	ln, err := n.Listen(t.Context(), at(0), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, addr := range []netip.Addr{guestAddr, netip.IPv6Loopback()} {
		peer, err := n.Listen(t.Context(), at(0, addr), transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		a, err := ln.Dial(t.Context(), peer.LocalAddr())
		if err != nil {
			t.Fatal(err)
		}
		send(t, owned(t, a), "hello")
		b := acceptFrom(t, peer)
		wantNext(t, b, "hello")
		if got := b.RemoteAddr(); got.Port != ln.LocalAddr().Port || !slices.Contains(got.Addrs, addr) {
			t.Errorf("%v sees %v, want %v with port %d", addr, got, addr, ln.LocalAddr().Port)
		}
	}
}

// A message longer than what the kernel delivers at once comes in parts, each with
// what goes with the message, and only the last is its end.
func testEndOfRecord(t *testing.T) {
	hosts := lab.Hosts(t, 2, 1)
	a, b := pair(t, hosts[0], hosts[1], transport.Options{})
	message := bytes.Repeat([]byte("0123456789abcdef"), a.MaxMessage()/16)
	sent := make(chan error, 1)
	go func() { sent <- a.Send(message, transport.SendInfo{PPID: 12, Stream: 3}) }()
	got, parts, buf := []byte(nil), 0, make([]byte, 64<<10)
	for {
		n, info, err := b.Recv(buf)
		if err != nil {
			t.Fatal(err)
		}
		got, parts = append(got, buf[:n]...), parts+1
		if want := (transport.RecvInfo{PPID: 12, Stream: 3, EOR: len(got) == len(message)}); info != want {
			t.Fatalf("after %d bytes: %+v, want %+v", len(got), info, want)
		}
		if info.EOR {
			break
		}
	}
	if err := <-sent; err != nil || !bytes.Equal(got, message) || parts < 2 {
		t.Errorf("%d of %d bytes in %d parts, %v", len(got), len(message), parts, err)
	}
}

// RFC 4960 section 6.4: "An SCTP endpoint is considered multi-homed if there are more than one
// transport address that can be used as a destination address".
func testPathFailure(t *testing.T) {
	hosts := lab.Hosts(t, 2, 2)
	a, b := pair(t, hosts[0], hosts[1], quick)
	if got := a.RemoteAddr().Addrs; !slices.Equal(got, hosts[1].Addrs) {
		t.Errorf("dialed %v, want %v", got, hosts[1].Addrs)
	}
	if got := b.RemoteAddr().Addrs; len(got) != 2 || b.RemoteAddr().Port != a.LocalAddr().Port {
		t.Errorf("accepted from %v, dialed from %v", b.RemoteAddr(), a.LocalAddr())
	}
	hosts[1].Cut(t, 0)
	send(t, a, "over the other path")
	until(t, b, "over the other path")
	until(t, a, "path down")
	hosts[1].Heal(t, 0)
	until(t, a, "path up")
	send(t, b, "both again")
	until(t, a, "both again")
}

// A peer that is cut off is lost, with what was sent to it. A buffer of one byte takes
// notices, too.
func testDeadPeer(t *testing.T) {
	hosts := lab.Hosts(t, 2, 1)
	a, b := pair(t, hosts[0], hosts[1], quick)
	hosts[1].Cut(t, 0)
	send(t, a, "in vain")
	if notices := wantEnd(t, a, transport.ErrLost); !slices.Contains(notices, "send failed") {
		t.Errorf("notices %q, want one of the message that failed", notices)
	}
	if err := a.Send([]byte("x"), transport.SendInfo{}); !errors.Is(err, transport.ErrLost) {
		t.Errorf("Send: %v", err)
	}
	for {
		n, info, err := b.Recv(make([]byte, 1))
		if err == nil && n == 0 && info.Notice != transport.NoticeNone {
			continue
		}
		if !errors.Is(err, transport.ErrLost) || !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("the other end, which has nothing to send: %d bytes, %+v, %v", n, info, err)
		}
		break
	}
}

// The kernel tells the cause to the first call only: here to Send.
func testLateReader(t *testing.T) {
	hosts := lab.Hosts(t, 2, 1)
	a, _ := pair(t, hosts[0], hosts[1], quick)
	hosts[1].Cut(t, 0)
	var err error
	for err == nil { // until the buffer is full, and then until the loss
		err = a.Send(make([]byte, 60_000), transport.SendInfo{})
	}
	if !errors.Is(err, transport.ErrLost) {
		t.Errorf("Send: %v", err)
	}
	wantEnd(t, a, transport.ErrLost)
}

// Of two addresses the first is a machine where nobody listens.
func testRefused(t *testing.T) {
	hosts := lab.Hosts(t, 3, 1)
	ln := listenAt(t, hosts[0], 0, quick)
	n := newTestNetwork(t)
	remote := at(ln.LocalAddr().Port, hosts[1].Addrs[0])
	hosts[2].Do(t, func() {
		if _, err := n.Dial(t.Context(), remote, quick); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial %v: %v", remote, err)
		}
		remote.Addrs = append(remote.Addrs, hosts[0].Addrs[0])
		a, err := n.Dial(t.Context(), remote, quick)
		if err != nil {
			t.Fatal(err)
		}
		send(t, owned(t, a), "hello")
	})
	wantNext(t, acceptFrom(t, ln), "hello")
}

// Nobody answers: the context ends Dial, or else the kernel in the end.
func testBlackHole(t *testing.T) {
	hosts := lab.Hosts(t, 1, 1)
	nobody := at(3863, netip.MustParseAddr("10.50.0.77"))
	ln := listenAt(t, hosts[0], 0, quick)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := dialFrom(ctx, t, hosts[0], ln, nobody); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
	if _, err := dialFrom(t.Context(), t, hosts[0], ln, nobody); !errors.Is(err, transport.ErrLost) {
		t.Errorf("without: %v", err)
	}
}

// RFC 4960 section 5.2: a peer that lost all state begins anew from the same port. For
// who has the old association, that one is gone.
func testRestart(t *testing.T) {
	hosts := lab.Hosts(t, 2, 1)
	slow := transport.Options{RTOMin: 5 * time.Second, HeartbeatInterval: -1} // the cut goes unnoticed
	ln := listenAt(t, hosts[0], 3863, slow)
	peer := listenAt(t, hosts[1], 3863, slow)
	first, err := dialFrom(t.Context(), t, hosts[1], peer, ln.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	old := acceptFrom(t, ln)
	send(t, first, "first")
	wantNext(t, old, "first")
	hosts[1].Cut(t, 0)
	first.Abort()
	hosts[1].Heal(t, 0)
	second, err := dialFrom(t.Context(), t, hosts[1], peer, ln.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	send(t, owned(t, second), "second")
	if got, err := next(old); !errors.Is(err, transport.ErrAborted) {
		t.Errorf("Recv: %q, %v", got, err)
	}
	if err := old.Send([]byte("x"), transport.SendInfo{}); !errors.Is(err, transport.ErrAborted) {
		t.Errorf("Send: %v", err)
	}
	// The peer learns it, and can dial once more.
	old.Close()
	wantEnd(t, second, io.EOF)
}

const peerVar = "RSP_TEST_SCTP_PEER"

// The kernel of a process that is killed closes its sockets: an end in order, as
// far as the peer can see.
func testKilledPeer(t *testing.T) {
	hosts := lab.Hosts(t, 2, 1)
	ln := listenAt(t, hosts[0], 3863, transport.Options{})
	cmd := hosts[1].Command(os.Args[0], "-test.run=^TestPeer$")
	cmd.Env = append(os.Environ(), peerVar+"="+hosts[0].Addrs[0].String())
	peer := lab.Start(t, cmd)
	a := acceptFrom(t, ln)
	wantNext(t, a, "hello")
	peer.Kill()
	wantEnd(t, a, io.EOF)
}

// TestPeer is the process that testKilledPeer kills.
func TestPeer(t *testing.T) {
	addr := os.Getenv(peerVar)
	if addr == "" {
		t.Skip("is a part of TestKernel")
	}
	a, err := newTestNetwork(t).Dial(t.Context(), at(3863, netip.MustParseAddr(addr)), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	send(t, a, "hello")
	next(a)
}
