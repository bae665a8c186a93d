package rsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// Errors that callers can tell with errors.Is. Beside them stand the standard ones:
// net.ErrClosed after Close, os.ErrDeadlineExceeded, io.EOF, and those of contexts.
var (
	// ErrUnknownPool: the pool has no pool element, as far as the registrar knows.
	ErrUnknownPool = errors.New("unknown pool")
	// ErrNoPoolElement: the pool has pool elements, but none could be reached.
	ErrNoPoolElement = errors.New("no pool element reachable")
	// ErrNotRegistered: the Endpoint has not registered such a pool element by RegisterElement.
	ErrNotRegistered = errors.New("not registered")
	// ErrNoRegistrar: no registrar could be reached in time.
	ErrNoRegistrar = asap.ErrNoRegistrar
	// ErrNotAuthorized: the registrar has refused a request because of who asks: by RegistrarConfig.Authorize, or as the PE is
	// another's.
	ErrNotAuthorized = asap.ErrNotAuthorized
	// ErrFailover: the session has lost its pool element and waits for ForceFailover
	// (FailoverManual only).
	ErrFailover = errors.New("session needs a failover")
	// ErrReservedPPID: 11, ASAP, is the session layer's own.
	ErrReservedPPID = errors.New("payload protocol identifier 11 is reserved for ASAP")
	// ErrPoolHandle: a pool handle has 1 to 32 bytes.
	ErrPoolHandle = protocol.ErrPoolHandle
	// ErrMessageTooLong: the transport cannot carry a message of this size.
	ErrMessageTooLong = transport.ErrMessageTooLong
	// ErrAborted: the peer ended the session abruptly.
	ErrAborted = transport.ErrAborted
	// ErrLost: the peer has not answered for too long.
	ErrLost = transport.ErrLost
	// ErrPolicyType: a pool element keeps the type of its policy for as long as it is registered.
	ErrPolicyType = errors.New("policy is of another type than the pool's")
	// ErrNoRole: the Socket is not what the call needs: a session or a listening PE.
	ErrNoRole = errors.New("not possible with a Socket in this role")
)

// OpError says what failed, for which pool and pool element. It is a net.Error.
type OpError struct {
	Op   string     // "connect", "read", "register" ...
	Pool PoolHandle // "" where there is none
	PE   PEID       // 0 where there is none
	Err  error
}

func (e *OpError) Error() string {
	s := "rsp " + e.Op
	if e.Pool != "" {
		s += fmt.Sprintf(" %q", string(e.Pool))
	}
	if e.PE != 0 {
		s += " PE " + e.PE.String()
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// Timeout reports whether a deadline has passed.
func (e *OpError) Timeout() bool {
	if errors.Is(e.Err, os.ErrDeadlineExceeded) || errors.Is(e.Err, context.DeadlineExceeded) {
		return true
	}
	ne, ok := errors.AsType[net.Error](e.Err)
	return ok && ne.Timeout()
}

// Temporary is part of net.Error; it is the same as Timeout.
func (e *OpError) Temporary() bool { return e.Timeout() }

// CauseOf returns the code with which a registrar refused a request, if err comes
// from that.
func CauseOf(err error) (Cause, bool) {
	if remote, ok := errors.AsType[*asap.RemoteError](err); ok {
		return remote.Cause, true
	}
	return 0, false
}

// pastDeadline is a time that has passed for any clock.
var pastDeadline = time.Unix(1, 0)
