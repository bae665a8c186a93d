//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package tcp

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const canSharePort = true

// sharePort lets sockets connect from a port where another one listens; both need it. It
// fits net.Dialer.Control.
func sharePort(_, _ string, c syscall.RawConn) error {
	var err error
	controlErr := c.Control(func(fd uintptr) {
		for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
			if err == nil {
				err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1))
			}
		}
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
