package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/echo"
	"github.com/rserpool/rsp/examples/internal/program"
	"github.com/rserpool/rsp/examples/internal/service/servicetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// typed is a terminal that somebody types into.
type typed struct {
	*terminal
	keys   *io.PipeWriter
	output *strings.Builder // to be read while the bubble is at rest
	ended  chan error
}

func start(t *testing.T, s *servicetest.Scope, pool rsp.PoolHandle) *typed {
	t.Helper()
	stdin, keys := io.Pipe()
	output := new(strings.Builder)
	c := &typed{&terminal{endpoint: s.Endpoint(), pool: pool, screen: program.NewScreen(output)}, keys, output, make(chan error, 1)}
	go func() { c.ended <- c.run(t.Context(), stdin) }()
	synctest.Wait()
	return c
}

func (c *typed) typeLine(line string) {
	io.WriteString(c.keys, line+"\n")
	synctest.Wait()
}

// end ends the input, and wants the terminal to end well.
func (c *typed) end(t *testing.T, want string) {
	t.Helper()
	c.keys.Close()
	if err := <-c.ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	if diff := cmp.Diff(want, c.output.String()); diff != "" {
		t.Errorf("it prints (-want +got):\n%s", diff)
	}
}

// It prints who answers and each failover, as RSPLIB's rspterminal does, also when nobody types.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		one := s.Serve(0x10, echo.New())
		c := start(t, s, "EchoPool")
		c.typeLine("hello world")
		s.Serve(0x11, echo.New())
		time.Sleep(tooSoon)
		one.Kill()
		time.Sleep(time.Second)
		c.typeLine("three")
		c.end(t, `from PE $00000010> hello world
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=no
FAILOVER #1 ...
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=no
from PE $00000011> three
`)
	})
}

// A line that is typed while the whole pool is away waits for it.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		one := s.Serve(0x10, echo.New())
		c := start(t, s, "EchoPool")
		time.Sleep(tooSoon)
		one.Stop()
		time.Sleep(time.Hour)
		c.typeLine("anybody?")
		s.Serve(0x11, echo.New())
		time.Sleep(10 * time.Second)
		c.end(t, `Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=no
FAILOVER #1 ...
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=no
from PE $00000011> anybody?
`)
	})
}

// rsplibDaytime is a server that says something to each session and ends it.
func rsplibDaytime(t *testing.T, s *servicetest.Scope) {
	listener, err := s.Endpoint().Listen(t.Context(), "DaytimePool", rsp.PE{ID: 0x30})
	if err != nil {
		t.Fatal(err)
	}
	srv := rsp.Server{Handler: func(ctx context.Context, session *rsp.Socket) {
		session.SendMsg(ctx, []byte("late\n"), rsp.MsgInfo{})
	}}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.Background(), listener) }()
	t.Cleanup(func() {
		srv.Close()
		<-ended
	})
}

// With RSPLIB's Daytime, RSPLIB's terminal fails over for ever. This one goes on when it is asked to.
func TestServerThatEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		rsplibDaytime(t, s)
		c := start(t, s, "DaytimePool")
		time.Sleep(time.Hour)
		c.typeLine("again")
		time.Sleep(time.Hour)
		c.end(t, `from PE $00000030> late
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=no
PE $00000030 has ended the session. The next line goes to another one.
FAILOVER #1 ...
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=no
from PE $00000030> late
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=no
PE $00000030 has ended the session. The next line goes to another one.
`)
	})
}

// Without a pool, the program says so.
func TestNoPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, servicetest.New(t), "EchoPool")
		if err := <-c.ended; !errors.Is(err, rsp.ErrUnknownPool) {
			t.Errorf("it ends with %v", err)
		}
	})
}

// What a server sends does no more to a terminal than to be seen.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"hello\n": "hello", "two\nlines\n": "two\nlines", "Grüße\t!": "Grüße\t!", "\x1b[2J\r\x07\x7f": ".[2J...", "\xff\xfe": "..",
	} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	if err := run(t.Context(), []string{"-nosuch"}, strings.NewReader(""), io.Discard, io.Discard); err == nil {
		t.Error("it runs with an unknown option")
	}
	var help strings.Builder
	if err := run(t.Context(), []string{"-help"}, strings.NewReader(""), &help, io.Discard); err != flag.ErrHelp || !strings.Contains(help.String(), "-poolhandle=") {
		t.Errorf("%v, help:\n%s", err, help.String())
	}
}
