package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// labHost is where the parts of these tests meet: RSPLIB refuses loopback addresses.
const labHost = "192.168.77.1"

// monitorOf starts a monitor, ours or RSPLIB's, on a port.
func monitorOf(t *testing.T, rsplib bool, port int) *lab.Process {
	t.Helper()
	args := []string{fmt.Sprintf("-localaddress=0.0.0.0:%d", port), "-updateinterval=250", "-full"}
	if rsplib {
		return lab.Start(t, lab.RSPLIB(t, "cspmonitor", args...))
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), programVar+"=1")
	return lab.Start(t, cmd)
}

// control are the codes for a terminal, which RSPLIB's monitor writes also in a pipe.
var control = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// expect waits until a monitor shows what a pattern describes.
func expect(ctx context.Context, t *testing.T, p *lab.Process, pattern string) {
	t.Helper()
	for re := regexp.MustCompile(pattern); !re.MatchString(control.ReplaceAllString(p.Output(), "")); time.Sleep(50 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("the monitor does not show %q", pattern)
		}
	}
}

// Our monitor and RSPLIB's show the same of RSPLIB's registrar, server and client, and of ours.
func TestMonitorsWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		for i, components := range []struct {
			name  string
			start func(ctx context.Context, t *testing.T, port int)
		}{{"RSPLIB", startRSPLIB}, {"ours", startOurs}} {
			t.Run("components="+components.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
				defer cancel()
				port := 4000 + 100*i
				monitors := map[string]*lab.Process{"RSPLIB's": monitorOf(t, true, port+1), "our": monitorOf(t, false, port+2)}
				components.start(ctx, t, port)
				for name, monitor := range monitors {
					t.Logf("%s monitor", name)
					expect(ctx, t, monitor, `PR \$11111111 \[.*192\.168\.77\.1:\d+.*\] +U=\d+:\d\d:\d\d l=.* A=0 "1\[1\] PEs in 1 Pool, 0 Peers"`)
					expect(ctx, t, monitor, `PE \$00000abc \[.*192\.168\.77\.1:\d+.*\] +U=\d+:\d\d:\d\d l=.* A=1 .*"1 Session"`)
					expect(ctx, t, monitor, `PU \$[0-9a-f]+ \[.*192\.168\.77\.1.*\] +U=\d+:\d\d:\d\d l=.* A=2 .*"1 Session"`)
					expect(ctx, t, monitor, `-> PR \$[01]+ ASAP/SCTP +duration=\d+:\d\d:\d\d`)
					expect(ctx, t, monitor, `-> PE \$0*abc Data/SCTP +duration=\d+:\d\d:\d\d`)
				}
			})
		}
	})
}

// reportTo are the options by which RSPLIB's programs report to a port of the host.
func reportTo(port int) []string {
	return []string{fmt.Sprintf("-cspserver=%s:%d", labHost, port), "-cspinterval=500"}
}

// startRSPLIB starts two sets of RSPLIB's programs, since one of them reports to one monitor.
func startRSPLIB(ctx context.Context, t *testing.T, port int) {
	for i := range 2 {
		asap := fmt.Sprintf("%s:%d", labHost, port+10*(i+1))
		csp := reportTo(port + 1 + i)
		library := append(csp, "-registrar="+asap, "-asapannounce=off")
		lab.Start(t, lab.RSPLIB(t, "rspregistrar", append(csp, "-identifier=0x11111111", "-asap="+asap, "-asapannounce=off",
			fmt.Sprintf("-enrp=%s:%d", labHost, port+10*(i+1)+1), "-enrpannounce=off")...)).
			Expect(ctx, t, "Max Endpoint Unreachable Rate")
		lab.Start(t, lab.RSPLIB(t, "rspserver", append(library, "-echo", "-identifier=0xabc")...)).Expect(ctx, t, "Identifier")
		client := lab.Start(t, lab.RSPLIB(t, "rspterminal", library...))
		for try := 0; ; try++ { // a line that is typed before the client is connected is lost
			client.Input(t, fmt.Sprint("line ", try))
			time.Sleep(500 * time.Millisecond)
			if regexp.MustCompile(`line \d+`).MatchString(client.Output()) {
				break
			}
			if ctx.Err() != nil {
				t.Fatal("no answer")
			}
		}
	}
}

// startOurs starts two scopes of ours likewise.
func startOurs(ctx context.Context, t *testing.T, port int) {
	for i := range 2 {
		server := fmt.Sprintf("%s:%d", labHost, port+1+i)
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{
			ID: 0x11111111, Address: fmt.Sprintf("%s:%d", labHost, port+10*(i+1)), CSPServer: server, CSPInterval: 500 * time.Millisecond,
		})
		if err == nil {
			err = r.Start(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Abort)
		endpoint := func() *rsp.Endpoint {
			e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{r.Addr()}, CSPServer: server, CSPInterval: 500 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(e.Abort)
			return e
		}
		listener, err := endpoint().Listen(ctx, "EchoPool", rsp.PE{ID: 0xabc, Policy: rsp.LeastUsed(0.25)})
		if err != nil {
			t.Fatal(err)
		}
		go listener.AcceptSocket(ctx)
		if _, err := endpoint().Connect(ctx, "EchoPool"); err != nil {
			t.Fatal(err)
		}
	}
}
