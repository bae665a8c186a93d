package simnet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

var _ transport.Network = (*Host)(nil)

// Host is one machine of a network, and the one process on it. It is a
// transport.Network whose associations start from it.
type Host struct {
	net   *Network
	addrs []netip.Addr

	// The rest is guarded by net.mu.
	dead      bool
	listeners map[netip.AddrPort]*Listener
	ends      map[tuple]*end
	bound     map[uint16]int // listeners and ends of each port
	lastPort  uint16
	dialings  []*dialing
}

// tuple names an association at one of its hosts.
type tuple struct {
	port     uint16
	peer     *Host
	peerPort uint16
}

func newHost(n *Network) *Host {
	return &Host{
		net:       n,
		listeners: make(map[netip.AddrPort]*Listener),
		ends:      make(map[tuple]*end),
		bound:     make(map[uint16]int),
		lastPort:  lastEphemeral,
	}
}

// Protocol is SCTP, which simnet stands for.
func (h *Host) Protocol() protocol.TransportProtocol { return protocol.SCTP }

// Addrs returns the host's addresses.
func (h *Host) Addrs() []netip.Addr { return slices.Clone(h.addrs) }

// Kill takes the power away: whoever talks to h hears nothing more. Calls on h's own
// associations and listeners match net.ErrClosed.
func (h *Host) Kill() {
	h.net.mu.Lock()
	h.dead = true
	h.leaveGroups()
	ends, listeners := h.everything()
	h.net.updatePaths(h)
	h.net.mu.Unlock()
	for _, l := range listeners {
		l.shut()
	}
	for _, e := range ends {
		e.powerOff()
	}
}

// Crash ends the process as Linux does with a killed one: its associations end
// gracefully, but those with data that it has not read end by an abort. h itself goes on, and may
// be used again at once.
func (h *Host) Crash() {
	h.net.mu.Lock()
	h.leaveGroups()
	ends, listeners := h.everything()
	h.net.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	for _, e := range ends {
		e.crash()
	}
}

// everything lists h's ends and listeners, a listener once for each of its
// addresses. The caller holds net.mu.
func (h *Host) everything() (ends []*end, listeners []*Listener) {
	for _, at := range slices.SortedFunc(maps.Keys(h.listeners), netip.AddrPort.Compare) {
		listeners = append(listeners, h.listeners[at])
	}
	return h.sortedEnds(), listeners
}

// sortedEnds lists h's ends in the order of their making, so that what befalls
// them is the same in every run. The caller holds net.mu.
func (h *Host) sortedEnds() []*end {
	return slices.SortedFunc(maps.Values(h.ends), func(a, b *end) int { return cmp.Compare(a.number, b.number) })
}

// Listen opens a listener; its error says when an address is in use or not h's.
func (h *Host) Listen(ctx context.Context, local protocol.TransportAddr, opts transport.Options) (transport.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("simnet: listen: %w", err)
	}
	l, err := h.listen(local, opts)
	if err != nil {
		return nil, fmt.Errorf("simnet: listen at %v: %w", local, err)
	}
	return l, nil
}

func (h *Host) listen(local protocol.TransportAddr, opts transport.Options) (*Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.dead {
		return nil, errDown
	}
	local = protocol.TransportAddr{Protocol: protocol.SCTP, Port: local.Port, Addrs: slices.Clone(local.Addrs)}
	if len(local.Addrs) == 0 || local.Addrs[0].IsUnspecified() {
		local.Addrs = slices.Clone(h.addrs)
	}
	if local.Port == 0 {
		port, err := h.ephemeral()
		if err != nil {
			return nil, err
		}
		local.Port = port
	}
	for _, addr := range local.Addrs {
		if !slices.Contains(h.addrs, addr) {
			return nil, fmt.Errorf("%v is no address of this host", addr)
		}
		if h.listeners[netip.AddrPortFrom(addr, local.Port)] != nil {
			return nil, errInUse
		}
	}
	l := newListener(h, local, opts.WithDefaults())
	for _, addr := range local.Addrs {
		h.listeners[netip.AddrPortFrom(addr, local.Port)] = l
	}
	h.bound[local.Port]++
	return l, nil
}

// The ephemeral ports (RFC 6335 section 6).
const (
	firstEphemeral = 49152
	lastEphemeral  = 65535
)

// ephemeral returns the next port that nothing uses. The caller holds net.mu.
func (h *Host) ephemeral() (uint16, error) {
	for range lastEphemeral - firstEphemeral + 1 {
		if h.lastPort == lastEphemeral {
			h.lastPort = firstEphemeral
		} else {
			h.lastPort++
		}
		if h.bound[h.lastPort] == 0 {
			return h.lastPort, nil
		}
	}
	return 0, errInUse
}

// release gives back one use of a port. The caller holds net.mu.
func (h *Host) release(port uint16) {
	if h.bound[port]--; h.bound[port] == 0 {
		delete(h.bound, port)
	}
}

// admit enters a new end. One that is over, or that the peer does not know any more,
// gives way, as when a peer restarts (RFC 4960 section 5.2). The caller holds net.mu.
func (h *Host) admit(e *end) error {
	if old := h.ends[e.tuple]; old != nil {
		if !old.givesWay() {
			return errInUse
		}
		h.forget(old)
	}
	h.ends[e.tuple] = e
	h.bound[e.tuple.port]++
	return nil
}

// forget drops an end that is over. The caller holds net.mu.
func (h *Host) forget(e *end) {
	if h.ends[e.tuple] == e {
		delete(h.ends, e.tuple)
		h.release(e.tuple.port)
	}
}

// Dial opens an association from an ephemeral port and all of h's addresses.
func (h *Host) Dial(ctx context.Context, remote protocol.TransportAddr, opts transport.Options) (transport.Assoc, error) {
	h.net.mu.Lock()
	port, err := h.ephemeral()
	h.net.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("simnet: dial %v: %w", remote, err)
	}
	return h.dial(ctx, protocol.TransportAddr{Protocol: protocol.SCTP, Port: port, Addrs: h.addrs}, remote, opts)
}
