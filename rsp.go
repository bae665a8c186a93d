package rsp

import (
	"context"
	"sync"

	"github.com/rserpool/rsp/internal/protocol"
)

// PoolHandle names a pool: 1 to 32 bytes, mostly text (RFC 5354 section 3.9).
type PoolHandle = protocol.PoolHandle

// PEID identifies a pool element within its pool; 0 is none (RFC 5354 section
// 3.10).
type PEID = protocol.PEID

// RegistrarID identifies a registrar within its operation scope; 0 is none.
type RegistrarID = protocol.RegistrarID

// PPID is a message's payload protocol identifier. 11 (ASAP) is the session
// layer's own and cannot be sent.
type PPID = protocol.PPID

// Cause is the code with which a registrar refuses a request (RFC 5354 section
// 3.12, and RSPLIB's own codes).
type Cause = protocol.Cause

// defaultEndpoint serves the functions of this package that name no Endpoint.
var defaultEndpoint = sync.OnceValues(func() (*Endpoint, error) { return NewEndpoint(nil) })

// Connect opens a session with a pool on the default Endpoint, with the failover
// that a zero Dialer has. It stands where net.Dial stood.
//
// The default Endpoint has the zero Config: its registrars are those of the
// environment variable RSP_REGISTRARS (host:port, separated by commas), else
// localhost:3863.
func Connect(ctx context.Context, pool PoolHandle) (*Socket, error) {
	return (&Dialer{}).Connect(ctx, pool)
}

// Listen registers a pool element on the default Endpoint and returns its
// listening Socket, a net.Listener. It stands where net.Listen stood.
func Listen(ctx context.Context, pool PoolHandle) (*Socket, error) {
	e, err := defaultEndpoint()
	if err != nil {
		return nil, &OpError{Op: "listen", Pool: pool, Err: err}
	}
	return e.Listen(ctx, pool, PE{})
}

// Resolve asks the default Endpoint for pool elements of a pool; see
// Endpoint.Resolve.
func Resolve(ctx context.Context, pool PoolHandle) (*Resolution, error) {
	e, err := defaultEndpoint()
	if err != nil {
		return nil, &OpError{Op: "resolve", Pool: pool, Err: err}
	}
	return e.Resolve(ctx, pool, 0)
}
