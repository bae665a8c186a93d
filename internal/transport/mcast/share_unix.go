//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package mcast

import (
	"errors"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// share lets a socket have a port that others have, too. It fits net.ListenConfig.Control.
func share(_, _ string, c syscall.RawConn) error {
	options := []int{unix.SO_REUSEADDR}
	if runtime.GOOS != "linux" { // where SO_REUSEPORT would keep other users' programs off
		options = append(options, unix.SO_REUSEPORT)
	}
	var errs []error
	err := c.Control(func(fd uintptr) {
		for _, option := range options {
			errs = append(errs, os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1)))
		}
	})
	return errors.Join(append(errs, err)...)
}
