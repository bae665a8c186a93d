package main

import (
	"fmt"
	"os"
	"os/exec"
)

// daemonVar is set in the environment of the process in the background.
const daemonVar = "RSPREGISTRAR_DAEMON"

// startDaemon runs this program once more, in the background, and writes its process ID to
// pidFile. The new process removes the file when it ends.
func startDaemon(args []string, pidFile string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := os.Create(pidFile)
	if err != nil {
		return fmt.Errorf("cannot write the process ID: %w", err)
	}
	defer file.Close() // its content is complete, or we say so
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), daemonVar+"=1")
	if err := detach(cmd); err != nil {
		return fmt.Errorf("cannot run in the background: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot run in the background: %w", err)
	}
	if _, err := fmt.Fprintln(file, cmd.Process.Pid); err != nil {
		return fmt.Errorf("cannot write the process ID %d: %w", cmd.Process.Pid, err)
	}
	return nil
}
