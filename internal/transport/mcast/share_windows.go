package mcast

import (
	"errors"
	"os"
	"syscall"
)

// share lets a socket have a port that others have, too. It fits net.ListenConfig.Control.
func share(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt",
			syscall.SetsockoptInt(syscall.Handle(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	})
	return errors.Join(controlErr, err)
}
