package lab

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed init.sh
var initScript string

//go:embed xstate.c.txt
var xstateSource string

// grace is how long before the deadline of the test outside the one inside ends,
// so that it can still say where it hangs.
const grace = 6 * time.Second

// The lines between which the guest prints what the test binary prints.
const (
	started = "lab: the guest is up"
	ended   = "lab: the guest ends"
)

// inGuest runs this test binary with the given arguments in a guest, repeats
// its output and returns it. It ends the test if the binary fails.
func inGuest(tb testing.TB, args ...string) []string {
	tb.Helper()
	Need(tb, "linux.uml", "user-mode-linux")
	Need(tb, "modprobe", "kmod")
	Need(tb, "ip", "iproute2")
	dir := tb.TempDir()
	if deadline, ok := testDeadline(tb); ok {
		args = append(args, "-test.timeout="+max(time.Until(deadline)-grace, time.Second).String())
	} else {
		args = append(args, "-test.timeout=0")
	}
	writeInit(tb, dir, arguments(args...))
	lines, boot, err := watch(tb, command(tb, dir))
	code, codeErr := os.ReadFile(filepath.Join(dir, "code"))
	switch {
	case codeErr != nil:
		tb.Fatalf("the guest ended without a result (%v):\n%s", err, boot)
	case strings.TrimSpace(string(code)) != "0":
		tb.Fatalf("failed in the guest, exit code %s", strings.TrimSpace(string(code)))
	}
	return lines
}

// testDeadline is that of a test; benchmarks have none.
func testDeadline(tb testing.TB) (time.Time, bool) {
	if t, ok := tb.(*testing.T); ok {
		return t.Deadline()
	}
	return time.Time{}, false
}

// writeInit writes into dir what the guest runs as its first process.
func writeInit(tb testing.TB, dir string, args []string) {
	tb.Helper()
	binary := testBinary(tb, dir)
	work, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	// What the guest leaves in its temporary directory goes with dir.
	env := []string{insideVar + "=1", "TMPDIR=" + filepath.Join(dir, "tmp"),
		"PATH=" + os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin", "TERM=dumb"}
	for _, name := range []string{"HOME", "RSP_LAB", "GORACE", "GODEBUG", "GOTRACEBACK"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	script := strings.NewReplacer(
		"@ENV@", quote(env...), "@DIR@", quote(dir), "@WORK@", quote(work), "@STARTED@", quote(started), "@ENDED@", quote(ended),
		"@COMMAND@", quote(append([]string{binary}, args...)...),
	).Replace(initScript)
	if err := os.WriteFile(filepath.Join(dir, "init"), []byte(script), 0o755); err != nil {
		tb.Fatal(err)
	}
	for _, sub := range []string{"tmp", "lib", "uml"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Symlink("/usr/lib/uml/modules", filepath.Join(dir, "lib", "modules")); err != nil {
		tb.Fatal(err)
	}
}

// testBinary is what runs in the guest: this test binary, or without the race detector
// another of the same package. User-Mode Linux gives a process 512 GiB of addresses, the detector needs
// more.
func testBinary(tb testing.TB, dir string) string {
	tb.Helper()
	if !raceEnabled {
		binary, err := os.Executable()
		if err != nil {
			tb.Fatal(err)
		}
		return binary
	}
	Need(tb, "go", "golang-go")
	binary := filepath.Join(dir, "test")
	if out, err := exec.Command("go", "test", "-race=false", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		tb.Fatalf("building the test without the race detector: %v\n%s", err, out)
	}
	return binary
}

// quote makes words of a shell script.
func quote(words ...string) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "'")
	}
	return b.String()
}

// command starts the guest that writeInit prepared, and ends it with all its processes
// when the test's deadline is near.
func command(tb testing.TB, dir string) *exec.Cmd {
	tb.Helper()
	ctx := tb.Context()
	if deadline, ok := testDeadline(tb); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-grace/2))
		tb.Cleanup(cancel)
	}
	cmd := exec.CommandContext(ctx, "linux.uml", "mem=1G", "rootfstype=hostfs", "rootflags=/", "rw",
		"init="+filepath.Join(dir, "init"), "uml_dir="+filepath.Join(dir, "uml")+"/",
		"con=null", "con0=null,fd:1", "quiet")
	cmd.Env = os.Environ()
	if shim := xstateShim(tb, dir); shim != "" {
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+shim)
	}
	// The guest is many processes; its group ends them together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// watch runs the guest and repeats the lines that the test binary prints. What
// came before them is the boot log.
func watch(tb testing.TB, cmd *exec.Cmd) (lines []string, boot string, err error) {
	tb.Helper()
	console, guest := io.Pipe()
	cmd.Stdout, cmd.Stderr = guest, guest
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		result <- cmd.Wait()
		guest.Close()
	}()
	var log strings.Builder
	up := false
	for r := bufio.NewReader(console); ; {
		line, err := r.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == ended:
			up = false
		case up && line != "":
			lines = append(lines, line)
			io.WriteString(tb.Output(), line+"\n")
		case line == started:
			up = true
		default:
			log.WriteString(line + "\n")
		}
		if errors.Is(err, io.EOF) {
			return lines, log.String(), <-result
		}
	}
}

// xstateShim compiles the library without which a guest cannot start on this
// processor, see xstate.c.txt, and returns its path; "" where none is needed.
func xstateShim(tb testing.TB, dir string) string {
	tb.Helper()
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		tb.Fatal(err)
	}
	if !strings.Contains(string(cpuinfo), " amx_tile") {
		return ""
	}
	Need(tb, "cc", "gcc (User-Mode Linux needs a compiled shim on processors with AMX)")
	source, shim := filepath.Join(dir, "xstate.c"), filepath.Join(dir, "xstate.so")
	if err := os.WriteFile(source, []byte(xstateSource), 0o644); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", shim, source).CombinedOutput(); err != nil {
		tb.Fatalf("cc: %v\n%s", err, out)
	}
	return shim
}
