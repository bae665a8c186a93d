//go:build !386

package sctp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// backlog is how many associations may wait for Accept. The kernel refuses
// those beyond, where TCP would let the peer try again.
const backlog = 1024

// network is the kernel; it keeps nothing.
type network struct{}

func newNetwork() transport.Network { return network{} }

// probe tries what fails on a kernel without SCTP, and what fails without the
// modules that it needs to listen.
func probe() error {
	fd, err := openSocket(unix.AF_INET)
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrUnsupported, os.NewSyscallError("socket", err))
	}
	defer unix.Close(fd)
	if err := bindAddrs(fd, []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, 0); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrUnsupported, err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrUnsupported, os.NewSyscallError("listen", err))
	}
	return nil
}

func (network) Protocol() protocol.TransportProtocol { return protocol.SCTP }

func (network) Dial(ctx context.Context, remote protocol.TransportAddr, opts transport.Options) (transport.Assoc, error) {
	s, err := newSocket(remote.Addrs, opts)
	if err != nil {
		return nil, dialErr(remote, err)
	}
	return dial(ctx, s, remote, opts)
}

// dial connects a socket, which it closes if that fails.
func dial(ctx context.Context, s *socket, remote protocol.TransportAddr, opts transport.Options) (transport.Assoc, error) {
	err := s.connect(ctx, remote)
	if err == nil {
		var a *assoc
		if a, err = newAssoc(s, remote, opts); err == nil {
			return a, nil
		}
	}
	s.abort()
	return nil, dialErr(remote, err)
}

func dialErr(remote protocol.TransportAddr, err error) error {
	return fmt.Errorf("dial %v: %w", remote, err)
}

func (network) Listen(ctx context.Context, local protocol.TransportAddr, opts transport.Options) (transport.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := listen(local, opts)
	if err != nil {
		return nil, fmt.Errorf("listen on %v: %w", local, err)
	}
	return l, nil
}

func listen(local protocol.TransportAddr, opts transport.Options) (*listener, error) {
	s, err := newSocket(local.Addrs, opts)
	if err != nil {
		return nil, err
	}
	l := &listener{socket: s, opts: opts, bound: local.Clone(), turn: make(chan struct{}, 1)}
	if err := l.start(); err != nil {
		s.close()
		return nil, err
	}
	return l, nil
}

// listener is a listening socket. Its associations have sockets of their own.
type listener struct {
	socket *socket
	opts   transport.Options
	bound  protocol.TransportAddr // as it was asked for, with the port it got
	local  protocol.TransportAddr // LocalAddr
	turn   chan struct{}          // filled by the Accept that waits: it has the read deadline for itself
}

// start binds the socket and makes it listen.
//
// The port is shared twice. With SO_REUSEADDR it is free again when the last listener is
// closed, although associations live on. With SO_REUSEPORT sockets that dial can bind it, too;
// set after listen, it does not let two listeners share the port.
func (l *listener) start() error {
	if err := l.socket.setReuse(unix.SO_REUSEADDR); err != nil {
		return err
	}
	if err := l.socket.bind(l.bound.Addrs, l.bound.Port); err != nil {
		return err
	}
	err := l.socket.control(func(fd int) error {
		if err := unix.Listen(fd, backlog); err != nil {
			return os.NewSyscallError("listen", err)
		}
		var err error
		l.local, err = getAddrs(fd, optLocalAddrs, theSocket)
		l.bound.Port = l.local.Port
		return err
	})
	if err != nil {
		return err
	}
	return l.socket.setReuse(unix.SO_REUSEPORT)
}

func (s *socket) setReuse(option int) error {
	return s.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1))
	})
}

func (l *listener) LocalAddr() protocol.TransportAddr { return l.local }

func (l *listener) Accept(ctx context.Context) (transport.Assoc, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		fd, err := l.accept(ctx)
		if err != nil {
			return nil, fmt.Errorf("accept on %v: %w", l.local, err)
		}
		s, err := wrap(fd, l.socket.family)
		if err != nil {
			return nil, err
		}
		a, err := newAssoc(s, protocol.TransportAddr{}, l.opts)
		if err == nil {
			return a, nil
		}
		// It has ended already, so it has no addresses: wait for the next one.
		s.abort()
	}
}

// accept waits for the socket of an association.
func (l *listener) accept(ctx context.Context) (fd int, err error) {
	var result error
	err = withContext(ctx, l.socket.file.SetReadDeadline, func() error {
		return l.socket.conn.Read(func(listening uintptr) bool {
			for {
				fd, _, result = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
				if result != unix.EINTR && result != unix.ECONNABORTED {
					return result != unix.EAGAIN
				}
			}
		})
	})
	if err != nil {
		return -1, l.socket.pollErr(err)
	}
	return fd, os.NewSyscallError("accept4", result)
}

func (l *listener) Dial(ctx context.Context, remote protocol.TransportAddr) (transport.Assoc, error) {
	s, err := l.sibling()
	if err != nil {
		return nil, dialErr(remote, err)
	}
	return dial(ctx, s, remote, l.opts)
}

// sibling is a socket bound to the listener's port.
func (l *listener) sibling() (*socket, error) {
	if err := l.socket.control(func(int) error { return nil }); err != nil {
		return nil, err // the listener is closed
	}
	s, err := newSocket(l.bound.Addrs, l.opts)
	if err != nil {
		return nil, err
	}
	err = errors.Join(s.setReuse(unix.SO_REUSEADDR), s.setReuse(unix.SO_REUSEPORT))
	if err == nil {
		err = s.bind(l.bound.Addrs, l.bound.Port)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (l *listener) Close() error { return l.socket.close() }
