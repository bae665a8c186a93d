package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// rsplibPackages are the Debian packages of RSPLIB's programs.
var rsplibPackages = map[string]string{
	"rspregistrar": "rsplib-registrar",
	"rspserver":    "rsplib-tools",
	"rspterminal":  "rsplib-tools",
	"cspmonitor":   "rsplib-tools",
	"hsdump":       "rsplib-tools",
}

// RSPLIB is a command that runs one of RSPLIB's programs, or skips the test
// where it is absent.
func RSPLIB(tb testing.TB, program string, args ...string) *exec.Cmd {
	tb.Helper()
	needRSPLIB(tb, program)
	return exec.Command("stdbuf", lineBuffered(program, args)...)
}

// RSPLIB is like the function of this name, for a process on the host.
func (h *Host) RSPLIB(tb testing.TB, program string, args ...string) *exec.Cmd {
	tb.Helper()
	needRSPLIB(tb, program)
	return h.Command("stdbuf", lineBuffered(program, args)...)
}

// lineBuffered are arguments of stdbuf: into a pipe, a C program writes late.
func lineBuffered(program string, args []string) []string {
	return append([]string{"-oL", program}, args...)
}

func needRSPLIB(tb testing.TB, program string) {
	tb.Helper()
	debianPackage, ok := rsplibPackages[program]
	if !ok {
		debianPackage = "rsplib-services"
	}
	Need(tb, program, debianPackage)
}

// Process is a program that runs beside a test. Its methods may be called by
// several goroutines at once.
type Process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	exited chan struct{} // closed after err is set
	err    error

	mu     sync.Mutex
	output bytes.Buffer
	grown  chan struct{} // closed when output grows
}

// Start starts cmd and collects its output. The end of the test kills it; when
// the test has failed, the log has its output.
func Start(tb testing.TB, cmd *exec.Cmd) *Process {
	tb.Helper()
	p := &Process{cmd: cmd, exited: make(chan struct{}), grown: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	tb.Cleanup(func() {
		end := "runs"
		select {
		case <-p.exited:
			end = fmt.Sprintf("has ended: %v", cmd.ProcessState)
		default:
		}
		p.Kill()
		if tb.Failed() {
			tb.Logf("%s %s; its output:\n%s", p.name(), end, p.Output())
		}
	})
	return p
}

// Write collects output; it is for the process.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.grown)
	p.grown = make(chan struct{})
	return p.output.Write(b)
}

// Output is what the process has printed so far, errors included.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// Expect waits until the process has printed text, and fails the test when the process or
// ctx ends before.
func (p *Process) Expect(ctx context.Context, tb testing.TB, text string) {
	tb.Helper()
	for exited := false; ; {
		p.mu.Lock()
		seen, grown := strings.Contains(p.output.String(), text), p.grown
		p.mu.Unlock()
		if seen {
			return
		}
		if exited {
			tb.Fatalf("%s has ended without printing %q: %v", p.name(), text, p.err)
		}
		select {
		case <-grown:
		case <-p.exited:
			exited = true
		case <-ctx.Done():
			tb.Fatalf("%s has not printed %q: %v", p.name(), text, ctx.Err())
		}
	}
}

func (p *Process) name() string { return strings.Join(p.cmd.Args, " ") }

// Input types a line.
func (p *Process) Input(tb testing.TB, line string) {
	tb.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		tb.Fatal(err)
	}
}

// Interrupt asks the process to end, as ^C does, and returns without waiting.
func (p *Process) Interrupt(tb testing.TB) {
	tb.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		tb.Fatal(err)
	}
}

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // fails if it has ended
	<-p.exited
}

// Wait waits for the end of the process, and returns its result as (*exec.Cmd).Wait
// does.
func (p *Process) Wait() error {
	<-p.exited
	return p.err
}
