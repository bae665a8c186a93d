package csp

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// monitor is where reports go. Loopback delivers what is sent before the sender goes on.
type monitor struct {
	*testing.T
	conn *net.UDPConn
}

func newMonitor(t *testing.T) *monitor {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &monitor{t, conn}
}

func (m *monitor) addr() netip.AddrPort { return m.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// next is the report that has come.
func (m *monitor) next() *Report {
	m.Helper()
	b := make([]byte, 1<<16)
	n, err := m.conn.Read(b)
	if err != nil {
		m.Fatal(err)
	}
	r, err := Parse(b[:n])
	if err != nil {
		m.Fatal(err)
	}
	return r
}

// components are those of a test, which change.
type components struct {
	mu   sync.Mutex
	list []Report
}

func (c *components) set(list ...Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = list
}

func (c *components) get() []Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list
}

// A component reports at once and then at the interval; one that goes says so, as do those that are there at the end.
func TestReporter(t *testing.T) {
	m := newMonitor(t)
	synctest.Test(t, func(t *testing.T) {
		pe, pu := Report{Sender: 0x020000000000000a, Status: "0 Sessions"}, Report{Sender: 0x030000000000000b}
		var c components
		c.set(pe)
		r, err := NewReporter(Config{Server: m.addr(), Interval: time.Second, Logger: slog.New(slog.DiscardHandler), Components: c.get})
		if err != nil {
			t.Fatal(err)
		}
		want := func(sender ComponentID, uptime time.Duration, final bool) {
			t.Helper()
			got := m.next()
			if got.Sender != sender || got.Uptime != uptime || got.Final != final || got.Interval != time.Second {
				t.Errorf("%+v; want %v at %v, final: %v", got, sender, uptime, final)
			}
		}
		synctest.Wait()
		want(pe.Sender, 0, false)
		c.set(pe, pu)
		time.Sleep(time.Second)
		synctest.Wait()
		want(pe.Sender, time.Second, false)
		want(pu.Sender, 0, false)
		c.set(pu)
		time.Sleep(time.Second)
		synctest.Wait()
		want(pu.Sender, time.Second, false)
		want(pe.Sender, 2*time.Second, true)
		r.Close()
		want(pu.Sender, time.Second, true)
		r.Close() // again does nothing
	})
}

// Who dies says nothing.
func TestAbort(t *testing.T) {
	m := newMonitor(t)
	synctest.Test(t, func(t *testing.T) {
		c := components{list: []Report{{Sender: 1 << 56}}}
		r, err := NewReporter(Config{Server: m.addr(), Interval: time.Second, Logger: slog.New(slog.DiscardHandler), Components: c.get})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.Abort()
		m.next()
		end := Report{Sender: 2 << 56} // it comes next, so that nothing has come before
		if _, err := m.conn.WriteToUDPAddrPort(end.AppendTo(nil), m.addr()); err != nil {
			t.Fatal(err)
		}
		if got := m.next(); got.Sender != end.Sender {
			t.Errorf("after its death: %+v", got)
		}
	})
}

// Reports that cannot be sent stop nothing.
func TestUnreachableMonitor(t *testing.T) {
	var log strings.Builder
	c := components{list: []Report{{Sender: 1 << 56}}}
	r, err := NewReporter(Config{
		Server: netip.AddrPort{}, Interval: time.Hour, Components: c.get,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if n := strings.Count(log.String(), "status report not sent"); n != 2 {
		t.Errorf("%d failures are logged, not 2:\n%s", n, &log)
	}
}

func TestLocation(t *testing.T) {
	addrs := func(list ...string) (addrs []netip.Addr) {
		for _, s := range list {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		return addrs
	}
	for _, tt := range []struct {
		want  string
		addrs []netip.Addr
		port  uint16
	}{
		{"", nil, 1},
		{": 127.0.0.1:7", addrs("127.0.0.1"), 7},
		{": 10.0.0.1:7, 10.0.1.1", addrs("127.0.0.1", "10.0.0.1", "fe80::1", "10.0.1.1"), 7},
		{": [2001:db8::1]:7", addrs("10.0.0.1", "2001:db8::1"), 7},
		{": 10.0.0.1", addrs("::ffff:10.0.0.1"), 0},
	} {
		got := Location(tt.addrs, tt.port)
		if i := strings.Index(got, ": "); i >= 0 {
			got = got[i:]
		} else {
			got = ""
		}
		if got != tt.want {
			t.Errorf("%v: %q, not %q", tt.addrs, got, tt.want)
		}
	}
}
