package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
)

// library are the options by which RSPLIB's programs and ours find RSPLIB's registrar.
var library = []string{"-registrar=192.168.77.1:3863", "-asapannounce=off"}

// startServer starts this program in a guest, and waits until it is registered.
func startServer(ctx context.Context, t *testing.T, args ...string) *lab.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(library[:len(library):len(library)], args...)...)
	cmd.Env = append(os.Environ(), programVar+"=1")
	p := lab.Start(t, cmd)
	p.Expect(ctx, t, "Identifier")
	return p
}

func startClient(t *testing.T, program string, args ...string) *lab.Process {
	t.Helper()
	return lab.Start(t, lab.RSPLIB(t, program, append(library[:len(library):len(library)], args...)...))
}

// RSPLIB's clients and registrar take this program for RSPLIB's, and tshark finds nothing wrong with what
// passes between them.
func TestWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		capture := startCapture(ctx, t)
		lab.Start(t, lab.RSPLIB(t, "rspregistrar", "-asap=192.168.77.1:3863", "-asapannounce=off", "-enrp=192.168.77.1:9901", "-enrpannounce=off")).
			Expect(ctx, t, "Max Endpoint Unreachable Rate")
		t.Run("echo", func(t *testing.T) { testEcho(ctx, t) })
		t.Run("discard", func(t *testing.T) { testDiscard(ctx, t) })
		t.Run("daytime", func(t *testing.T) { testDaytime(ctx, t) })
		t.Run("pingpong", func(t *testing.T) { testPingPong(ctx, t) })
		t.Run("chargen", func(t *testing.T) { testCharGen(ctx, t) })
		capture.check(t)
	})
}

func testEcho(ctx context.Context, t *testing.T) {
	startServer(ctx, t, "-echo", "-identifier=0x10")
	client := startClient(t, "rspterminal")
	client.Expect(ctx, t, "EchoPool")
	client.Input(t, "hello")
	client.Expect(ctx, t, "from PE $00000010> hello")
}

func testDiscard(ctx context.Context, t *testing.T) {
	server := startServer(ctx, t, "-discard")
	client := startClient(t, "rspterminal", "-poolhandle=DiscardPool")
	client.Expect(ctx, t, "DiscardPool")
	client.Input(t, "hello")
	server.Expect(ctx, t, "Discard 6 bytes on session 1")
}

// RSPLIB's terminal does not fail over, let alone for ever: its session is the only one, and lasts for another line.
func testDaytime(ctx context.Context, t *testing.T) {
	server := startServer(ctx, t, "-daytime", "-identifier=0x30")
	client := startClient(t, "rspterminal", "-poolhandle=DaytimePool")
	client.Expect(ctx, t, "from PE $00000030> "+time.Now().Format("Monday, 02-January-2006"))
	client.Input(t, "again")
	for strings.Count(client.Output(), "from PE $00000030> ") < 2 {
		select {
		case <-ctx.Done():
			t.Fatalf("one answer:\n%s", client.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
	if strings.Contains(client.Output(), "FAILOVER") || strings.Contains(server.Output(), "session 2") {
		t.Errorf("the terminal fails over:\n%s", client.Output())
	}
}

// It starts, and RSPLIB's terminal gets its characters for as long as it lives.
func testCharGen(ctx context.Context, t *testing.T) {
	server := startServer(ctx, t, "-chargen", "-identifier=0x50")
	client := startClient(t, "rspterminal", "-poolhandle=CharGenPool")
	client.Expect(ctx, t, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	client.Kill()
	server.Expect(ctx, t, "has been stopped")
}

// RSPLIB's client counts on over a server that ends the session, and says nothing of a gap.
func testPingPong(ctx context.Context, t *testing.T) {
	startServer(ctx, t, "-pingpong", "-identifier=0x40", "-pppfailureafter=3")
	client := startClient(t, "pingpongclient", "-interval=200")
	client.Expect(ctx, t, "Ack #1 from PE $00000040 (reply #1)")
	startServer(ctx, t, "-pingpong", "-identifier=0x41")
	client.Expect(ctx, t, "FAILOVER_COMPLETE, cookie=yes")
	client.Expect(ctx, t, "from PE $00000041")
	client.Expect(ctx, t, "(reply #8)")
	if strings.Contains(client.Output(), "gap") {
		t.Errorf("it prints\n%s", client.Output())
	}
}

// capture is what passes over the guest's interfaces.
type capture struct {
	*lab.Process
	file string
}

func startCapture(ctx context.Context, t *testing.T) *capture {
	t.Helper()
	for _, program := range []string{"dumpcap", "tshark"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("RSP_LAB") == "required" {
				t.Fatalf("RSP_LAB=required, but: %v", err)
			}
			t.Skip(program + " is absent: install Debian's package tshark")
		}
	}
	file := filepath.Join(t.TempDir(), "capture")
	c := &capture{lab.Start(t, exec.Command("dumpcap", "-q", "-i", "lo", "-f", "sctp", "-w", file)), file}
	c.Expect(ctx, t, "File: ")
	return c
}

// check wants tshark to know the protocols of what was captured, and no malformed packet.
func (c *capture) check(t *testing.T) {
	c.Interrupt(t)
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", "-r", c.file, "-T", "fields", "-e", "frame.protocols", "-e", "_ws.malformed").CombinedOutput()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, out)
	}
	for _, protocol := range []string{"asap", "pingpongprotocol"} {
		if !strings.Contains(string(out), protocol) {
			t.Errorf("tshark shows no %s:\n%.2000s", protocol, out)
		}
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(strings.ToLower(line), "malformed") {
			t.Errorf("tshark: %s", line)
		}
	}
}
