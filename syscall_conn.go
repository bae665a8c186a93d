package rsp

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

var _ syscall.Conn = (*Socket)(nil)

// SyscallConn gives access to the system's descriptor under the Socket, for socket options that this package
// does not know (rsp_getsockopt, rsp_setsockopt): that of kernel SCTP, or of the TCP connection. It is the
// one of the session's present association, so that a failover leaves it behind; or the one that listens, whose
// options accepted sessions inherit as the system has it. Only Control is of use: who reads or writes there
// breaks the session. Where there is no descriptor, or not a single one, the error matches errors.ErrUnsupported.
func (s *Socket) SyscallConn() (syscall.RawConn, error) {
	conn, err := s.syscallConn()
	if err != nil {
		return nil, &OpError{Op: "syscall conn", Err: err}
	}
	return conn, nil
}

func (s *Socket) syscallConn() (syscall.RawConn, error) {
	s.mu.Lock()
	session, pe, closed := s.session, s.pe, s.closed
	s.mu.Unlock()
	var of any
	switch {
	case closed:
		return nil, net.ErrClosed
	case session != nil:
		session.mu.Lock()
		of = session.assoc
		session.mu.Unlock()
	case pe != nil:
		of = pe.listener
	}
	switch conn, ok := of.(syscall.Conn); {
	case of == nil:
		return nil, ErrNoRole
	case !ok:
		return nil, fmt.Errorf("the transport has no descriptor: %w", errors.ErrUnsupported)
	default:
		return conn.SyscallConn()
	}
}
