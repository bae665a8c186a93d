package rsp

import (
	"context"
	"net"
	"time"
)

// Failover is what a session does when it loses its pool element.
type Failover uint8

const (
	// FailoverAutomatic: it goes on with another one by itself. Reads and writes wait
	// meanwhile.
	FailoverAutomatic Failover = iota
	// FailoverManual: reads and writes give ErrFailover until ForceFailover is called,
	// as in RSPLIB.
	FailoverManual
	// FailoverNone: the session ends with its pool element, as a net.Conn does: reads
	// give io.EOF or the error. For protocols in which the server's closing has a meaning.
	FailoverNone
)

// Dialer opens sessions with pools. The zero Dialer is ready to use; it must not be
// changed once it is in use.
type Dialer struct {
	// Endpoint opens the sessions. Default: the default Endpoint, see Connect.
	Endpoint *Endpoint
	// Failover is what a session does when it loses its pool element.
	Failover Failover
	// OnFailover, if set, is called in a failover after the association to the new
	// pool element is up and has been shown the latest cookie, and before anything else is sent
	// on it: the place to send again what was not answered. The session's reads and writes wait
	// until it returns; it must use the FailoverEvent alone. If it returns an error, the session ends with
	// that error, unless the new pool element was lost meanwhile: then the next one is tried.
	OnFailover func(ctx context.Context, f *FailoverEvent) error
	// Resend, if set, makes the session send again what is not answered, after OnFailover. Not with
	// FailoverNone.
	Resend *Resend
	// FailoverTimeout is how long a session tries to find another pool element before
	// it gives up. Default: 30 s; negative: for ever.
	FailoverTimeout time.Duration
	// Standby keeps an association to a second pool element ready, so that a failover is one round
	// trip: cookie, request, answer. It is opened once the session is up, replaced when it is lost, and closed and
	// opened anew when its pool element has left the pool, which is looked up every 10 s. Without Standby
	// there is one too while the session's own pool element is suspected.
	//
	// What it costs: an association with its heartbeats, a goroutine, a resolution every 10 s, and a session
	// at a pool element that sees nothing come: it counts in a Server's load and limit, what that one sends unasked is
	// kept for the failover, up to 64 KiB, and one that ends idle sessions has it opened again and again, with
	// pauses up to 10 s. FailoverNone has no use for it.
	Standby bool
	// ConnectTimeout bounds the opening of an association to one pool element.
	// Default: 5 s.
	ConnectTimeout time.Duration
	// PE, if set, is the pool element that opens sessions as a PU: a registered Socket. They begin with its
	// business card, so that the other end can go to its pool when it is lost, see ConnectCard.
	PE *Socket
	// Notifications makes RecvMsg return Notifications too.
	Notifications bool
}

const (
	defaultFailoverTimeout = 30 * time.Second
	defaultConnectTimeout  = 5 * time.Second
)

// Connect opens a session with a pool. The pool element is selected by the pool's policy;
// one that cannot be reached is reported to the registrar, and the next is tried until ctx ends. A pool
// that has no element gives ErrUnknownPool. The error holds a SearchError, which names every attempt.
func (d *Dialer) Connect(ctx context.Context, pool PoolHandle) (*Socket, error) {
	return d.connect(ctx, pool, nil)
}

// connect opens a session, with the preferred elements of the pool first.
func (d *Dialer) connect(ctx context.Context, pool PoolHandle, prefer []PEID) (*Socket, error) {
	e := d.Endpoint
	if e == nil {
		var err error
		if e, err = defaultEndpoint(); err != nil {
			return nil, &OpError{Op: "connect", Pool: pool, Err: err}
		}
	}
	s := e.Socket()
	if err := s.connect(ctx, pool, d, prefer); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// DialContext has the signature that net/http and others want: network is ignored, and
// the address's host (or all of it, if it has no port) is the pool handle.
// Protocols that keep state of their own on each connection, and open another one when it ends, want
// FailoverNone: HTTP, gRPC and most of the rest.
func (d *Dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	pool := address
	if host, _, err := net.SplitHostPort(address); err == nil {
		pool = host
	}
	s, err := d.Connect(ctx, PoolHandle(pool))
	if err != nil {
		return nil, err // not s: a nil *Socket is no nil net.Conn
	}
	return s, nil
}

// Connect opens a session with a pool, with the failover that a zero Dialer has.
func (e *Endpoint) Connect(ctx context.Context, pool PoolHandle) (*Socket, error) {
	return (&Dialer{Endpoint: e}).Connect(ctx, pool)
}
