package lab

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Host is a machine of a test: a network namespace with one interface on each
// network.
type Host struct {
	// Name is that of the namespace.
	Name string
	// Addrs are the host's addresses, one for each network.
	Addrs []netip.Addr
}

// Hosts makes n hosts on the given number of networks, of which each is a
// bridge: host i has the address 10.50.k.(i+1) on network k. It is for tests inside a guest, as are
// all methods of Host; the end of the test removes them.
func Hosts(tb testing.TB, n, networks int) []*Host {
	tb.Helper()
	if !Inside() {
		tb.Fatal("lab.Hosts outside a guest")
	}
	for k := range networks {
		ip(tb, "link add %s type bridge", bridge(k))
		tb.Cleanup(func() { ip(tb, "link delete %s", bridge(k)) })
		ip(tb, "link set %s up", bridge(k))
	}
	hosts := make([]*Host, n)
	for i := range hosts {
		h := &Host{Name: fmt.Sprintf("host%d", i)}
		ip(tb, "netns add %s", h.Name)
		tb.Cleanup(func() { ip(tb, "netns delete %s", h.Name) })
		ip(tb, "-n %s link set lo up multicast on", h.Name)
		for k := range networks {
			h.plug(tb, k, netip.AddrFrom4([4]byte{10, 50, byte(k), byte(i + 1)}))
		}
		ip(tb, "-n %s route add 224.0.0.0/4 dev %s", h.Name, device(0))
		hosts[i] = h
	}
	return hosts
}

// plug connects the host to network k.
func (h *Host) plug(tb testing.TB, k int, addr netip.Addr) {
	tb.Helper()
	ip(tb, "link add %s type veth peer name %s netns %s", h.port(k), device(k), h.Name)
	// With the namespace it would go only some time later.
	tb.Cleanup(func() { ip(tb, "link delete %s", h.port(k)) })
	ip(tb, "link set %s master %s up", h.port(k), bridge(k))
	ip(tb, "-n %s addr add %s/24 dev %s", h.Name, addr, device(k))
	ip(tb, "-n %s link set %s up", h.Name, device(k))
	h.Addrs = append(h.Addrs, addr)
}

func bridge(k int) string         { return fmt.Sprintf("net%d", k) }
func device(k int) string         { return fmt.Sprintf("eth%d", k) }         // in the host
func (h *Host) port(k int) string { return fmt.Sprintf("%s.%d", h.Name, k) } // at the bridge

// Command is exec.Command for a process on the host.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", h.Name, name}, args...)...)
}

// Do runs f on the host and waits for it: sockets that f opens are the host's
// for good. Goroutines that it starts do not run there.
func (h *Host) Do(tb testing.TB, f func()) {
	tb.Helper()
	if err := inNamespace("/run/netns/"+h.Name, f); err != nil {
		tb.Fatal(err)
	}
}

// Delay makes all that the host sends to network k later.
func (h *Host) Delay(tb testing.TB, k int, by time.Duration) {
	tb.Helper()
	run(tb, "tc", "-n %s qdisc add dev %s root netem delay %dms", h.Name, device(k), by.Milliseconds())
}

// Lose makes network k lose that part of all that the host sends, in percent.
func (h *Host) Lose(tb testing.TB, k int, percent float64) {
	tb.Helper()
	run(tb, "tc", "-n %s qdisc add dev %s root netem loss %g%%", h.Name, device(k), percent)
}

// Cut makes network k lose all that the host sends and should receive, without
// a sign at either end, until Heal.
func (h *Host) Cut(tb testing.TB, k int) {
	tb.Helper()
	run(tb, "tc", "qdisc add dev %s root netem loss 100%%", h.port(k))
	run(tb, "tc", "-n %s qdisc add dev %s root netem loss 100%%", h.Name, device(k))
}

// Heal undoes Cut.
func (h *Host) Heal(tb testing.TB, k int) {
	tb.Helper()
	run(tb, "tc", "qdisc delete dev %s root", h.port(k))
	run(tb, "tc", "-n %s qdisc delete dev %s root", h.Name, device(k))
}

func ip(tb testing.TB, format string, args ...any) {
	tb.Helper()
	run(tb, "ip", format, args...)
}

// run runs a program to its end; its arguments are the words of the formatted
// text.
func run(tb testing.TB, program, format string, args ...any) {
	tb.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command(program, strings.Fields(line)...).CombinedOutput(); err != nil {
		tb.Fatalf("%s %s: %v\n%s", program, line, err, out)
	}
}
