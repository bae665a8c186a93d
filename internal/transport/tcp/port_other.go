//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package tcp

import "syscall"

// canSharePort: on this system, Listener.Dial goes out from an ephemeral port.
const canSharePort = false

func sharePort(_, _ string, _ syscall.RawConn) error { return nil }
