package tcp

import (
	"errors"
	"fmt"
	"syscall"
)

// SyscallConn gives the descriptor of the association, if its connection has one.
func (a *assoc) SyscallConn() (syscall.RawConn, error) { return syscallConn(bare(a.conn)) }

// SyscallConn gives the descriptor that listens, if there is one alone.
func (l *listener) SyscallConn() (syscall.RawConn, error) {
	if len(l.listeners) != 1 {
		return nil, fmt.Errorf("%d descriptors listen: %w", len(l.listeners), errors.ErrUnsupported)
	}
	return syscallConn(l.listeners[0])
}

func syscallConn(of any) (syscall.RawConn, error) {
	if conn, ok := of.(syscall.Conn); ok {
		return conn.SyscallConn()
	}
	return nil, fmt.Errorf("%T has no descriptor: %w", of, errors.ErrUnsupported)
}
