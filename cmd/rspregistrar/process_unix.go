//go:build unix

package main

import (
	"os/exec"
	"syscall"
	"time"
)

// cpuTime is what the process has used of the processor.
func cpuTime() (user, system time.Duration) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, 0 // only an invalid argument fails
	}
	return time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
}

// detach makes cmd a process that the signals of our terminal do not reach.
func detach(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return nil
}
