//go:build !unix

package scripting

import "os/exec"

// ownGroup does nothing: there are no process groups, and what the program starts may outlive it.
func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	return cmd.Process.Kill()
}

func exitStatus(exit *exec.ExitError) uint32 { return uint32(exit.ExitCode()) }
