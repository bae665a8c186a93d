package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

var registered = regexp.MustCompile(`service is registered`)

// Three nginx, each made a pool element by a proxy PE of its own, serve wrk and curl, who know a proxy PU alone. All
// are processes. One nginx is killed under wrk, and then one proxy PE. Those requests may fail that the killed one has in
// its hands; of those that come on new connections after the loss was noticed, none does.
func TestNginx(t *testing.T) {
	for _, program := range []string{"nginx", "wrk", "curl"} {
		lookPath(t, program)
	}
	s := newScope(t, rsp.TCPMapping)
	dir := t.TempDir()
	names := []string{"anna", "berta", "carla"}
	var killService, killElement []func()
	for _, name := range names {
		addr := freeAddr(t)
		killService = append(killService, runNginx(t, dir, name, addr, ""))
		_, kill := startProcess(t, s, registered, "-service="+addr, "-check=/small", "-interval=200ms")
		killElement = append(killElement, kill)
	}
	proxy := startProgram(t, s, "-listen=127.0.0.1:0")

	served := curl(t, proxy, 9)
	for _, name := range names {
		if served[name] != 3 {
			t.Errorf("curl was served by %v, want each three times", served)
		}
	}
	// wrk opens 32 connections, loses some, and opens others in their place.
	report := wrk(t, proxy, 4*time.Second, func() {
		time.Sleep(time.Second)
		killService[0]()
		waitFor(t, "deregistration of the killed nginx", func() bool { return len(s.elements()) == 2 })
	})
	if report.done == 0 || report.connect != 0 || report.other != 0 || report.broken > connections {
		t.Errorf("while an nginx was killed: %+v; want no failure but of the connections that it had, one request each", report)
	}
	t.Logf("an nginx was killed: %+v", report)
	noFailures := func(when string) {
		report := wrk(t, proxy, 2*time.Second, func() {})
		t.Logf("%s: %+v", when, report)
		if report.done == 0 || report.connect+report.broken+report.other != 0 {
			t.Errorf("%s: %+v, want no failures", when, report)
		}
	}
	noFailures("after the loss was noticed")

	// A proxy PE is not in the way of the bytes: killed, its nginx serves on whom it serves.
	report = wrk(t, proxy, 3*time.Second, func() {
		time.Sleep(time.Second)
		killElement[1]()
		waitFor(t, "loss of the killed proxy PE", func() bool { return len(s.elements()) == 1 })
	})
	t.Logf("a proxy PE was killed: %+v", report)
	if report.done == 0 || report.connect+report.broken+report.other != 0 {
		t.Errorf("while a proxy PE was killed: %+v, want no failures", report)
	}
	if served := curl(t, proxy, 6); served["carla"] != 6 {
		t.Errorf("curl was served by %v, want carla alone", served)
	}
	s.registrar.Abort()
	noFailures("without a registrar")
}

// curl gets a file so many times, each on a connection of its own, and counts who has served it.
func curl(t *testing.T, addr string, n int) map[string]int {
	t.Helper()
	served := make(map[string]int)
	for range n {
		out, err := exec.Command("curl", "-s", "--max-time", "20", "-o", "/dev/null", "-w", "%header{served-by} %{response_code}", "http://"+addr+"/small").CombinedOutput()
		name, code, _ := strings.Cut(string(out), " ")
		if err != nil || code != "200" {
			t.Fatalf("curl: %v, %s", err, out)
		}
		served[name]++
	}
	return served
}

// connections is how many wrk has.
const connections = 32

// report is what wrk says: requests that were answered, and failures: to connect, to read or write what was cut off,
// and whatever else.
type report struct{ done, connect, broken, other int }

// wrk sends requests for the duration, while something happens, of which it is the one half on connections of
// their own each.
func wrk(t *testing.T, addr string, d time.Duration, meanwhile func()) report {
	t.Helper()
	var running sync.WaitGroup
	outs, errs := make([][]byte, 2), make([]error, 2)
	for i, header := range []string{"Connection: keep-alive", "Connection: close"} {
		running.Go(func() {
			outs[i], errs[i] = exec.Command("wrk", "-t1", fmt.Sprint("-c", connections/2), fmt.Sprintf("-d%.0fs", d.Seconds()), "--timeout", "20s",
				"-H", header, "http://"+addr+"/small").CombinedOutput()
		})
	}
	meanwhile()
	running.Wait()
	var sum report
	for i, out := range outs {
		if errs[i] != nil {
			t.Fatalf("wrk: %v\n%s", errs[i], out)
		}
		sum.add(t, out)
	}
	return sum
}

var (
	wrkDone   = regexp.MustCompile(`(\d+) requests in`)
	wrkSocket = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatus = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

func (r *report) add(t *testing.T, out []byte) {
	t.Helper()
	number := func(re *regexp.Regexp, group int) int {
		match := re.FindSubmatch(out)
		if match == nil {
			return 0
		}
		n, err := strconv.Atoi(string(match[group]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r.done += number(wrkDone, 1)
	r.connect += number(wrkSocket, 1)
	r.broken += number(wrkSocket, 2) + number(wrkSocket, 3)
	r.other += number(wrkSocket, 4) + number(wrkStatus, 1)
}
