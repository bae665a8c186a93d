//go:build !386

package sctp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// socket is a one-to-one style socket on the runtime's poller.
type socket struct {
	file   *os.File
	conn   syscall.RawConn
	family int
	closed atomic.Bool
}

// newSocket opens a socket for the given addresses; none stands for the
// wildcard.
func newSocket(addrs []netip.Addr, opts transport.Options) (*socket, error) {
	family := familyOf(addrs)
	fd, err := openSocket(family)
	if err == unix.EAFNOSUPPORT && family == unix.AF_INET6 {
		family = unix.AF_INET // a kernel without IPv6
		fd, err = openSocket(family)
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := setOptions(fd, opts.WithDefaults()); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return wrap(fd, family)
}

func openSocket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
}

// wrap puts a non-blocking socket on the poller.
func wrap(fd, family int) (*socket, error) {
	file := os.NewFile(uintptr(fd), "sctp")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &socket{file: file, conn: conn, family: family}, nil
}

// familyOf: an IPv6 socket speaks IPv4 too, and tells peers of IPv4 and IPv6
// addresses alike, so only what is all IPv4 gets an IPv4 socket.
func familyOf(addrs []netip.Addr) int {
	is6 := func(a netip.Addr) bool { return a.Unmap().Is6() }
	if len(addrs) > 0 && !slices.ContainsFunc(addrs, is6) {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// control runs f with the socket's descriptor.
func (s *socket) control(f func(fd int) error) error {
	var err error
	if e := s.conn.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return s.pollErr(e)
	}
	return err
}

// close closes the socket; calls that wait end.
func (s *socket) close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	return s.file.Close()
}

// abort closes the socket of an association at once.
func (s *socket) abort() {
	s.conn.Control(func(fd uintptr) { abortOnClose(int(fd)) })
	s.close()
}

// pollErr gives an error of the poller its meaning: that of a closed file is
// internal to package os.
func (s *socket) pollErr(err error) error {
	if err != nil && s.closed.Load() {
		return net.ErrClosed
	}
	return err
}

// bind binds the socket to addrs, none meaning the wildcard, and to port; 0 is an ephemeral
// port, the same for all.
func (s *socket) bind(addrs []netip.Addr, port uint16) error {
	return s.control(func(fd int) error {
		addrs := s.usable(addrs)
		switch {
		case len(addrs) > 0:
		case s.family == unix.AF_INET6:
			addrs = []netip.Addr{netip.IPv6Unspecified()}
		default:
			addrs = []netip.Addr{netip.IPv4Unspecified()}
		}
		if err := bindAddrs(fd, addrs[:1], port); err != nil || len(addrs) == 1 {
			return err
		}
		port, err := boundPort(fd)
		if err != nil {
			return err
		}
		return bindAddrs(fd, addrs[1:], port)
	})
}

func boundPort(fd int) (uint16, error) {
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch addr := addr.(type) {
	case *unix.SockaddrInet4:
		return uint16(addr.Port), nil
	case *unix.SockaddrInet6:
		return uint16(addr.Port), nil
	}
	return 0, fmt.Errorf("bound to an address of an unknown family: %T", addr)
}

// usable is the addresses that the socket can bind or reach: no IPv6 on an IPv4 socket, and no
// link-local ones of an unknown link.
func (s *socket) usable(addrs []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
		a = a.Unmap()
		return a.Is6() && (s.family == unix.AF_INET || a.IsLinkLocalUnicast() && a.Zone() == "")
	})
}

// connect opens an association to any of remote's addresses. One that refuses
// may belong to another machine (a private address of another site), so the next are tried.
func (s *socket) connect(ctx context.Context, remote protocol.TransportAddr) error {
	addrs := s.usable(remote.Addrs)
	if len(addrs) == 0 {
		return os.NewSyscallError("connect", unix.EADDRNOTAVAIL)
	}
	for {
		err := s.connectAny(ctx, addrs, remote.Port)
		addrs = addrs[1:]
		if !errors.Is(err, unix.ECONNREFUSED) || len(addrs) == 0 {
			return err
		}
	}
}

func (s *socket) connectAny(ctx context.Context, addrs []netip.Addr, port uint16) error {
	var result error
	started := false
	err := withContext(ctx, s.file.SetWriteDeadline, func() error {
		return s.conn.Write(func(fd uintptr) (done bool) {
			if started {
				done, result = connected(int(fd))
				return done
			}
			started = true
			result = connect(int(fd), addrs, port)
			return result != unix.EINPROGRESS
		})
	})
	switch {
	case err != nil:
		return s.pollErr(err)
	case result == unix.ETIMEDOUT:
		return fmt.Errorf("%w: %w", transport.ErrLost, os.NewSyscallError("connect", result))
	}
	return os.NewSyscallError("connect", result)
}

// connected reports whether a connect has ended, and how. The poller may wake
// its caller for nothing.
func connected(fd int) (done bool, err error) {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return true, err
	case errno != 0:
		return true, syscall.Errno(errno)
	}
	_, err = unix.Getpeername(fd)
	return err == nil, nil
}

// past is a deadline that ends a call at once.
var past = time.Unix(1, 0)

// withContext runs call, which waits on the poller, until ctx ends. setDeadline must be for
// this call alone.
func withContext(ctx context.Context, setDeadline func(time.Time) error, call func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		setDeadline(past)
		close(expired)
	})
	err := call()
	if !stop() {
		<-expired
		setDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}
