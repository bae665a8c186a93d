package simnet

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

var _ transport.Group = (*Group)(nil)

// Group is a multicast group that a host has joined.
type Group struct {
	host *Host
	at   netip.AddrPort
	port uint16 // from which it sends

	mu      sync.Mutex
	changed sync.Cond
	flight  []datagram // under way to here, in order of arrival
	timer   *time.Timer
	inbox   []datagram
	closed  bool
}

type datagram struct {
	from netip.AddrPort
	data []byte
	at   time.Time // of arrival
}

// maxDatagrams is how many datagrams wait for Recv, and are under way; more are lost.
const maxDatagrams = 64

// Join joins a group, to which it sends from the given port (0: an ephemeral one).
func (h *Host) Join(at netip.AddrPort, sourcePort uint16) (*Group, error) {
	if !at.Addr().IsMulticast() || at.Port() == 0 {
		return nil, fmt.Errorf("simnet: %v is no multicast address with a port", at)
	}
	g := &Group{host: h, at: at, port: sourcePort}
	g.changed.L = &g.mu
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.dead {
		return nil, fmt.Errorf("simnet: join %v: %w", at, errDown)
	}
	if g.port == 0 {
		port, err := h.ephemeral()
		if err != nil {
			return nil, fmt.Errorf("simnet: join %v: %w", at, err)
		}
		g.port = port
	}
	n.groups = append(n.groups, g)
	return g, nil
}

// Send sends b from each address of the host, to that address of each member which has the longest
// prefix in common.
func (g *Group) Send(b []byte) error {
	n := g.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.groups, g) {
		return fmt.Errorf("simnet: send to %v: %w", g.at, net.ErrClosed)
	}
	data := slices.Clone(b)
	for _, from := range g.host.addrs {
		for _, member := range n.groups {
			if member.at == g.at && n.datagramArrives(from, member.host) {
				member.deliver(netip.AddrPortFrom(from, g.port), data)
			}
		}
	}
	return nil
}

// datagramArrives reports whether a datagram to a group gets from an address to a host. The caller
// holds n.mu.
func (n *Network) datagramArrives(from netip.Addr, to *Host) bool {
	return !n.cuts[linkOf(from, closest(to.addrs, from))] &&
		!(n.config.Loss > 0 && n.datagramLoss.Float64() < n.config.Loss)
}

// deliver brings a datagram to g after the latency.
func (g *Group) deliver(from netip.AddrPort, data []byte) {
	latency := g.host.net.config.Latency
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.flight) == maxDatagrams {
		return
	}
	g.flight = append(g.flight, datagram{from, data, time.Now().Add(latency)})
	switch {
	case latency == 0:
		g.takeArrived()
	case g.timer == nil:
		g.timer = time.AfterFunc(latency, g.arrive)
	case len(g.flight) == 1:
		g.timer.Reset(latency)
	}
}

func (g *Group) arrive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.takeArrived()
	if len(g.flight) > 0 {
		g.timer.Reset(time.Until(g.flight[0].at))
	}
}

// takeArrived moves to the inbox what has arrived.
func (g *Group) takeArrived() {
	now := time.Now()
	for len(g.flight) > 0 && !g.flight[0].at.After(now) {
		if len(g.inbox) < maxDatagrams {
			g.inbox = append(g.inbox, g.flight[0])
			g.changed.Signal()
		}
		g.flight = g.flight[1:]
	}
}

// Recv waits for the next datagram.
func (g *Group) Recv(b []byte) (n int, from netip.AddrPort, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.inbox) == 0 && !g.closed {
		g.changed.Wait()
	}
	if g.closed {
		return 0, netip.AddrPort{}, fmt.Errorf("simnet: receive from %v: %w", g.at, net.ErrClosed)
	}
	d := g.inbox[0]
	g.inbox = g.inbox[1:]
	return copy(b, d.data), d.from, nil
}

// Close leaves the group.
func (g *Group) Close() error {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	g.leave()
	return nil
}

// leave ends g. The caller holds net.mu.
func (g *Group) leave() {
	n := g.host.net
	n.groups = slices.DeleteFunc(n.groups, func(o *Group) bool { return o == g })
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.flight, g.inbox = true, nil, nil
	if g.timer != nil {
		g.timer.Stop()
	}
	g.changed.Broadcast()
}

// leaveGroups ends all groups of h. The caller holds net.mu.
func (h *Host) leaveGroups() {
	for _, g := range slices.Clone(h.net.groups) {
		if g.host == h {
			g.leave()
		}
	}
}
