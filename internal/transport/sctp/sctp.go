// Package sctp is package transport over the SCTP of the Linux kernel.
//
// An association is a one-to-one style socket (RFC 6458 section 4), non-blocking and
// on the runtime's poller: a goroutine that waits costs no thread, and deadlines,
// contexts and Close work as in package net.
package sctp

import (
	"sync"

	"github.com/rserpool/rsp/internal/transport"
)

// New returns the network of this machine's kernel, or an error that matches
// transport.ErrUnsupported.
func New() (transport.Network, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	return newNetwork(), nil
}

// Supported reports whether the kernel has SCTP: nil, or an error that matches
// transport.ErrUnsupported and says what failed. It tries once per process, so a module
// that is loaded later goes unnoticed.
func Supported() error { return probeOnce() }

var probeOnce = sync.OnceValue(probe)
