package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/scripting"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a session of a server that does what a test wants. Its errors end it, as a session's loss would.
type fake struct {
	s *rsp.Socket
	b []byte
}

func (f *fake) send(messages ...scripting.Message) {
	for _, m := range messages {
		_ = f.s.SendMsg(context.Background(), m.AppendTo(nil), rsp.MsgInfo{PPID: scripting.PPID})
	}
}

// receive returns the next message but keep-alives.
func (f *fake) receive() scripting.Message {
	for {
		n, _, err := f.s.RecvFullMsg(context.Background(), f.b)
		if err != nil {
			return scripting.Message{}
		}
		m, err := scripting.Parse(f.b[:n])
		if err != nil || m.Type != scripting.KeepAliveAck {
			return m
		}
	}
}

// work receives an upload, and says that the work has begun.
func (f *fake) work() {
	f.send(scripting.Message{Type: scripting.Ready, Info: "fake"})
	for m := f.receive(); m.Type == scripting.Upload && len(m.Data) > 0; m = f.receive() {
	}
	f.send(scripting.Message{Type: scripting.Status})
}

func (f *fake) result(status uint32, parts ...string) {
	f.send(scripting.Message{Type: scripting.Status, Status: status})
	for _, part := range parts {
		f.send(scripting.Message{Type: scripting.Download, Data: []byte(part)})
	}
}

// The things that a server can do, one after the other; the last is done from then on.
type plan []func(f *fake)

func done(f *fake) { f.work(); f.result(0, "re", "sult", "") }

// Results that a server has sent before it was left are not taken for the next one's.
func failedWithResult(f *fake) { f.work(); f.result(3, "partial", "") }

// begin starts a registrar and a server; the function that it returns ends them.
func begin(t *testing.T, p plan) (e *rsp.Endpoint, end func()) {
	t.Helper()
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Network: rsp.InMemory, Address: "127.0.0.1:0"})
	if err == nil {
		err = registrar.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if e, err = rsp.NewEndpoint(&rsp.Config{Registrars: registrar.Addrs(), Network: rsp.InMemory}); err != nil {
		t.Fatal(err)
	}
	listener, err := e.Listen(t.Context(), "ScriptingPool", rsp.PE{})
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	srv := rsp.Server{MaxSessions: 1, Handler: func(_ context.Context, s *rsp.Socket) {
		step := p[min(next, len(p)-1)]
		next++
		step(&fake{s, make([]byte, scripting.MaxMessage)})
	}}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.Background(), listener) }()
	return e, func() {
		srv.Close()
		if err := <-ended; !errors.Is(err, rsp.ErrServerClosed) {
			t.Error(err)
		}
		e.Close()
		registrar.Shutdown(context.Background())
	}
}

// client runs the client with a server, and returns its output file's content, or "(none)".
func client(t *testing.T, p plan, args ...string) (result, printed string, err error) {
	t.Helper()
	dir := t.TempDir()
	input, output := filepath.Join(dir, "input"), filepath.Join(dir, "output")
	if err := os.WriteFile(input, []byte("package"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o, e := parse(append(args, "-input="+input, "-output="+output), io.Discard)
		if e != nil {
			t.Fatal(e)
		}
		var out strings.Builder
		j, e := newJob(o, log.New(io.MultiWriter(&out, t.Output()), "", 0))
		if e != nil {
			t.Fatal(e)
		}
		endpoint, end := begin(t, p)
		err = j.run(t.Context(), endpoint)
		end()
		if e := j.close(); e != nil {
			t.Error(e)
		}
		printed = out.String()
	})
	files, e := os.ReadDir(dir)
	if e != nil || len(files) > 2 {
		t.Errorf("left beside the output: %v, %v", files, e)
	}
	b, e := os.ReadFile(output)
	if os.IsNotExist(e) {
		return "(none)", printed, err
	}
	return string(b), printed, err
}

