package rsp

import (
	"context"
	"net"
	"syscall"

	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/sctp"
	"github.com/rserpool/rsp/internal/transport/tcp"
)

// FromConn makes a session of a connection that the caller has opened or accepted himself: messages with
// borders, PPIDs, cookies and business cards over it. The other end does the same, or it is the session of a PU
// that has connected to a service which was registered by RegisterElement with ControlChannel. conn belongs to
// the Socket from then on, and is closed if the peer does not begin as a session does within 5 seconds or ctx
// ends.
//
// conn is what keeps the order of bytes, such as TCP, TLS or a net.Pipe, for the TCP mapping; or
// a connection of kernel SCTP, which package net gives for the descriptor of a one-to-one style socket
// (net.FileConn), and which carries the messages itself.
//
// Config.TLS is not put under it: who wants TLS gives a *tls.Conn.
//
// The session is like an accepted one: it has no pool to fail over to, and ends with the connection. It is
// what is left in Go of RSPLIB's rsp_mapsocket, by which a program waits for descriptors of its own along with
// the library's: goroutines wait for both without.
func (e *Endpoint) FromConn(ctx context.Context, conn net.Conn) (*Socket, error) {
	assoc, err := e.assocFromConn(ctx, conn)
	if err != nil {
		return nil, &OpError{Op: "from conn", Err: err}
	}
	s := e.Socket()
	s.session = newAcceptedSession(e, assoc)
	if err := e.add(s); err != nil {
		assoc.Abort()
		return nil, &OpError{Op: "from conn", Err: err}
	}
	return s, nil
}

func (e *Endpoint) assocFromConn(ctx context.Context, conn net.Conn) (transport.Assoc, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok || !sctp.IsSCTP(sc) {
		return tcp.FromConn(ctx, conn, e.options)
	}
	defer conn.Close() // the association has a descriptor of its own
	return sctp.FromConn(sc, e.options)
}
