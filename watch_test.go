package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// changes collects what a watch tells, one a line.
func changes(s *scope, ctx context.Context) (lines func() []string) {
	told := make(chan string, 100)
	go func() {
		for c, err := range s.reg.Watch(ctx) {
			switch {
			case err != nil:
				told <- err.Error()
			case c.Snapshot:
				told <- fmt.Sprintf("there is %s/%d", c.Pool, c.Element.ID)
			default:
				told <- fmt.Sprintf("%v %s/%d %v (%v)", c.Kind, c.Pool, c.Element.ID, c.Element.Policy, c.Reason)
			}
		}
	}()
	return func() []string {
		time.Sleep(100 * latency)
		synctest.Wait()
		var got []string
		for len(told) > 0 {
			got = append(got, <-told)
		}
		return got
	}
}

// A watch tells first what there is, then each change with its reason.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		watch, cancel := context.WithCancel(t.Context())
		got := changes(s, watch)
		want := func(step string, lines ...string) {
			t.Helper()
			if got := got(); fmt.Sprint(got) != fmt.Sprint(lines) {
				t.Errorf("%s: %q, want %q", step, got, lines)
			}
		}
		want("snapshot", "there is EchoPool/1")
		b := s.pe("b", 2, nil)
		want("registered", "added EchoPool/2 RoundRobin (registered)")
		b.socket.Close()
		want("deregistered", "removed EchoPool/2 RoundRobin (deregistered)")
		a.Abort()
		want("killed", "removed EchoPool/1 RoundRobin (association lost)")
		lu, err := s.endpoint("c", s.host(), rsp.Config{}).Listen(ctx(), "Load", rsp.PE{ID: 3, Policy: rsp.LeastUsed(0.5)})
		if err != nil {
			t.Fatal(err)
		}
		if err := lu.RegisterPE(ctx(), "Load", rsp.PE{Policy: rsp.LeastUsed(0.75)}); err != nil {
			t.Fatal(err)
		}
		want("a new load", "added Load/3 LeastUsed:0.5 (registered)", "updated Load/3 LeastUsed:0.75 (registered)")
		for range 3 {
			s.endpoint("pu", s.host(), rsp.Config{}).ReportFailure("Load", 3)
		}
		want("reported", "removed Load/3 LeastUsed:0.75 (reported unreachable)")
		cancel()
		want("cancelled", "context canceled")
	})
}

// The end of the registrar ends its watches.
func TestWatchEndsWithRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		ended := make(chan error)
		go func() {
			for _, err := range s.reg.Watch(ctx()) {
				ended <- err
			}
		}()
		synctest.Wait()
		s.reg.Shutdown(ctx())
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want net.ErrClosed", err)
		}
		for _, err := range s.reg.Watch(ctx()) {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("a watch after that: %v", err)
			}
		}
	})
}
