//go:build unix

package program

import (
	"os/exec"
	"syscall"
)

// detach makes cmd a process that the signals of our terminal do not reach.
func detach(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return nil
}
