package main

import (
	"context"
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rserpool/rsp/examples/internal/pingpong"
	"github.com/rserpool/rsp/examples/internal/program"
	"github.com/rserpool/rsp/examples/internal/service"
	"github.com/rserpool/rsp/examples/internal/service/servicetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// stamp is the time before an Ack.
var stamp = regexp.MustCompile(`(?m)^\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{4}: `)

// It prints what RSPLIB's pingpongclient prints, and the numbers of the replies go on from server to server.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		s.Serve(4, failingAfter(t, "3"))
		var output strings.Builder
		c := &client{endpoint: s.Endpoint(), pool: "PingPongPool", interval: 500 * time.Millisecond, screen: program.NewScreen(&output)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.run(ctx) }()
		synctest.Wait()
		s.Serve(3, failingAfter(t, "0"))
		time.Sleep(1900 * time.Millisecond)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		const want = `Message #1 sent
T Ack #1 from PE $00000004 (reply #1)
Message #2 sent
T Ack #2 from PE $00000004 (reply #2)
Message #3 sent
T Ack #3 from PE $00000004 (reply #3)
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=yes
FAILOVER...
Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=yes
Message #4 sent
T Ack #4 from PE $00000003 (reply #4)
`
		if diff := cmp.Diff(want, stamp.ReplaceAllString(output.String(), "T ")); diff != "" {
			t.Errorf("it prints (-want +got):\n%s", diff)
		}
	})
}

func failingAfter(t *testing.T, replies string) service.Service {
	t.Helper()
	s, fs := pingpong.New(), flag.NewFlagSet("", flag.ContinueOnError)
	s.RegisterFlags(fs)
	if err := fs.Parse([]string{"-pppfailureafter=" + replies}); err != nil {
		t.Fatal(err)
	}
	return s
}

// A gap in the numbers of the replies is told, once.
func TestGap(t *testing.T) {
	var output strings.Builder
	c := &client{screen: program.NewScreen(&output), nextReply: 1}
	for _, reply := range []uint64{1, 5, 6, 6} {
		c.pong(pingpong.Pong{Number: 7, Reply: reply}, 4)
	}
	const want = `T Ack #7 from PE $00000004 (reply #1)
T Ack #7 from PE $00000004 (reply #5)
*** Detected gap of 3! ***
T Ack #7 from PE $00000004 (reply #6)
T Ack #7 from PE $00000004 (reply #6)
*** Detected gap of -1! ***
`
	if diff := cmp.Diff(want, stamp.ReplaceAllString(output.String(), "T ")); diff != "" {
		t.Errorf("it prints (-want +got):\n%s", diff)
	}
}

func TestArguments(t *testing.T) {
	for _, arg := range []string{"-nosuch", "-interval=0", "-interval=x", "argument"} {
		if err := run(t.Context(), []string{arg}, nil, io.Discard, io.Discard); err == nil {
			t.Errorf("it runs with %s", arg)
		}
	}
	var help strings.Builder
	if err := run(t.Context(), []string{"-help"}, nil, &help, io.Discard); err != flag.ErrHelp || !strings.Contains(help.String(), "-interval=") {
		t.Errorf("%v, help:\n%s", err, help.String())
	}
}
