//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package mcast

import "syscall"

// share: on this system, one program at a time can hear announces.
func share(_, _ string, _ syscall.RawConn) error { return nil }
