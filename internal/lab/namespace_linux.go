package lab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread in the network namespace at path, and waits
// for it.
func inNamespace(path string, f func()) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	done := make(chan error, 1)
	go func() {
		// The thread is not unlocked: it ends with the goroutine and its namespace.
		runtime.LockOSThread()
		err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		// f may end the goroutine by Goexit, as the methods of testing.T do.
		defer func() { done <- err }()
		if err != nil {
			err = fmt.Errorf("entering %s: %w", path, os.NewSyscallError("setns", err))
			return
		}
		f()
	}()
	return <-done
}