func TestTrials(t *testing.T) {
	for _, c := range []struct {
		name    string
		plan    plan
		args    []string
		result  string
		status  uint32 // 0: success
		printed string
	}{
		{name: "at once", plan: plan{done}, result: "result", printed: "Download completed!"},
		{name: "not ready", plan: plan{func(f *fake) {
			f.send(scripting.Message{Type: scripting.NotReady, Reason: scripting.FullyLoaded, Info: "f\x1bll"})
		}, done}, result: "result", printed: "Server f?ll is not ready yet => trying another one."},
		{name: "fails once", plan: plan{failedWithResult, done}, result: "result", printed: "Trying again (Trial 2 of 3) ..."},
		{name: "fails always", plan: plan{failedWithResult}, result: "partial", status: 3, printed: "Maximum number of trials reached"},
		{name: "fails, one trial", plan: plan{failedWithResult}, args: []string{"-maxretry=1"}, result: "partial", status: 3},
		{name: "no results", plan: plan{func(f *fake) { f.work(); f.result(0) }}, result: "(none)", status: 0xffffffff},
		{name: "lost while it works", plan: plan{func(f *fake) { f.work(); f.s.Abort() }, done}, result: "result", printed: "is lost"},
		{name: "lost before it begins", plan: plan{func(f *fake) {}, done}, result: "result", printed: "is lost"},
		{name: "mute", plan: plan{func(f *fake) { f.work(); f.receiveAll() }, done}, result: "result", printed: "it does not answer keep-alives"},
		{name: "never ready", plan: plan{func(f *fake) { f.receiveAll() }, done}, result: "result", printed: "is lost"},
		{name: "talks nonsense", plan: plan{func(f *fake) { f.work(); f.send(scripting.Message{Type: scripting.Ready}); f.receiveAll() }, done},
			result: "result", printed: "unexpected READY"},
		{name: "malformed", plan: plan{func(f *fake) {
			_ = f.s.SendMsg(context.Background(), []byte("xx"), rsp.MsgInfo{PPID: scripting.PPID})
			f.receiveAll()
		}, done}, result: "result", printed: "malformed"},
		{name: "asks for keep-alives", plan: plan{func(f *fake) {
			f.work()
			f.send(scripting.Message{Type: scripting.KeepAlive})
			n, _, err := f.s.RecvFullMsg(context.Background(), f.b)
			m, _ := scripting.Parse(f.b[:n])
			f.result(0, fmt.Sprint(m, m.HasStatus, err), "")
		}}, result: "KEEPALIVE_ACK false <nil>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, printed, err := client(t, c.plan, c.args...)
			var failed errFailed
			switch {
			case c.status == 0 && err != nil:
				t.Errorf("it ends with %v", err)
			case c.status == 0xffffffff && (!errors.As(err, &failed) || failed.results):
				t.Errorf("it ends with %v", err)
			case c.status == 3 && (!errors.As(err, &failed) || failed.status != 3):
				t.Errorf("it ends with %v", err)
			}
			if result != c.result {
				t.Errorf("the output has %q, want %q", result, c.result)
			}
			if !strings.Contains(printed, c.printed) {
				t.Errorf("it does not print %q", c.printed)
			}
		})
	}
}

// receiveAll waits until the client leaves.
func (f *fake) receiveAll() {
	for {
		if _, _, err := f.s.RecvFullMsg(context.Background(), f.b); err != nil {
			return
		}
	}
}

// A server that is at work answers keep-alives, for as long as it takes.
func TestLongWork(t *testing.T) {
	answered := 0
	result, _, err := client(t, plan{func(f *fake) {
		f.work()
		for ; answered < 100; answered++ {
			if m := f.receive(); m.Type != scripting.KeepAlive {
				return
			}
			f.send(scripting.Message{Type: scripting.KeepAliveAck, HasStatus: true})
		}
		f.result(0, "late", "")
	}})
	if err != nil || result != "late" || answered != 100 {
		t.Errorf("%q, %v after %d keep-alives", result, err, answered)
	}
}

// The line's beginning tells several clients apart.
func TestRunID(t *testing.T) {
	_, printed, err := client(t, plan{done}, "-runid=xyz")
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{"[xyz] Connecting to pool ScriptingPool ...\n", "[xyz@fake] Server fake is ready!\n", "[xyz@fake] Uploading 7 bytes ...\n"} {
		if !strings.Contains(printed, want) {
			t.Errorf("it does not print %q", want)
		}
	}
}

func TestBadArguments(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"-input=" + file}, {"-output=" + file},
		{"-input=" + filepath.Join(dir, "none"), "-output=" + file},
		{"-input=" + file, "-output=" + filepath.Join(dir, "none", "output")},
		{"-input=" + file, "-output=" + file, "-environment=" + filepath.Join(dir, "none")},
		{"-input=" + file, "-output=" + file, "-retrydelay=99"},
		{"-input=" + file, "-output=" + file, "-nosuchoption"},
		{"-input=" + file, "-output=" + file, "argument"},
	} {
		if err := run(t.Context(), args, nil, io.Discard, io.Discard); err == nil {
			t.Errorf("it runs with %v", args)
		} else {
			t.Log(err)
		}
	}
}

// Help names every option, with its default.
func TestHelp(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"-help"}, nil, &out, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"poolhandle=.*ScriptingPool", "environment=", "input=", "output=", "quiet", "maxretry=.*3", "retrydelay=.*10000", "runid=",
		"transmittimeout=.*59500", "keepaliveinterval=.*10000", "keepalivetimeout=.*10000", "registrar="} {
		if !regexp.MustCompile(`(?s)\n  -` + want).MatchString(out.String()) {
			t.Errorf("no -%s in\n%s", want, out.String())
		}
	}
}
