package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// backlog bounds the connections that have not sent INIT yet, and the associations that
// wait for Accept.
const backlog = 1024

// acceptPause is how long accepting rests when the system has no room for more
// connections.
const acceptPause = 100 * time.Millisecond

// listener is a port, at one or more addresses or at all of the machine. It owns a
// goroutine for each of them and one for each connection that has not sent INIT.
type listener struct {
	network    Network
	listeners  []net.Listener
	port       uint16
	addrs      []netip.Addr // as bound; none: all
	opts       transport.Options
	ready      chan *assoc
	closing    context.Context // ends with Close
	close      context.CancelFunc
	goroutines sync.WaitGroup

	mu    sync.Mutex
	young []net.Conn // have not sent INIT, oldest first
}

var _ transport.Listener = (*listener)(nil)

// Listen listens at each address of local.
func (n Network) Listen(ctx context.Context, local protocol.TransportAddr, opts transport.Options) (transport.Listener, error) {
	if local.Protocol != protocol.TCP {
		return nil, fmt.Errorf("tcp: listen %v: %w", local, transport.ErrUnsupported)
	}
	l := n.newListener(local, opts)
	if err := l.listen(ctx, local.Addrs); err != nil {
		l.Close()
		return nil, fmt.Errorf("tcp: listen %v: %w", local, err)
	}
	l.start()
	return l, nil
}

func (n Network) newListener(local protocol.TransportAddr, opts transport.Options) *listener {
	l := &listener{network: n, port: local.Port, opts: opts, ready: make(chan *assoc, backlog)}
	l.closing, l.close = context.WithCancel(context.Background())
	return l
}

// start accepts connections until Close.
func (l *listener) start() {
	for _, ln := range l.listeners {
		l.goroutines.Go(func() { l.acceptFrom(ln) })
	}
}

// listen binds all addresses to one port, the first may choose it.
func (l *listener) listen(ctx context.Context, addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return l.listenAt(ctx, "tcp", "")
	}
	for _, addr := range addrs {
		addr = addr.Unmap()
		network := "tcp6"
		if addr.Is4() {
			network = "tcp4" // for "tcp", 0.0.0.0 would mean IPv6 too
		}
		if err := l.listenAt(ctx, network, addr.String()); err != nil {
			return err
		}
		l.addrs = append(l.addrs, addr)
	}
	return nil
}

func (l *listener) listenAt(ctx context.Context, network, host string) error {
	lc := net.ListenConfig{KeepAlive: -1} // heartbeats are better
	lc.SetMultipathTCP(false)             // one path, as the addresses of an Assoc say
	ln, err := lc.Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(int(l.port))))
	if err != nil {
		return err
	}
	l.listeners = append(l.listeners, ln)
	l.port = uint16(ln.Addr().(*net.TCPAddr).Port)
	// Only now, so that a second listener on the port is still refused.
	rc, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	return sharePort("", "", rc)
}

func (l *listener) acceptFrom(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors or memory left: that passes
			select {
			case <-time.After(acceptPause):
				continue
			case <-l.closing.Done():
				return
			}
		}
		l.admit(conn)
		l.goroutines.Go(func() { l.welcome(conn) })
	}
}

// admit enters a connection that has just come; too many end the oldest, so that those
// who never speak cannot keep others out.
func (l *listener) admit(conn net.Conn) {
	l.mu.Lock()
	var oldest net.Conn
	if len(l.young) == backlog {
		oldest = l.young[0]
		l.young = slices.Delete(l.young, 0, 1)
	}
	l.young = append(l.young, conn)
	l.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
}

// welcome makes an association of a connection.
func (l *listener) welcome(young net.Conn) {
	conn := young
	if l.network.TLS != nil {
		conn = l.network.server(young)
	}
	if err := acceptorHandshake(l.closing, conn); err != nil {
		refuse(l.closing, conn, err)
		l.grown(young)
		return
	}
	l.grown(young)
	a := newAssoc(conn, l.opts)
	select {
	case l.ready <- a:
	default:
		a.Abort()
	}
}

// grown takes a connection from those that have not sent INIT.
func (l *listener) grown(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.young, conn); i >= 0 {
		l.young = slices.Delete(l.young, i, i+1)
	}
}

func (l *listener) Accept(ctx context.Context) (transport.Assoc, error) {
	if l.closing.Err() != nil {
		return nil, net.ErrClosed
	}
	select {
	case a := <-l.ready:
		return a, nil
	case <-l.closing.Done():
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Dial goes out from an ephemeral port instead of the listener's where the system cannot
// share the port, or for a remote port to which it is taken already.
func (l *listener) Dial(ctx context.Context, remote protocol.TransportAddr) (transport.Assoc, error) {
	if l.closing.Err() != nil {
		return nil, net.ErrClosed
	}
	return l.network.dial(ctx, remote, l.opts, l.from)
}

// from chooses the local end for a connection to addr: one of the listener's of the same
// family, the same scope if there is one.
func (l *listener) from(addr netip.Addr) *net.TCPAddr {
	if !canSharePort {
		return nil
	}
	var from netip.Addr // not valid: the system chooses
	for _, a := range l.addrs {
		if a.Is4() != addr.Unmap().Is4() {
			continue
		}
		if !from.IsValid() || protocol.ScopeOf(a) == protocol.ScopeOf(addr) {
			from = a
		}
	}
	if from.IsValid() {
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, l.port))
	}
	return &net.TCPAddr{Port: int(l.port)}
}

// LocalAddr does not list the machine's addresses that cannot be read from the system.
func (l *listener) LocalAddr() protocol.TransportAddr {
	local := protocol.TransportAddr{Protocol: protocol.TCP, Port: l.port}
	for _, ln := range l.listeners {
		bound := ln.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if !bound.IsUnspecified() {
			local.Addrs = append(local.Addrs, bound)
			continue
		}
		for _, addr := range interfaceAddrs() {
			// Without addresses asked for, the IPv6 wildcard includes IPv4.
			if addr.Is4() == bound.Is4() || len(l.addrs) == 0 && bound.Is6() {
				local.Addrs = append(local.Addrs, addr)
			}
		}
	}
	return local
}

// interfaceAddrs lists the addresses of the interfaces that are up.
func interfaceAddrs() []netip.Addr {
	var all []netip.Addr
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				addr := prefix.Addr().Unmap()
				if addr.Is6() && addr.IsLinkLocalUnicast() {
					addr = addr.WithZone(i.Name)
				}
				all = append(all, addr)
			}
		}
	}
	return all
}

// Close also ends what waits for Accept.
func (l *listener) Close() error {
	l.close()
	var err error
	for _, ln := range l.listeners {
		err = errors.Join(err, ln.Close())
	}
	l.goroutines.Wait()
	for {
		select {
		case a := <-l.ready:
			a.Abort()
		default:
			return err
		}
	}
}
