package program

import (
	"fmt"
	"os"
	"os/exec"
)

// daemonVar is set in the environment of a process in the background.
const daemonVar = "RSP_DAEMON"

// Daemon runs this program once more, in the background, writes its process ID to pidFile, and reports
// true: the caller is done. In the background it reports false, and the program calls removeFile at its
// end.
func Daemon(args []string, pidFile string) (started bool, removeFile func(), err error) {
	if os.Getenv(daemonVar) != "" {
		return false, func() { _ = os.Remove(pidFile) }, nil // whoever has removed it before has done no harm
	}
	return true, nil, startDaemon(args, pidFile)
}

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
