package lab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread in the network namespace at path, and waits
// for it. When f ends its goroutine, as testing.T.Fatal does, the caller's ends too.
func inNamespace(path string, f func()) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	failed, returned := make(chan error, 1), false
	go func() {
		defer close(failed)
		// The thread is not unlocked: it ends with the goroutine, and leaves the
		// namespace to nobody.
		runtime.LockOSThread()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			failed <- fmt.Errorf("entering %s: %w", path, os.NewSyscallError("setns", err))
			return
		}
		f()
		returned = true
	}()
	if err := <-failed; err != nil {
		return err
	}
	if !returned {
		runtime.Goexit()
	}
	return nil
}
