package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// Listener is a port of a host.
type Listener struct {
	host  *Host
	local protocol.TransportAddr
	opts  transport.Options

	mu      sync.Mutex
	changed sync.Cond
	waiting []*end // not accepted yet
	closed  bool
}

func newListener(h *Host, local protocol.TransportAddr, opts transport.Options) *Listener {
	l := &Listener{host: h, local: local, opts: opts}
	l.changed.L = &l.mu
	return l
}

func (l *Listener) endpoint() (*Host, []netip.Addr, transport.Options) {
	return l.host, l.local.Addrs, l.opts
}

func (l *Listener) accepted(e *end) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, e)
	l.changed.Signal()
}

// Accept waits for the next association.
func (l *Listener) Accept(ctx context.Context) (transport.Assoc, error) {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		err := ctx.Err()
		if l.closed {
			err = net.ErrClosed
		}
		if err != nil {
			l.changed.Signal() // for another who waits: this one may have taken its signal
			return nil, fmt.Errorf("simnet: accept at %v: %w", l.local, err)
		}
		if len(l.waiting) > 0 {
			e := l.waiting[0]
			l.waiting = l.waiting[1:]
			return e, nil
		}
		l.changed.Wait()
	}
}

// Dial opens an association from this port.
func (l *Listener) Dial(ctx context.Context, remote protocol.TransportAddr) (transport.Assoc, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("simnet: dial %v: %w", remote, net.ErrClosed)
	}
	return l.host.dial(ctx, l.local, remote, l.opts)
}

// LocalAddr is the port with its addresses.
func (l *Listener) LocalAddr() protocol.TransportAddr { return l.local.Clone() }

// Close stops listening. Associations that nobody has accepted are aborted.
func (l *Listener) Close() error {
	for _, e := range l.shut() {
		e.Abort()
	}
	return nil
}

// shut takes the listener from its host, and returns the associations that nobody
// has accepted.
func (l *Listener) shut() []*end {
	h := l.host
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	for _, addr := range l.local.Addrs {
		delete(h.listeners, netip.AddrPortFrom(addr, l.local.Port))
	}
	h.release(l.local.Port)
	l.changed.Broadcast()
	waiting := l.waiting
	l.waiting = nil
	return waiting
}
