package tcp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// handshakeTime is how long connecting to one address may take, and how long after that
// the peer may take for TLS and its INIT.
const handshakeTime = 5 * time.Second

// Network is that of the machine. Its zero value is ready for use.
type Network struct {
	// TLS, if set, is under all associations, see "TLS" in the package's text. Both sides of a handshake go by it:
	// it has Certificates and ClientAuth too. Without a ServerName, a peer that is dialed must have
	// a certificate for its address.
	TLS *tls.Config
}

var _ transport.Network = Network{}

func (Network) Protocol() protocol.TransportProtocol { return protocol.TCP }

// Dial tries the addresses of remote one after the other, each for a few seconds.
func (n Network) Dial(ctx context.Context, remote protocol.TransportAddr, opts transport.Options) (transport.Assoc, error) {
	return n.dial(ctx, remote, opts, func(netip.Addr) *net.TCPAddr { return nil })
}

// dial tries the addresses of remote in their order. from gives the local end to connect
// to an address from; nil: an ephemeral port.
func (n Network) dial(ctx context.Context, remote protocol.TransportAddr, opts transport.Options,
	from func(netip.Addr) *net.TCPAddr) (transport.Assoc, error) {
	if remote.Protocol != protocol.TCP {
		return nil, fmt.Errorf("tcp: dial %v: %w", remote, transport.ErrUnsupported)
	}
	err := errors.New("no address")
	for _, addr := range remote.Addrs {
		var a *assoc
		to := netip.AddrPortFrom(addr.Unmap(), remote.Port)
		if a, err = n.dialAddr(ctx, to, opts, from(addr)); err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			err = op.Err // which address it was is said below
		}
	}
	return nil, fmt.Errorf("tcp: dial %v: %w", remote, err)
}

func (n Network) dialAddr(ctx context.Context, to netip.AddrPort, opts transport.Options, from *net.TCPAddr) (*assoc, error) {
	conn, err := connect(ctx, to, from)
	if from != nil && (portBusy(err) || err == nil && toItself(conn)) {
		if err == nil {
			conn.Close()
		}
		conn, err = connect(ctx, to, nil)
	}
	if err != nil {
		return nil, err
	}
	if n.TLS != nil {
		conn = n.client(conn, to.Addr())
	}
	if err := dialerHandshake(ctx, conn); err != nil {
		bare(conn).Close()
		return nil, err
	}
	return newAssoc(conn, opts), nil
}

func connect(ctx context.Context, to netip.AddrPort, from *net.TCPAddr) (net.Conn, error) {
	d := net.Dialer{Timeout: handshakeTime, KeepAlive: -1} // heartbeats are better
	if from != nil {
		d.LocalAddr = from
		d.Control = sharePort
	}
	return d.DialContext(ctx, "tcp", to.String())
}

// portBusy reports whether the local port cannot be used towards this address, for
// instance as the last connection between the two ports was closed a moment ago
// (TIME-WAIT).
func portBusy(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// toItself reports whether conn was connected to its own port, which is TCP's
// simultaneous open instead of a connection to the listener there.
func toItself(conn net.Conn) bool {
	return conn.LocalAddr().String() == conn.RemoteAddr().String()
}

// dialerHandshake does TLS and exchanges INIT on a connection that was opened here.
func dialerHandshake(ctx context.Context, conn net.Conn) error {
	return handshake(ctx, conn, startTLS, writeInit, readInit)
}

// acceptorHandshake does so on a connection that the peer opened; who does not begin gets no
// answer.
func acceptorHandshake(ctx context.Context, conn net.Conn) error {
	return handshake(ctx, conn, startTLS, readInit, writeInit)
}

func handshake(ctx context.Context, conn net.Conn, steps ...func(net.Conn) error) error {
	conn.SetDeadline(time.Now().Add(handshakeTime))
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) })
	defer stop()
	for _, step := range steps {
		if err := step(conn); err != nil {
			return err
		}
	}
	if !stop() {
		return ctx.Err()
	}
	return conn.SetDeadline(time.Time{})
}

func writeInit(conn net.Conn) error {
	if _, err := conn.Write(appendInit(nil)); err != nil {
		return fmt.Errorf("INIT: %w", err)
	}
	return nil
}

// readInit reads no byte further than INIT.
func readInit(conn net.Conn) error {
	b := make([]byte, headerLen)
	if _, err := io.ReadFull(conn, b); err != nil {
		return fmt.Errorf("INIT: %w", err)
	}
	if err := checkInit(b); err != nil {
		return fmt.Errorf("INIT: %w", err)
	}
	return nil
}

func checkInit(b []byte) error {
	switch {
	case bytes.HasPrefix(b, alertRecord):
		return errWantsTLS
	case bytes.HasPrefix(b, handshakeRecord):
		return errSpeaksTLS
	}
	h, err := parseHeader(b)
	switch {
	case err != nil:
		return err
	case h.typ != chunkInit:
		return fmt.Errorf("chunk type %d instead", h.typ)
	case h.flags&initFlags != 0:
		return fmt.Errorf("peer leaves fields out (flags %#x)", h.flags)
	}
	return nil
}
