package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// acceptor is what gets the far end of a new association: a listener, or a dial the
// other way at the same time (RFC 4960 section 5.2.1: the two become one association).
type acceptor interface {
	endpoint() (host *Host, local []netip.Addr, opts transport.Options)
	accepted(*end)
}

// dialing is a Dial under way.
type dialing struct {
	host   *Host
	local  protocol.TransportAddr
	remote protocol.TransportAddr
	opts   transport.Options
	met    chan *end // gets the association when the peer's dial has met this one
}

func (d *dialing) endpoint() (*Host, []netip.Addr, transport.Options) {
	return d.host, d.local.Addrs, d.opts
}

func (d *dialing) accepted(e *end) {
	d.host.stopDialing(d)
	d.met <- e
}

func (d *dialing) takeMet() *end {
	select {
	case met := <-d.met:
		return met
	default:
		return nil
	}
}

// stopDialing lets no other dial meet d any more. The caller holds net.mu.
func (h *Host) stopDialing(d *dialing) {
	h.dialings = slices.DeleteFunc(h.dialings, func(o *dialing) bool { return o == d })
}

// acceptorFor returns what answers d at h, nil if nothing does. The caller holds net.mu.
func (h *Host) acceptorFor(d *dialing, to netip.AddrPort) acceptor {
	for _, o := range h.dialings {
		if o != d && o.local.Port == to.Port() && o.remote.Port == d.local.Port &&
			slices.ContainsFunc(o.remote.Addrs, func(a netip.Addr) bool { return slices.Contains(d.local.Addrs, a) }) {
			return o
		}
	}
	if l := h.listeners[to]; l != nil {
		return l
	}
	return nil
}

// dial opens an association from local.
func (h *Host) dial(ctx context.Context, local, remote protocol.TransportAddr, opts transport.Options) (transport.Assoc, error) {
	d := &dialing{host: h, local: local, remote: remote, opts: opts.WithDefaults(), met: make(chan *end, 1)}
	h.net.mu.Lock()
	h.dialings = append(h.dialings, d)
	h.net.mu.Unlock()

	e, err := d.handshake(ctx)

	h.net.mu.Lock()
	h.stopDialing(d)
	met := d.takeMet()
	h.net.mu.Unlock()
	if met != nil { // but too late
		met.Abort()
	}
	if err != nil {
		return nil, fmt.Errorf("simnet: dial %v: %w", remote, err)
	}
	return e, nil
}

// initAttempts is Max.Init.Retransmits (RFC 4960 section 15) and the first one.
const initAttempts = 8 + 1

func (d *dialing) handshake(ctx context.Context) (*end, error) {
	if len(d.remote.Addrs) == 0 {
		return nil, &net.AddrError{Err: "no address", Addr: d.remote.String()}
	}
	latency, rto := d.host.net.config.Latency, d.opts.RTOInitial
	for attempt := range initAttempts {
		to := netip.AddrPortFrom(d.remote.Addrs[attempt%len(d.remote.Addrs)], d.remote.Port)
		if met, err := d.pause(ctx, 3*latency); met != nil || err != nil {
			return met, err
		}
		e, err := d.host.net.connect(d, to)
		switch {
		case err == nil:
			if _, err := d.pause(ctx, latency); err != nil {
				e.Abort()
				return nil, err
			}
			return e, nil
		case err == errSilent:
			if met, err := d.pause(ctx, rto); met != nil || err != nil {
				return met, err
			}
			rto = min(2*rto, d.opts.RTOMax)
		case attempt+1 >= len(d.remote.Addrs):
			return nil, err
		}
	}
	return nil, transport.ErrLost
}

// pause waits, unless ctx ends or the peer's dial meets this one.
func (d *dialing) pause(ctx context.Context, wait time.Duration) (*end, error) {
	if err := ctx.Err(); err != nil || wait == 0 {
		return nil, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case met := <-d.met:
		return met, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, nil
	}
}
