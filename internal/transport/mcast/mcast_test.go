package mcast_test

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/transport/mcast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback is the name of the loopback interface.
func loopback(t testing.TB) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 && ifi.Flags&net.FlagUp != 0 {
			return ifi.Name
		}
	}
	t.Skip("no loopback interface is up")
	return ""
}

// freePort is a UDP port that nobody uses.
func freePort(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func join(t testing.TB, cfg mcast.Config) *mcast.Group {
	t.Helper()
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	g, err := mcast.Join(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func send(t testing.TB, g *mcast.Group, text string) {
	t.Helper()
	if err := g.Send([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// wantRecv wants text as the next datagram, and returns where it came from.
func wantRecv(t testing.TB, g *mcast.Group, text string) netip.AddrPort {
	t.Helper()
	giveUp := time.AfterFunc(10*time.Second, func() { g.Close() })
	defer giveUp.Stop()
	b := make([]byte, 100)
	n, from, err := g.Recv(b)
	if err != nil || string(b[:n]) != text {
		t.Fatalf("received %q, %v; want %q", b[:n], err, text)
	}
	return from
}

func group(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}

// Programs of one machine share a group, and what one of them sends comes to all, from
// the port that it announces.
func TestOneMachine(t *testing.T) {
	for _, test := range []struct {
		name       string
		interfaces []string
	}{
		{"loopback", []string{loopback(t)}},
		{"default interfaces", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			port, source := freePort(t), freePort(t)
			cfg := mcast.Config{Group: group("239.0.0.50", port), Interfaces: test.interfaces, SourcePort: source}
			sender := join(t, cfg)
			cfg.SourcePort = 0
			others := []*mcast.Group{join(t, cfg), join(t, cfg)}
			send(t, sender, "one")
			for _, g := range append(others, sender) {
				from := wantRecv(t, g, "one")
				if from.Port() != source {
					t.Errorf("came from %v, want port %d", from, source)
				}
				if _, err := net.ResolveUDPAddr("udp4", from.String()); err != nil || !isLocal(t, from.Addr()) {
					t.Errorf("came from %v, which is no address of this machine", from)
				}
				if test.interfaces != nil && !from.Addr().IsLoopback() {
					t.Errorf("came from %v by the loopback interface", from)
				}
			}
		})
	}
}

func isLocal(t testing.TB, a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, local := range addrs {
		if strings.HasPrefix(local.String(), a.String()+"/") {
			return true
		}
	}
	return false
}

// The port that is announced may be the group's own, as with RSPLIB's default of 3863.
func TestSourceIsGroupsPort(t *testing.T) {
	port := freePort(t)
	cfg := mcast.Config{Group: group("239.0.0.50", port), Interfaces: []string{loopback(t)}, SourcePort: port}
	one, two := join(t, cfg), join(t, cfg)
	send(t, one, "from one")
	for _, g := range []*mcast.Group{one, two} {
		if from := wantRecv(t, g, "from one"); from.Port() != port {
			t.Errorf("came from %v", from)
		}
	}
	send(t, two, "from two")
	wantRecv(t, one, "from two")
	wantRecv(t, two, "from two")
}

// A socket at a group's port hears every group that the machine has joined, unless it looks at
// the destination.
func TestOtherGroupIsNotHeard(t *testing.T) {
	port := freePort(t)
	cfg := mcast.Config{Group: group("239.0.0.50", port), Interfaces: []string{loopback(t)}}
	ours := join(t, cfg)
	cfg.Group = group("239.0.0.99", port)
	other := join(t, cfg)
	unicast, err := net.Dial("udp4", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer unicast.Close()
	if _, err := unicast.Write([]byte("not by multicast")); err != nil {
		t.Fatal(err)
	}
	send(t, other, "for others")
	wantRecv(t, other, "for others")
	send(t, ours, "for us")
	wantRecv(t, ours, "for us")
}

// "SourceAddrs are the addresses from which datagrams may be sent; interfaces that have none of them
// send nothing."
func TestSourceAddrs(t *testing.T) {
	loopback(t)
	port := freePort(t)
	cfg := mcast.Config{Group: group("239.0.0.50", port), SourceAddrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	g := join(t, cfg)
	send(t, g, "from loopback")
	if from := wantRecv(t, g, "from loopback"); !from.Addr().IsLoopback() {
		t.Errorf("came from %v", from)
	}
	cfg.SourceAddrs = []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}
	send(t, join(t, cfg), "from a socket of both versions")
	wantRecv(t, g, "from a socket of both versions")
	cfg.SourceAddrs = []netip.Addr{netip.MustParseAddr("203.0.113.77")}
	if err := join(t, cfg).Send([]byte("from nowhere")); err == nil || !strings.Contains(err.Error(), "no interface") {
		t.Errorf("without an interface: %v", err)
	}
}

// "Close leaves the group and unblocks Recv."
func TestClose(t *testing.T) {
	g := join(t, mcast.Config{Group: group("239.0.0.50", freePort(t)), Interfaces: []string{loopback(t)}})
	send(t, g, "one")
	wantRecv(t, g, "one")
	received := make(chan error)
	go func() {
		_, _, err := g.Recv(make([]byte, 100))
		received <- err
	}()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := <-received; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Recv gives %v", err)
	}
	if err := g.Send([]byte("too late")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send gives %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error("closing it again:", err)
	}
}

func TestJoinNoGroup(t *testing.T) {
	for _, at := range []netip.AddrPort{{}, group("10.0.0.1", 3863), group("::1", 3863), group("239.0.0.50", 0)} {
		if g, err := mcast.Join(mcast.Config{Group: at, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("joined %v", at)
			g.Close()
		}
	}
}

func TestJoinPortNotShared(t *testing.T) {
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := group("239.0.0.50", c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	if g, err := mcast.Join(mcast.Config{Group: at, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("has a port that another program does not share")
		g.Close()
	}
}

// IPv6 multicast does not work on a loopback interface, but on any other one.
func TestIPv6(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ip(t, "addr add fd00:77::1/64 dev dummy0 nodad")
		for _, addr := range []string{"ff02::50", "ff05::133"} {
			port, source := freePort(t), freePort(t)
			cfg := mcast.Config{Group: group(addr, port), SourcePort: source}
			one, two := join(t, cfg), join(t, cfg)
			send(t, one, addr)
			wantRecv(t, one, addr)
			if from := wantRecv(t, two, addr); from != netip.AddrPortFrom(netip.MustParseAddr("fd00:77::1"), source) {
				t.Errorf("came from %v", from)
			}
		}
	})
}

// "Interfaces that cannot, or that are not there yet, are tried again every few seconds while
// Recv waits."
func TestInterfaceThatComesLater(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		g := join(t, mcast.Config{Group: group("239.0.0.50", 3863), Interfaces: []string{"dummy7"}})
		if err := g.Send([]byte("too early")); err == nil {
			t.Fatal("sends by an interface that is not there")
		}
		for range 2 { // it comes, goes and comes again
			ip(t, "link add dummy7 type dummy")
			ip(t, "addr add 192.168.70.1/24 dev dummy7")
			ip(t, "link set dummy7 up multicast on")
			stop := make(chan bool)
			done := make(chan bool)
			go func() {
				defer close(done)
				for {
					g.Send([]byte("here")) // fails until it is up
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
					}
				}
			}()
			if from := wantRecv(t, g, "here"); from.Addr() != netip.MustParseAddr("192.168.70.1") {
				t.Errorf("came from %v", from)
			}
			close(stop)
			<-done
			ip(t, "link delete dummy7")
		}
	})
}

func ip(t testing.TB, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}
