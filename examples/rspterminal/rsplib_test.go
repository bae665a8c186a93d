package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
)

// programVar makes the test binary the program.
const programVar = "RSPTERMINAL_TEST_PROGRAM"

// library are the options by which RSPLIB's programs and ours find RSPLIB's registrar.
var library = []string{"-registrar=192.168.77.1:3863", "-asapannounce=off"}

func startRSPLIB(ctx context.Context, t *testing.T, args ...string) *lab.Process {
	t.Helper()
	p := lab.Start(t, lab.RSPLIB(t, "rspserver", append(library[:2:2], args...)...))
	p.Expect(ctx, t, "Identifier")
	return p
}

// startTerminal starts this program in a guest.
func startTerminal(ctx context.Context, t *testing.T, pool string) *lab.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(library[:2:2], "-poolhandle="+pool)...)
	cmd.Env = append(os.Environ(), programVar+"=1")
	p := lab.Start(t, cmd)
	p.Expect(ctx, t, "Pool Handle = "+pool+"\n")
	return p
}

// With RSPLIB's registrar and servers.
func TestWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		lab.Start(t, lab.RSPLIB(t, "rspregistrar", "-asap=192.168.77.1:3863", "-asapannounce=off", "-enrp=192.168.77.1:9901", "-enrpannounce=off")).
			Expect(ctx, t, "Max Endpoint Unreachable Rate")
		t.Run("echo", func(t *testing.T) { testEcho(ctx, t) })
		t.Run("discard", func(t *testing.T) { testDiscard(ctx, t) })
		t.Run("daytime", func(t *testing.T) { testDaytime(ctx, t) })
	})
}

// A line that is typed when its server has been killed goes to the other one.
func testEcho(ctx context.Context, t *testing.T) {
	server := startRSPLIB(ctx, t, "-echo", "-identifier=0x10")
	terminal := startTerminal(ctx, t, "EchoPool")
	terminal.Input(t, "hello")
	terminal.Expect(ctx, t, "from PE $00000010> hello\n")
	startRSPLIB(ctx, t, "-echo", "-identifier=0x11")
	server.Kill()
	terminal.Expect(ctx, t, "state=RSERPOOL_FAILOVER_NECESSARY, cookie=no\n")
	terminal.Input(t, "two")
	terminal.Expect(ctx, t, "state=RSERPOOL_FAILOVER_COMPLETE, cookie=no\n")
	terminal.Expect(ctx, t, "from PE $00000011> two\n")
}

func testDiscard(ctx context.Context, t *testing.T) {
	server := startRSPLIB(ctx, t, "-discard")
	terminal := startTerminal(ctx, t, "DiscardPool")
	terminal.Input(t, "hello")
	server.Expect(ctx, t, "Discard 6 bytes on session 1")
}

// RSPLIB's Daytime ends each session, and RSPLIB's terminal fails over for ever. This one waits for a line.
func testDaytime(ctx context.Context, t *testing.T) {
	startRSPLIB(ctx, t, "-daytime", "-identifier=0x30")
	terminal := startTerminal(ctx, t, "DaytimePool")
	terminal.Expect(ctx, t, "from PE $00000030> "+time.Now().Format("Monday, 02-January-2006"))
	terminal.Expect(ctx, t, "The next line goes to another one.\n")
	if strings.Contains(terminal.Output(), "FAILOVER #1") {
		t.Errorf("it does not wait:\n%s", terminal.Output())
	}
	terminal.Input(t, "again")
	terminal.Expect(ctx, t, "FAILOVER #1 ...\n")
	terminal.Interrupt(t)
	if err := terminal.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}
