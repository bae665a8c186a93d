//go:build !386

package sctp

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/rserpool/rsp/internal/transport"
)

// "Its error is sticky": what comes first stays, whichever half has met it.
func TestEnd(t *testing.T) {
	lose := func(cause error) func(*end) {
		return func(e *end) { e.lose(func() error { return cause }) }
	}
	aborted, lost := lose(transport.ErrAborted), lose(transport.ErrLost)
	closed := func(e *end) { e.close() }
	for _, test := range []struct {
		name       string
		steps      []func(*end)
		send, recv error
	}{
		{"alive", nil, nil, nil},
		{"shut down, not all read", []func(*end){(*end).shut}, transport.ErrShutdown, nil},
		{"ended in order", []func(*end){(*end).shut, (*end).drain}, transport.ErrShutdown, io.EOF},
		{"ended in order, all at once", []func(*end){(*end).drain}, transport.ErrShutdown, io.EOF},
		{"lost, not all read", []func(*end){lost}, transport.ErrLost, nil},
		{"lost", []func(*end){lost, (*end).drain}, transport.ErrLost, transport.ErrLost},
		{"aborted, then EPIPE", []func(*end){aborted, (*end).shut, (*end).drain}, transport.ErrAborted, transport.ErrAborted},
		{"aborted, then a timeout", []func(*end){aborted, lost, (*end).drain}, transport.ErrAborted, transport.ErrAborted},
		{"shut down, then lost", []func(*end){(*end).shut, lost, (*end).drain}, transport.ErrShutdown, transport.ErrLost},
		{"closed", []func(*end){closed}, net.ErrClosed, net.ErrClosed},
		{"closed after a loss", []func(*end){lost, (*end).drain, closed}, net.ErrClosed, net.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var e end
			for _, step := range test.steps {
				step(&e)
			}
			if send, recv := e.sendErr(), e.recvErr(); !errors.Is(send, test.send) || !errors.Is(recv, test.recv) {
				t.Errorf("Send: %v, want %v; Recv: %v, want %v", send, test.send, recv, test.recv)
			}
		})
	}
	var e end
	if !e.close() || e.close() {
		t.Error("not the first close alone is the first")
	}
}
