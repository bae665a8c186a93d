//go:build !linux || 386

package sctp

import (
	"syscall"

	"github.com/rserpool/rsp/internal/transport"
)

// IsSCTP reports false: there is no kernel SCTP here.
func IsSCTP(syscall.Conn) bool { return false }

// FromConn fails: there is no kernel SCTP here.
func FromConn(syscall.Conn, transport.Options) (transport.Assoc, error) { return nil, probe() }
