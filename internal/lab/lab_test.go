package lab

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var outcome = flag.String("lab.outcome", "", "how TestHelper ends in its guest (used by TestOutcome)")

func TestRun(t *testing.T) {
	Run(t, func(t *testing.T) {
		if !Inside() {
			t.Error("the body runs outside")
		}
		if os.Getuid() != 0 {
			t.Errorf("user %d, want root", os.Getuid())
		}
		if _, err := os.Stat("/proc/sys/net/sctp"); err != nil {
			t.Errorf("no SCTP: %v", err)
		}
	})
}

// A test outside ends as it does inside, and leaves neither files nor processes.
func TestOutcome(t *testing.T) {
	if Inside() {
		t.Skip("starts guests itself")
	}
	Need(t, "linux.uml", "user-mode-linux")
	Need(t, "pgrep", "procps")
	for _, test := range []struct {
		outcome, want string
		fails         bool
	}{
		{outcome: "pass", want: "--- PASS: TestHelper ("},
		{outcome: "skip", want: "--- SKIP: TestHelper ("},
		{outcome: "fail", want: "--- FAIL: TestHelper (", fails: true},
		{outcome: "panic", want: "panic: as told", fails: true},
		{outcome: "hang", want: "the guest ended without a result", fails: true},
	} {
		t.Run(test.outcome, func(t *testing.T) {
			binary, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			tmp := t.TempDir()
			timeout := "1m" // a busy machine takes its time to start a guest
			if test.outcome == "hang" {
				timeout = "8s"
			}
			cmd := exec.Command(binary, "-test.v", "-test.run=^TestHelper$", "-test.timeout="+timeout, "-lab.outcome="+test.outcome)
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), test.want) || (err != nil) != test.fails {
				t.Errorf("want %q and failure %v, got %v:\n%s", test.want, test.fails, err, out)
			}
			if rest, _ := filepath.Glob(tmp + "/*"); len(rest) > 0 {
				t.Errorf("left behind: %v", rest)
			}
			if found, _ := exec.Command("pgrep", "-f", tmp).Output(); len(found) > 0 {
				t.Errorf("still running: %s", found)
			}
		})
	}
}

// Without User-Mode Linux a test skips and names the package, unless RSP_LAB says that it must run.
func TestMissing(t *testing.T) {
	if Inside() {
		t.Skip("is about the machine outside")
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		lab, want string
		fails     bool
	}{
		{lab: "", want: "--- SKIP: TestHelper ("},
		{lab: "required", want: "--- FAIL: TestHelper (", fails: true},
	} {
		cmd := exec.Command(binary, "-test.v", "-test.run=^TestHelper$", "-lab.outcome=pass")
		cmd.Env = append(os.Environ(), "PATH=/nowhere", "RSP_LAB="+test.lab)
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), test.want) || (err != nil) != test.fails {
			t.Errorf("RSP_LAB=%s: want %q and failure %v, got %v:\n%s", test.lab, test.want, test.fails, err, out)
		}
		if runtime.GOOS == "linux" && !strings.Contains(string(out), "user-mode-linux") {
			t.Errorf("RSP_LAB=%s: the package is not named:\n%s", test.lab, out)
		}
	}
}

func TestHelper(t *testing.T) {
	if *outcome == "" {
		t.Skip("for TestOutcome only")
	}
	Run(t, func(t *testing.T) {
		t.Log("temporary:", t.TempDir())
		switch *outcome {
		case "skip":
			t.Skip("as told")
		case "fail":
			t.Error("as told")
		case "panic":
			panic("as told")
		case "hang": // so that even the test binary's own timeout does not fire
			exec.Command("kill", "-STOP", strconv.Itoa(os.Getpid())).Run()
		}
	})
}
