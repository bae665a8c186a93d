//go:build unix

package scripting

import (
	"os/exec"
	"syscall"
)

// ownGroup makes cmd the first of a process group: with it go all that it starts.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// exitStatus is a program's exit code or, as shells have it, 128 and the signal that has ended it.
func exitStatus(exit *exec.ExitError) uint32 {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + uint32(status.Signal())
	}
	return uint32(exit.ExitCode())
}
