// Package lab runs a test inside a Linux guest whose kernel has SCTP: User-Mode
// Linux on this machine's own root file system. A machine without kernel SCTP can
// so test against it, against RSPLIB's programs and over cut links, as root of
// a kernel of its own:
//
//	func TestEcho(t *testing.T) {
//		lab.Run(t, func(t *testing.T) {
//			hosts := lab.Hosts(t, 2, 1)
//			hosts[0].Start(t, lab.RSPLIB(t, "rspregistrar"))
//			...
//		})
//	}
//
// The guest runs the very test binary that calls it, or one built anew if that has the race
// detector, which does not work there. Tests skip when the machine lacks a tool, and name it; with RSP_LAB=required
// in the environment they fail instead. A guest starts in 2 to 3 seconds and its
// system calls are slow, so let the subtests of one test share one guest.
//
// Inside, 192.168.77.1/24 is on dummy0, which carries multicast: RSPLIB's servers refuse to
// register loopback addresses.
package lab

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// insideVar is set in the environment of a test binary that runs in a guest.
const insideVar = "RSP_LAB_GUEST"

// Inside reports whether this process runs in a guest.
func Inside() bool { return os.Getenv(insideVar) != "" }

// Run runs body, and thereby this test, in a guest of its own. Outside it passes, fails or
// skips as the test does in the guest, whose output it repeats. The guest is
// killed when the test's deadline is near.
func Run(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if Inside() {
		body(t)
		return
	}
	output := inGuest(t, "-test.run="+runPattern(t.Name()))
	switch {
	case hasLine(output, "--- SKIP: "+t.Name()+" "):
		t.Skip("skipped in the guest")
	case !hasLine(output, "--- PASS: "+t.Name()+" "):
		t.Fatal("the guest did not run this test")
	}
}

// Benchmark runs body as a benchmark in a guest and reports the figures it
// has there; those of a sub-benchmark have its name before their unit, as in
// "Echo:ns/op".
func Benchmark(b *testing.B, body func(b *testing.B)) {
	b.Helper()
	if Inside() {
		body(b)
		return
	}
	output := inGuest(b, "-test.run=^$", "-test.bench="+pattern(b.Name()))
	b.ReportMetric(0, "ns/op") // not the time that the guest took
	found := false
	for _, line := range output {
		found = reportFigures(b, strings.Fields(line)) || found
	}
	if !found {
		b.Fatal("the guest did not run this benchmark")
	}
}

// reportFigures reports those of a line like "BenchmarkEcho 1000 52100 ns/op 0
// B/op 0 allocs/op".
func reportFigures(b *testing.B, line []string) bool {
	if len(line) < 4 {
		return false
	}
	name, sub, _ := strings.Cut(line[0], "/")
	if name != b.Name() {
		return false
	}
	if sub != "" {
		sub += ":"
	}
	for figure := range slices.Chunk(line[2:], 2) {
		if value, err := strconv.ParseFloat(figure[0], 64); err == nil && len(figure) == 2 {
			b.ReportMetric(value, sub+figure[1])
		}
	}
	return true
}

// pattern is the value of -test.run that matches the test called name alone.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

// runPattern is pattern for the test called name, with the subtests that the
// user's own -run chose below it.
func runPattern(name string) string {
	depth := strings.Count(name, "/") + 1
	chosen := strings.Split(flag.Lookup("test.run").Value.String(), "/")
	if len(chosen) <= depth {
		return pattern(name)
	}
	return pattern(name) + "/" + strings.Join(chosen[depth:], "/")
}

// passedOn are the flags of package testing that hold inside as outside.
var passedOn = []string{"test.short", "test.benchtime", "test.benchmem", "test.failfast"}

// arguments are those of the test binary in the guest: the flags that were
// set here, and then extra.
func arguments(extra ...string) []string {
	args := []string{"-test.v=true"}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") || slices.Contains(passedOn, f.Name) {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	return append(args, extra...)
}

func hasLine(lines []string, prefix string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// Need skips the test when a program is absent; with RSP_LAB=required it fails it.
func Need(tb testing.TB, program, debianPackage string) {
	tb.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(tb, program+" is absent: install Debian's package "+debianPackage)
	}
}

func missing(tb testing.TB, reason string) {
	tb.Helper()
	if os.Getenv("RSP_LAB") == "required" {
		tb.Fatal("RSP_LAB=required, but " + reason)
	}
	tb.Skip(reason)
}
