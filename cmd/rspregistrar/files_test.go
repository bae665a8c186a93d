package main

import (
	"compress/bzip2"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// scenario runs the program with args while a PE registers in two ways, a PU resolves and
// reports it, and it deregisters.
func scenario(t *testing.T, args ...string) {
	t.Helper()
	addr, _, log, stop := start(t, args...)
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{addr}, Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	pe, err := e.Listen(ctx, "EchoPool", rsp.PE{ID: 0xa})
	if err != nil {
		t.Fatalf("%v; log:\n%s", err, log.String())
	}
	if _, err := e.Resolve(ctx, "EchoPool", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Resolve(ctx, "NoPool", 1); err == nil {
		t.Fatal("NoPool exists")
	}
	time.Sleep(50 * time.Millisecond) // a line of the statistics
	if err := pe.Close(); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The lines of RSPLIB's action log, but for the times: the spec's columns, "first data column is
// an unnamed 6-digit line number".
func TestActionLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "actions")
	scenario(t, "-actionlogfile="+file)
	times := regexp.MustCompile(`(?m)^(\d{6})   \d{10}\.\d{6} \d+\.\d{6} `)
	got := times.ReplaceAllString(read(t, file), "$1   T ")
	const want = actionLogHeader +
		`000001   T   "Recv" "ASAP" "Registration" "Requested"   0x0 0 0.000000   "EchoPool" 0xa   0x11111111 0x0 0x0   0
000002   T   "Send" "ASAP" "RegistrationResponse" "Requested"   0x0 0 0.000000   "EchoPool" 0xa   0x11111111 0x0 0x0   0
000003   T   "Recv" "ASAP" "HandleResolution" "Requested"   0x0 2 0.000000   "EchoPool" 0x0   0x0 0x0 0x0   0
000004   T   "Send" "ASAP" "HandleResolutionResponse" "Requested"   0x0 1 0.000000   "EchoPool" 0xa   0x0 0x0 0x0   0
000005   T   "Recv" "ASAP" "HandleResolution" "Requested"   0x0 1 0.000000   "NoPool" 0x0   0x0 0x0 0x0   0
000006   T   "Send" "ASAP" "HandleResolutionResponse" "Requested"   0x0 0 0.000000   "NoPool" 0x0   0x0 0x0 0x0   9
000007   T   "Recv" "ASAP" "Deregistration" "Requested"   0x0 0 0.000000   "EchoPool" 0xa   0x11111111 0x0 0x0   0
000008   T   "Send" "ASAP" "DeregistrationResponse" "Requested"   0x0 0 0.000000   "EchoPool" 0xa   0x11111111 0x0 0x0   0
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What the scenario does not have: keep-alives with their times, losses, and ENRP.
func TestActionLogLines(t *testing.T) {
	start := time.Unix(1795302410, 684246000)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	var b strings.Builder
	l := newActionLog(&b, start, 5*time.Second)
	l.id = 0x11111111
	for _, e := range []rsp.TraceEntry{
		{Time: at(0), Sent: true, Protocol: "ASAP", Message: "ENDPOINT_KEEP_ALIVE", Pool: "P", PE: 0xb, Sender: 0x11111111},
		{Time: at(1), Protocol: "ASAP", Message: "ENDPOINT_KEEP_ALIVE_ACK", Pool: "P", PE: 0xb},
		{Time: at(2), Protocol: "ASAP", Pool: "P", PE: 0xb, Lost: rsp.AssociationLost},
		{Time: at(3), Sent: true, Protocol: "ENRP", Message: "HANDLE_UPDATE", Pool: "P", PE: 0xb, Sender: 0x11111111, Receiver: 0x22222222, Deleted: true},
		{Time: at(4), Multicast: true, Protocol: "ENRP", Message: "PRESENCE", Sender: 0x22222222, Flags: 1},
		{Time: at(5), Protocol: "ENRP", Message: "INIT_TAKEOVER", Sender: 0x22222222, Receiver: 0x11111111, Target: 0x33333333},
		{Time: at(6), Protocol: "ASAP", Cause: 0x10},
	} {
		l.write(e)
	}
	const want = actionLogHeader +
		`000001   1795302410.684246 0.000000   "Send" "ASAP" "EndpointKeepAlive" "KeepAliveTransmissionTimer"   0x0 0 5.000000   "P" 0xb   0x11111111 0x0 0x0   0
000002   1795302410.685246 0.001000   "Recv" "ASAP" "EndpointKeepAliveAck" "InTime"   0x0 0 0.001000   "P" 0xb   0x0 0x0 0x0   0
000003   1795302410.686246 0.002000   "Recv" "ASAP" "Deregistration" "Disconnect"   0x0 0 0.000000   "P" 0xb   0x11111111 0x0 0x0   0
000004   1795302410.687246 0.003000   "Send" "ENRP" "Update" "DelPE"   0x0 0 0.000000   "P" 0xb   0x11111111 0x22222222 0x0   0
000005   1795302410.688246 0.004000   "Recv" "MulticastENRP" "Presence" ""   0x1 0 0.000000   "" 0x0   0x22222222 0x0 0x0   0
000006   1795302410.689246 0.005000   "Recv" "ENRP" "InitTakeover" ""   0x0 0 0.000000   "" 0x0   0x22222222 0x11111111 0x33333333   0
000007   1795302410.690246 0.006000   "Recv" "ASAP" "Unreadable" ""   0x0 0 0.000000   "" 0x0   0x0 0x0 0x0   16
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The statistics have the spec's header, a line at the start and one for each interval.
func TestStatistics(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stats")
	scenario(t, "-statsfile="+file, "-statsinterval=10")
	header, lines, _ := strings.Cut(read(t, file), "\n")
	const want = "AbsTime RelTime Runtime UserTime SystemTime   Peers Pools PoolElements OwnedPoolElements   " +
		"Registrations Reregistrations Deregistrations HandleResolutions FailureReports Synchronizations HandleUpdates EndpointKeepAlives"
	if header != want {
		t.Errorf("header %q", header)
	}
	line := regexp.MustCompile(`^(\d{6}) \d{10}\.\d{6} \d+\.\d{6}   \d+\.\d{6} \d+\.\d{6} \d+\.\d{6}   (\d+ \d+ \d+ \d+   \d+ \d+ \d+ \d+ \d+ \d+ \d+ \d+)$`)
	var figures []string
	for l := range strings.Lines(lines) {
		match := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if match == nil {
			t.Fatalf("line %q", l)
		}
		figures = append(figures, match[2])
		if want := fmt.Sprintf("%06d", len(figures)); match[1] != want {
			t.Errorf("line %s is the one by number %s", match[1], want)
		}
	}
	if first := "0 0 0 0   0 0 0 0 0 0 0 0"; figures[0] != first {
		t.Errorf("it begins with %s", figures[0])
	}
	// One pool with one PE of our own, one registration, two resolutions.
	if busy := "0 1 1 1   1 0 0 2 0 0 0 0"; !strings.Contains(strings.Join(figures, "\n"), busy) {
		t.Errorf("no line has %s:\n%s", busy, lines)
	}
}

func TestScalars(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scalars")
	scenario(t, "-scalar="+file, "-object=obj")
	got := read(t, file)
	average := regexp.MustCompile(`0\.\d{6}\n`)
	if n := strings.Count(got, " 0.000000\n"); n != 1 {
		t.Errorf("%d averages are 0, not that of peers alone:\n%s", n, got)
	}
	// As RSPLIB 3.4.4 writes it.
	const want = `run 1 "scenario"
scalar "obj" "Registrar Total Registrations"               1
scalar "obj" "Registrar Total Reregistrations"             0
scalar "obj" "Registrar Total Deregistrations"             1
scalar "obj" "Registrar Total Handle Resolutions"          2
scalar "obj" "Registrar Total Failure Reports"             0
scalar "obj" "Registrar Total Synchronizations"            0
scalar "obj" "Registrar Total Handle Updates"              0
scalar "obj" "Registrar Total Endpoint Keep Alives"        0
scalar "obj" "Registrar Average Number Of Pools"               A
scalar "obj" "Registrar Average Number Of Pool Elements"       A
scalar "obj" "Registrar Average Number Of Owned Pool Elements" A
scalar "obj" "Registrar Average Number Of Peers"               A
`
	if diff := cmp.Diff(want, average.ReplaceAllString(got, "A\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Totals and averages go over all lives: 2 elements for 10 s, then none for 10 s.
func TestStatisticsOfSeveralLives(t *testing.T) {
	st := statistics{start: time.Unix(1000, 0)}
	st.endLife(&rsp.RegistrarStats{Registrations: 2, Reregistrations: 3, AverageElements: 2}, 10*time.Second)
	st.endLife(&rsp.RegistrarStats{Registrations: 1}, 5*time.Second)
	var b strings.Builder
	st.writeScalars(&b, time.Unix(1020, 0), "o")
	for _, want := range []string{`Registrations"               6`, `Reregistrations"             3`, `Of Pool Elements"       1.000000`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in:\n%s", want, b.String())
		}
	}
}

func TestCompressed(t *testing.T) {
	if _, err := exec.LookPath("bzip2"); err != nil {
		t.Skip("bzip2 is absent")
	}
	file := filepath.Join(t.TempDir(), "actions.bz2")
	scenario(t, "-actionlogfile="+file)
	got, err := io.ReadAll(bzip2.NewReader(strings.NewReader(read(t, file))))
	if err != nil || !strings.HasPrefix(string(got), actionLogHeader) || strings.Count(string(got), "\n") != 9 {
		t.Errorf("%v\n%s", err, got)
	}
}

// With -uptime and -downtime the registrar fails and comes back.
func TestFailures(t *testing.T) {
	_, _, log, stop := start(t, "-uptime=0.01", "-downtime=0.01")
	for deadline := time.Now().Add(10 * time.Second); strings.Count(log.String(), "registrar is running") < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("log:\n%s", log.String())
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "registrar has failed") {
		t.Errorf("log:\n%s", log.String())
	}
}

// With -daemonpidfile the program goes on in the background, and the file says as what.
func TestDaemon(t *testing.T) {
	dir := t.TempDir()
	pidFile, logFile := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	if err := program(t, new(lab.Output), "-daemonpidfile="+pidFile, "-logfile="+logFile).Wait(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(read(t, pidFile), &pid); err != nil {
		t.Fatal(err)
	}
	daemon, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Kill() // fails if it has ended
	waitFor := func(what string, reached func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !reached(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the daemon does not ", what)
			}
		}
	}
	waitFor("run", func() bool {
		log, err := os.ReadFile(logFile)
		return err == nil && running.Match(log)
	})
	if err := daemon.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	waitFor("remove its file", func() bool { _, err := os.Stat(pidFile); return os.IsNotExist(err) })
}
