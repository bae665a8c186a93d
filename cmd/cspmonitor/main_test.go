package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/csp"
)

// programVar makes the test binary the program.
const programVar = "CSPMONITOR_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

var (
	now = time.Date(2026, 11, 21, 23, 7, 36, 688400000, time.UTC)

	registrar = csp.Report{
		Sender: 0x0100000011111111, Uptime: 90 * time.Minute, Interval: time.Second,
		Location: "(none): 10.50.0.1:3863", Status: "1[1] PEs in 1 Pools, 1 Peers", Workload: csp.NoWorkload,
		Associations: []csp.Association{{Receiver: 0x0100000022222222, Duration: -1, Protocol: csp.ProtocolTCP, PPID: 12}},
	}
	element = csp.Report{
		Sender: 0x020000000abc1002, Uptime: 36 * time.Second, Interval: time.Second,
		Location: "(none): 10.50.0.3:44911", Status: "0 Sessions", Workload: csp.WorkloadOf(0.005),
		Associations: []csp.Association{{Receiver: 0x0100000011111111, Duration: 36 * time.Second, Protocol: csp.ProtocolSCTP, PPID: 11}},
	}
	user = csp.Report{
		Sender: 0x037d0d2fe5ff9354, Uptime: 29 * time.Second, Interval: time.Second,
		Location: "(none): 10.50.0.7", Status: "1 Session", Workload: csp.NoWorkload,
		Associations: []csp.Association{{Receiver: 0x020000000abc1002, Duration: 3661 * time.Second, Protocol: csp.ProtocolSCTP, PPID: 32}},
	}
)

