package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// How records of TLS begin (RFC 8446 section 5.1): neither is a chunk.
var (
	alertRecord     = []byte{21, 3}
	handshakeRecord = []byte{22, 3}
)

// Fatal alerts in clear, for those who do not get as far as a handshake (RFC 8446 section 6).
var (
	alertUnexpectedMessage = []byte{21, 3, 3, 0, 2, 2, 10} // to who does not begin with TLS
	alertHandshakeFailure  = []byte{21, 3, 3, 0, 2, 2, 40} // to who does, where there is none
)

var (
	errNoTLS     = errors.New("peer does not begin with TLS")
	errWantsTLS  = errors.New("peer wants TLS")
	errSpeaksTLS = errors.New("peer speaks TLS, which is not configured here")
)

// refuseTime bounds how long who is refused may take to read why.
const refuseTime = time.Second

// client returns the dialer's end of TLS, before its handshake.
func (n Network) client(conn net.Conn, to netip.Addr) net.Conn {
	cfg := n.TLS
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = to.WithZone("").String()
	}
	return tls.Client(conn, cfg)
}

// server returns the acceptor's end of TLS, before its handshake.
func (n Network) server(conn net.Conn) net.Conn {
	return tls.Server(&begins{Conn: conn}, n.TLS)
}

// begins is a connection that must begin with a handshake of TLS. INIT in clear is too short for TLS to see
// that it is none.
type begins struct {
	net.Conn
	begun bool
}

func (c *begins) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.begun {
		c.begun = true
		if b[0] != handshakeRecord[0] {
			return 0, errNoTLS
		}
	}
	return n, err
}

// startTLS does the handshake of TLS, if conn has it.
func startTLS(conn net.Conn) error {
	if t, ok := conn.(*tls.Conn); ok {
		return t.Handshake()
	}
	return nil
}

// bare returns the connection under TLS, or conn itself.
func bare(conn net.Conn) net.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if b, ok := conn.(*begins); ok {
		conn = b.Conn
	}
	return conn
}

// refuse closes a connection whose handshake has failed by err, such that the peer learns why: an alert
// must not be overtaken by the RST that unread bytes cause.
func refuse(ctx context.Context, conn net.Conn, err error) {
	conn = bare(conn)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(refuseTime))
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(past) })()
	switch {
	case errors.Is(err, errNoTLS):
		conn.Write(alertUnexpectedMessage)
	case errors.Is(err, errSpeaksTLS):
		conn.Write(alertHandshakeFailure)
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		io.CopyN(io.Discard, conn, 64<<10)
	}
}

// PeerCertificate is the one that the peer has proven to own in the handshake of TLS; nil without TLS.
func (a *assoc) PeerCertificate() *x509.Certificate {
	if t, ok := a.conn.(*tls.Conn); ok {
		if chain := t.ConnectionState().PeerCertificates; len(chain) > 0 {
			return chain[0]
		}
	}
	return nil
}
