package tcp_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/tcp"
	"github.com/rserpool/rsp/internal/transport/transporttest"
)

// victimPort makes the test binary the victim of TestKilledPeer.
const victimPort = "TCP_TEST_VICTIM_PORT"

func TestMain(m *testing.M) {
	if port := os.Getenv(victimPort); port != "" {
		victim(port)
	}
	goleak.VerifyTestMain(m)
}

func loopbackAddr(port uint16) protocol.TransportAddr {
	return protocol.TransportAddr{Protocol: protocol.TCP, Port: port, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
}

func loopback() transporttest.Setup {
	return transporttest.Setup{
		Client: tcp.Network{}, Server: tcp.Network{},
		ClientAddr: loopbackAddr(0), ServerAddr: loopbackAddr(0),
		Dead: netip.MustParseAddr("127.0.0.2"),
	}
}

func TestTransport(t *testing.T) {
	transporttest.Run(t, func(*testing.T) transporttest.Setup { return loopback() })
}

// connect returns two ends over loopback.
func connect(tb testing.TB) (client, server transport.Assoc) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	ln, err := tcp.Network{}.Listen(ctx, loopbackAddr(0), transport.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	if client, err = (tcp.Network{}).Dial(ctx, ln.LocalAddr(), transport.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Abort() })
	if server, err = ln.Accept(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { server.Abort() })
	return client, server
}

// victim dials, says hello, and waits for its end.
func victim(port string) {
	n, _ := strconv.Atoi(port)
	a, err := tcp.Network{}.Dial(context.Background(), loopbackAddr(uint16(n)), transport.Options{})
	if err == nil {
		err = a.Send([]byte("hello"), transport.SendInfo{})
	}
	if err != nil {
		panic(err)
	}
	a.Recv(nil)
	os.Exit(1) // the tester has ended first
}

// "so a peer that was killed is told from one that has closed."
func TestKilledPeer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ln, err := tcp.Network{}.Listen(ctx, loopbackAddr(0), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), victimPort+"="+strconv.Itoa(int(ln.LocalAddr().Port)))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	a, err := ln.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abort()
	if n, _, err := a.Recv(make([]byte, 10)); n != 5 || err != nil {
		t.Fatalf("Recv: %d, %v", n, err)
	}
	cmd.Process.Kill()
	if _, _, err := a.Recv(nil); !errors.Is(err, transport.ErrAborted) {
		t.Errorf("Recv: %v", err)
	}
	if err := a.Send(nil, transport.SendInfo{}); !errors.Is(err, transport.ErrAborted) {
		t.Errorf("Send: %v", err)
	}
}

// An association that has been used and is idle costs little.
func TestIdleMemory(t *testing.T) {
	const pairs, limit = 100, 10 << 10
	before := memory()
	ends := make([]transport.Assoc, 0, 2*pairs)
	buf := make([]byte, 60_000)
	for range pairs {
		client, server := connect(t)
		if err := client.Send(buf, transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		if _, info, err := server.Recv(buf); !info.EOR || err != nil {
			t.Fatalf("Recv: %+v, %v", info, err)
		}
		ends = append(ends, client, server)
	}
	each := (memory() - before) / len(ends)
	t.Logf("%d bytes for an idle association, without its stack", each)
	if each > limit {
		t.Errorf("%d bytes for an idle association, more than %d", each, limit)
	}
	runtime.KeepAlive(ends)
}

// memory is the heap in use; what pools keep is not counted.
func memory() int {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
