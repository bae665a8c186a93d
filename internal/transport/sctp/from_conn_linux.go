//go:build !386

package sctp

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// IsSCTP reports whether conn, a connection of package net, has a descriptor of kernel SCTP.
func IsSCTP(conn syscall.Conn) bool {
	rc, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	carries := 0
	err = rc.Control(func(fd uintptr) {
		carries, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
	})
	return err == nil && carries == unix.IPPROTO_SCTP
}

// FromConn makes an association of a connection for which IsSCTP is true, by a descriptor of its own. It sets
// all options but those of the size of buffers and the number of streams, which are settled by then.
func FromConn(conn syscall.Conn, opts transport.Options) (transport.Assoc, error) {
	rc, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, err := -1, error(nil)
	controlErr := rc.Control(func(original uintptr) {
		fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if controlErr != nil {
		return nil, controlErr
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	s, err := adopt(fd, opts)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	a, err := newAssoc(s, protocol.TransportAddr{}, opts)
	if err != nil {
		s.close()
		return nil, err
	}
	return a, nil
}

// adopt makes a descriptor that was opened elsewhere one of ours.
func adopt(fd int, opts transport.Options) (*socket, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := setOptions(fd, opts.WithDefaults()); err != nil {
		return nil, err
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	return wrap(fd, family)
}
