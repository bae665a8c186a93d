package main

import (
	"context"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/lab"
)

// programVar makes the test binary the program.
const programVar = "RSPREGISTRAR_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// local are options for a registrar that nobody outside sees.
var local = []string{"-identifier=0x11111111", "-asap=127.0.0.1:0", "-transport=tcp", "-asapannounce=off", "-enrpannounce=off"}

var running = regexp.MustCompile(`registrar is running.* id=0x11111111 addresses=(127\.0\.0\.1:\d+)`)

// waitRunning waits until the log has the registrar's address.
func waitRunning(t *testing.T, log *lab.Output) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if match := running.FindStringSubmatch(log.String()); match != nil {
			return match[1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("log:\n%s", log.String())
		}
	}
}

// start runs the program until stop, which returns its error.
func start(t *testing.T, args ...string) (addr string, stdout, log *lab.Output, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, log = new(lab.Output), new(lab.Output)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, append(local[:len(local):len(local)], args...), stdout, log) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	return waitRunning(t, log), stdout, log, stop
}

// The program says who and where it is, serves, and ends by itself when it is told to.
func TestRun(t *testing.T) {
	addr, stdout, log, stop := start(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "registrar has ended") {
		t.Errorf("log:\n%s", log.String())
	}
	for _, want := range []string{"0x11111111", addr, "ASAP parameters:", "peerheartbeatcycle                       2444\n", "ENRP parameters:"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in the banner:\n%s", want, stdout)
		}
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// The program reports its status, the last time when it ends.
func TestStatusReports(t *testing.T) {
	monitor, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close()
	_, _, _, stop := start(t, "-cspserver="+monitor.LocalAddr().String(), "-cspinterval=250")
	monitor.SetReadDeadline(time.Now().Add(10 * time.Second))
	next := func() *csp.Report {
		b := make([]byte, 1<<16)
		n, _, err := monitor.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		r, err := csp.Parse(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := next(); r.Sender.String() != "PR $11111111" || r.Status != "0[0] PEs in 0 Pools, 0 Peers" || r.Final {
		t.Errorf("the first report is %+v", r)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for !next().Final {
	}
}

func TestQuiet(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var stdout, log lab.Output
	if err := run(ctx, append(local[:len(local):len(local)], "-quiet"), &stdout, &log); err != nil {
		t.Error(err)
	}
	if stdout.String() != "" || log.String() != "" {
		t.Errorf("it prints %q, %q", stdout.String(), log.String())
	}
}

func TestRunCannotStart(t *testing.T) {
	for _, args := range [][]string{
		{"-asap=192.0.2.1:3863", "-transport=tcp"},
		{"-asap=[::1]:0", "-disable-ipv6", "-transport=tcp"},
		{"-statsfile=" + filepath.Join(t.TempDir(), "none", "file")},
		{"-actionlogfile=" + filepath.Join(t.TempDir(), "none", "file")},
		{"-scalar=" + filepath.Join(t.TempDir(), "none", "file")},
		{"-logfile=" + filepath.Join(t.TempDir(), "none", "file")},
		{"-daemonpidfile=" + filepath.Join(t.TempDir(), "none", "file")},
		{"-asapannounce=10.0.0.1:3863"},
		{"-peer=:"},
	} {
		var stdout, log lab.Output
		if err := run(t.Context(), append(args, "-enrpannounce=off"), &stdout, &log); err == nil {
			t.Errorf("it serves with %v", args)
		}
	}
}

// program is a process of this program.
func program(t *testing.T, log *lab.Output, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(local[:len(local):len(local)], args...)...)
	cmd.Env = append(os.Environ(), programVar+"=1")
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // fails if it has ended
	return cmd
}

// SIGINT ends the program gracefully, with exit code 0.
func TestInterrupt(t *testing.T) {
	var log lab.Output
	cmd := program(t, &log)
	waitRunning(t, &log)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(log.String(), "registrar has ended") {
		t.Errorf("it ends with %v; log:\n%s", err, log.String())
	}
}

// An unknown option is an error: exit code 1.
func TestUnknownOption(t *testing.T) {
	var log lab.Output
	err := program(t, &log, "-nosuchoption").Wait()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(log.String(), "nosuchoption") {
		t.Errorf("it ends with %v; log:\n%s", err, log.String())
	}
}

// The systemd unit uses options that exist.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile("rspregistrar.service")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^ExecStart=\S*/rspregistrar (.*) \$RSPREGISTRAR_OPTIONS$`).FindSubmatch(unit)
	if command == nil {
		t.Fatal("no ExecStart")
	}
	if _, err := parse(strings.Fields(string(command[1])), new(lab.Output)); err != nil {
		t.Error(err)
	}
	for example := range strings.FieldsSeq(regexp.MustCompile(`# .*RSPREGISTRAR_OPTIONS=(.*)`).FindStringSubmatch(string(unit))[1]) {
		if _, err := parse([]string{example}, new(lab.Output)); err != nil {
			t.Error(err)
		}
	}
}

func TestUnitVerifies(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is absent")
	}
	// The program need not be installed where the unit says.
	unit, err := os.ReadFile("rspregistrar.service")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rspregistrar.service")
	if err := os.WriteFile(file, []byte(strings.Replace(string(unit), "/usr/bin/rspregistrar", os.Args[0], 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("systemd-analyze", "verify", "--recursive-errors=no", file).CombinedOutput()
	if err != nil || len(output) > 0 {
		t.Errorf("%v\n%s", err, output)
	}
}

// Help names every option once.
func TestHelp(t *testing.T) {
	var stdout lab.Output
	if _, err := parse([]string{"-help"}, &stdout); err != flag.ErrHelp {
		t.Fatal(err)
	}
	newOptions().flags.VisitAll(func(f *flag.Flag) {
		if n := len(regexp.MustCompile(`(?m)^  -`+f.Name+`(=|$)`).FindAllString(stdout.String(), -1)); n != 1 {
			t.Errorf("-%s is there %d times", f.Name, n)
		}
	})
}
