package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/rserpool/rsp/internal/transport"
)

// FromConn makes an association of a connection that its user has opened or accepted: of TCP, or of anything
// that keeps the order of bytes as TCP does, such as TLS. The peer does the same, or is a Network's end. The
// connection is the association's, and closed if that fails.
func FromConn(ctx context.Context, conn net.Conn, opts transport.Options) (transport.Assoc, error) {
	if err := handshake(ctx, conn, exchangeInit); err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("tcp: %w", err)
	}
	return startAssoc(conn, opts, resumes(conn)), nil
}

// exchangeInit sends INIT and waits for the peer's at the same time, as nobody knows who has opened the
// connection.
func exchangeInit(conn net.Conn) error {
	written := make(chan error, 1)
	go func() { written <- writeInit(conn) }()
	err := readInit(conn)
	if err != nil {
		conn.Close() // the write ends
	}
	return errors.Join(err, <-written)
}

// resumes reports whether a write to conn can go on after its deadline has passed. One to a *tls.Conn
// cannot.
func resumes(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}
