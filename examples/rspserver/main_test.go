package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
)

// programVar makes the test binary the program.
const programVar = "RSPSERVER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// registrar is one on this machine, over TCP, for the time of the test.
func registrar(t *testing.T) (addr string) {
	t.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.TCPMapping})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Shutdown(context.Background()) })
	return r.Addr()
}

// started is the program, run in this process.
type started struct {
	lines chan string  // what it prints
	stop  func() error // as a signal does, and returns the program's error
}

func start(t *testing.T, args ...string) *started {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, args, nil, w, os.Stderr)
		w.Close()
	}()
	s := &started{lines: make(chan string, 1000)} // the program need not wait for us
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			s.lines <- lines.Text() + "\n"
		}
		close(s.lines)
	}()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { s.stop() })
	return s
}

// until returns what the program prints, to the line that contains text.
func (s *started) until(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	for line := range s.lines {
		all.WriteString(line)
		if strings.Contains(line, text) {
			return all.String()
		}
	}
	t.Fatalf("it has ended before %q:\n%s", text, all.String())
	return ""
}

// The program prints at its start what RSPLIB's does, and serves.
func TestEcho(t *testing.T) {
	addr := registrar(t)
	s := start(t, "-registrar="+addr, "-echo", "-identifier=0xabc1001", "-local=127.0.0.1:0", "-rereginterval=1500")
	const want = `Starting service Echo...
Echo Server - Version 1.0
=========================

General Parameters:
   Pool Handle             = EchoPool
   Reregistration Interval = 1.500s
   Local Addresses         = { 127.0.0.1:0 }
   Runtime Limit           = off
   Policy Settings
      Policy Type          = RoundRobin
Registration:
   Identifier              = $0abc1001
`
	if got := s.until(t, "Identifier"); got != want {
		t.Errorf("it prints\n%s", got)
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{addr}, Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	session, err := e.Connect(t.Context(), "EchoPool")
	if err != nil {
		t.Fatal(err)
	}
	if err := session.SendMsg(t.Context(), []byte("hello"), rsp.MsgInfo{PPID: 7, Stream: 1}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	n, info, err := session.RecvFullMsg(t.Context(), buf)
	if err != nil || string(buf[:n]) != "hello" || info.PPID != 7 || info.Stream != 1 || info.PE != 0xabc1001 {
		t.Errorf("answer %q, %+v, %v", buf[:n], info, err)
	}
	session.Close()
	const stamp = `\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{4}: `
	events := regexp.MustCompile(`^\n` +
		stamp + "NOTIFICATION: RSERPOOL_SESSION_CHANGE for session 1, state=RSERPOOL_SESSION_ADD\n" +
		stamp + "Echo 5 bytes on session 1\n" +
		stamp + "NOTIFICATION: RSERPOOL_SESSION_CHANGE for session 1, state=RSERPOOL_SESSION_REMOVE\n$")
	if got := s.until(t, "SESSION_REMOVE"); !events.MatchString(got) {
		t.Errorf("it prints\n%s", got)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// "-runtime: after the configured number of seconds" and, as the unit of RSPLIB's program is not
// what it says, not milliseconds.
func TestRuntime(t *testing.T) {
	s := start(t, "-registrar="+registrar(t), "-discard", "-runtime=0.3")
	if got := s.until(t, "Auto-stop reached!"); !strings.Contains(got, "Runtime Limit           = 0.300 [s]\n") {
		t.Errorf("it prints\n%s", got)
	}
	s.until(t, "Terminated!")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if o, err := parse([]string{"-runtime=30.125"}, io.Discard); err != nil || o.runtime != 30125*time.Millisecond {
		t.Errorf("-runtime=30.125 is %v, %v", o.runtime, err)
	}
}

// With -uptime and -downtime the PE goes away and comes back, under its identifier if it has been given one.
func TestUptime(t *testing.T) {
	s := start(t, "-registrar="+registrar(t), "-daytime", "-uptime=0.01", "-downtime=0.01", "-identifier=7")
	for range 3 {
		s.until(t, "Starting service Daytime...")
		s.until(t, "Waiting for")
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// -quiet: neither start nor end is told.
func TestQuiet(t *testing.T) {
	var stdout strings.Builder
	if err := run(t.Context(), []string{"-registrar=" + registrar(t), "-quiet", "-runtime=0.05"}, nil, &stdout, io.Discard); err != nil || stdout.String() != "" {
		t.Errorf("%v, it prints\n%s", err, stdout.String())
	}
}

// A later choice of a service holds, and each has its own pool; so has RSPLIB's.
func TestLastServiceWins(t *testing.T) {
	for args, want := range map[string]rsp.PoolHandle{
		"": "EchoPool", "-discard": "DiscardPool", "-fractal": "FractalGeneratorPool", "-echo -daytime": "DaytimePool", "-daytime -poolhandle=P -echo": "P",
	} {
		if o, err := parse(strings.Fields(args), io.Discard); err != nil || o.pool != want {
			t.Errorf("%s: pool %s, %v", args, o.pool, err)
		}
	}
}

// An error names the option.
func TestParseErrors(t *testing.T) {
	for _, arg := range []string{
		"-nosuchoption", "-policy=Foo", "-identifier=0", "-identifier=x", "-rereginterval=9", "-rereginterval=1s", "-runtime=-1",
		"-runtime=NaN", "-uptime=1", "-poolhandle=", "-echo=maybe", "-loglevel=10", "argument", "-cspfoo=1",
	} {
		_, err := parse([]string{arg}, io.Discard)
		if name, _, _ := strings.Cut(arg, "="); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

// Files that cannot be written are errors before anything is served.
func TestCannotStart(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none", "file")
	for _, args := range [][]string{{"-logfile=" + none}, {"-daemonpidfile=" + none}, {"-local=192.0.2.1:0", "-registrar=127.0.0.1:1"}} {
		if err := run(t.Context(), args, nil, io.Discard, io.Discard); err == nil {
			t.Errorf("it serves with %v", args)
		}
	}
}

// Help names every service.
func TestHelp(t *testing.T) {
	var stdout strings.Builder
	if err := run(t.Context(), []string{"-help"}, nil, &stdout, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, s := range offers() {
		if !strings.Contains(stdout.String(), "  -"+s.flag+"\n") {
			t.Errorf("no -%s in\n%s", s.flag, stdout.String())
		}
	}
}

// With -daemonpidfile the program goes on in the background, as the process that the file names, and removes the file at
// its end.
func TestDaemon(t *testing.T) {
	addr, file := registrar(t), filepath.Join(t.TempDir(), "pid")
	cmd := exec.Command(os.Args[0], "-registrar="+addr, "-daemonpidfile="+file)
	cmd.Env = append(os.Environ(), programVar+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid == cmd.Process.Pid {
		t.Fatalf("process ID %q, %v", text, err)
	}
	background, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { background.Kill() }) // fails if it has ended
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{addr}, Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	eventually(t, "the process serves", func() bool { _, err := e.Resolve(t.Context(), "EchoPool", 1); return err == nil })
	if err := background.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is removed", func() bool { _, err := os.Stat(file); return errors.Is(err, os.ErrNotExist) })
}

// eventually waits until done.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}