// screenAfter is what is drawn a while after reports have come.
func screenAfter(t *testing.T, args string, terminal bool, while time.Duration, reports ...csp.Report) string {
	t.Helper()
	o, err := parse(strings.Fields(args), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c := newComponents(o.purgeInterval)
	for _, r := range reports {
		c.handle(now.Add(-while), r.AppendTo(nil))
	}
	return string((&screen{options: o, terminal: terminal}).draw(now, c.list(now)))
}

func wantScreen(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// RSPLIB's form, in a pipe: by group, without control codes.
func TestScreen(t *testing.T) {
	wantScreen(t, screenAfter(t, "", false, 700*time.Millisecond, user, registrar, element),
		`21-Nov-2026 23:07:36.6884: Current Component Status -- 1 PRs, 1 PEs, 1 PUs
PR $11111111 [(none): 10.50.0.1:3863]  U=01:30:00 l=0.7s A=1 "1[1] PEs in 1 Pools, 1 Peers"
PE $0abc1002 [(none): 10.50.0.3:44911] U=00:00:36 l=0.7s A=1 L=  1% "0 Sessions"
PU $7d0d2fe5ff9354 [(none): 10.50.0.7]       U=00:00:29 l=0.7s A=1 "1 Session"

`)
}

func TestFullScreen(t *testing.T) {
	wantScreen(t, screenAfter(t, "-full", false, 0, user, registrar, element),
		`21-Nov-2026 23:07:36.6884: Current Component Status -- 1 PRs, 1 PEs, 1 PUs
PR $11111111 [(none): 10.50.0.1:3863]  U=01:30:00 l=0.0s A=1 "1[1] PEs in 1 Pools, 1 Peers"
   -> PR $22222222 ENRP/TCP         
PE $0abc1002 [(none): 10.50.0.3:44911] U=00:00:36 l=0.0s A=1 L=  1% "0 Sessions"
   -> PR $11111111 ASAP/SCTP         duration=0:00:36
PU $7d0d2fe5ff9354 [(none): 10.50.0.7]       U=00:00:29 l=0.0s A=1 "1 Session"
   -> PE $0abc1002 0x00000020/SCTP   duration=1:01:01

`)
}

// On a terminal, each screen is drawn over the one before.
func TestTerminal(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{options: o, terminal: true}
	c := newComponents(o.purgeInterval)
	const header = "21-Nov-2026 23:07:36.6884: Current Component Status -- %d PRs, 0 PEs, 0 PUs\x1b[K\n"
	wantScreen(t, string(s.draw(now, c.list(now))), "\x1b[2J\x1b[H"+fmt.Sprintf(header, 0)+"\x1b[J")
	c.handle(now, registrar.AppendTo(nil))
	wantScreen(t, string(s.draw(now, c.list(now))), "\x1b[H"+fmt.Sprintf(header, 1)+
		"\x1b[31mPR $11111111 [(none): 10.50.0.1:3863] U=01:30:00 l=0.0s A=1 \"1[1] PEs in 1 Pools, 1 Peers\"\x1b[0m\x1b[K\n\x1b[J")
}

func TestLimits(t *testing.T) {
	long := registrar
	long.Sender, long.Location = 0x0100000000000001, strings.Repeat("a", 20)
	wantScreen(t, screenAfter(t, "-maxpr=1 -maxpe=0 -maxlocationsize=5", false, 0, registrar, long, element),
		`21-Nov-2026 23:07:36.6884: Current Component Status -- 2 PRs, 1 PEs, 0 PUs
PR $11111111 [(none] U=01:30:00 l=0.0s A=1 "1[1] PEs in 1 Pools, 1 Peers"
... and 1 more PRs
... and 1 more PEs

`)
}

// What comes from the network does nothing to a terminal.
func TestHostileText(t *testing.T) {
	r := registrar
	r.Location, r.Status = "\x1b[2J\nx", "\x9b1;\u202e\xff"
	got := screenAfter(t, "-maxpr=7", false, 0, r)
	if strings.ContainsAny(got, "\x1b\u202e\u009b") || !utf8.ValidString(got) || strings.Count(got, "\n") != 3 {
		t.Errorf("%q", got)
	}
}

// A component goes with its final report, or when it is silent for ten reports or the purge interval.
func TestPurge(t *testing.T) {
	c := newComponents(30 * time.Second)
	slow := element
	slow.Interval = time.Minute
	for _, r := range []csp.Report{registrar, slow, user} {
		c.handle(now, r.AppendTo(nil))
	}
	end := csp.Report{Sender: user.Sender, Final: true}
	c.handle(now, end.AppendTo(nil))
	for after, want := range map[time.Duration]int{0: 2, 10 * time.Second: 2} {
		if n := len(c.list(now.Add(after))); n != want {
			t.Errorf("%d components after %v, want %d", n, after, want)
		}
	}
	if l := c.list(now.Add(10*time.Second + 1)); len(l) != 1 || l[0].Sender != element.Sender {
		t.Errorf("after ten intervals: %v", l)
	}
	if n := len(c.list(now.Add(30*time.Second + 1))); n != 0 {
		t.Errorf("%d components after the purge interval", n)
	}
}

// Anybody can send anything: it is ignored, and there is an end to what is remembered.
func TestGarbage(t *testing.T) {
	c := newComponents(time.Minute)
	c.handle(now, []byte("hello"))
	c.handle(now, nil)
	for id := range csp.ComponentID(maxComponents + 10) {
		r := csp.Report{Sender: 3<<56 | id}
		c.handle(now, r.AppendTo(nil))
	}
	if n := len(c.list(now)); n != maxComponents {
		t.Errorf("%d components", n)
	}
}

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"":                    "",
		"-updateinterval=100": "",
		"-compact":            "",
		"-nosuchoption":       "nosuchoption",
		"argument":            "argument",
		"-updateinterval=99":  "at least 100",
		"-purgeinterval=999":  "at least 1000",
		"-purgeinterval=x":    "purgeinterval",
		"-maxpr=-1":           "0 to 65535",
		"-maxpe=1x":           "0 to 65535",
		"-maxpu=":             "0 to 65535",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
	var help strings.Builder
	if _, err := parse([]string{"-help"}, &help); err != flag.ErrHelp || !strings.Contains(help.String(), "-purgeinterval ms") {
		t.Errorf("-help: %v\n%s", err, &help)
	}
}

// The program shows what comes by UDP, in a pipe, until it is told to end.
func TestRun(t *testing.T) {
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	local := probe.LocalAddr().String()
	probe.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-localaddress=" + local, "-updateinterval=100"}, w, false)
		w.Close()
	}()
	conn, err := net.Dial("udp", local)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var shown strings.Builder
	for buf := make([]byte, 1<<16); !strings.Contains(shown.String(), `"1[1] PEs in 1 Pools, 1 Peers"`); {
		conn.Write(registrar.AppendTo(nil)) // refused until the program listens
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("%v; shown:\n%s", <-ended, &shown)
		}
		shown.Write(buf[:n])
	}
	cancel()
	go io.Copy(io.Discard, r)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunErrors(t *testing.T) {
	for _, args := range [][]string{{"-localaddress=x"}, {"-localaddress=192.0.2.1:2960"}} {
		if err := run(t.Context(), args, io.Discard, false); err == nil {
			t.Errorf("%v: it runs", args)
		}
	}
	r, w := io.Pipe()
	r.Close()
	if err := run(t.Context(), []string{"-localaddress=127.0.0.1:0"}, w, false); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("without a reader: %v", err)
	}
}
