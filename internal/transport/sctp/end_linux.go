//go:build !386

package sctp

import (
	"io"
	"net"
	"sync"

	"github.com/rserpool/rsp/internal/transport"
)

// end is whether and how an association has ended. The kernel tells each cause
// only once, to whichever call comes first, so all of them keep it here.
type end struct {
	mu       sync.Mutex
	closed   bool  // Close or Abort was called
	shutdown bool  // one side ends it gracefully: nothing more to send
	lost     error // it ended otherwise
	drained  bool  // nothing more to receive
}

// close reports whether it was the first.
func (e *end) close() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := !e.closed
	e.closed = true
	return first
}

// shut notes that the association takes no more messages.
func (e *end) shut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lost == nil {
		e.shutdown = true
	}
}

// lose notes an end that is not graceful. cause is called under the lock: it may take an error
// from the kernel, which then no other call can miss.
func (e *end) lose(cause func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := cause(); e.lost == nil {
		e.lost = err
	}
}

// isLost reports whether nothing more will arrive from the peer.
func (e *end) isLost() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost != nil
}

// drain notes that all was received.
func (e *end) drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drained = true
	if e.lost == nil {
		e.shutdown = true
	}
}

// sendErr is what Send reports, nil while the association lives.
func (e *end) sendErr() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return net.ErrClosed
	case e.shutdown:
		return transport.ErrShutdown
	}
	return e.lost
}

// recvErr is what Recv reports, nil while there may be more to receive.
func (e *end) recvErr() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return net.ErrClosed
	case !e.drained:
		return nil
	case e.lost != nil:
		return e.lost
	}
	return io.EOF
}
