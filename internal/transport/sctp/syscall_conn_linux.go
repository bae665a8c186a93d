//go:build !386

package sctp

import "syscall"

// SyscallConn gives the descriptor of the association.
func (a *assoc) SyscallConn() (syscall.RawConn, error) { return a.conn, nil }

// SyscallConn gives the descriptor that listens.
func (l *listener) SyscallConn() (syscall.RawConn, error) { return l.socket.conn, nil }
