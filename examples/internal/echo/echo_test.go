package echo_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/echo"
	"github.com/rserpool/rsp/examples/internal/service/servicetest"
)

// A message comes back with its PPID and in its stream.
func TestEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		server := s.Serve(1, echo.New())
		session := s.Connect("EchoPool", rsp.Dialer{})
		if err := session.SendMsg(t.Context(), []byte("hello"), rsp.MsgInfo{PPID: 7, Stream: 2, Unordered: true}); err != nil {
			t.Fatal(err)
		}
		got, info := s.Receive(session)
		if got != "hello" || info.PPID != 7 || info.Stream != 2 || !info.Unordered {
			t.Errorf("answer %q, %+v", got, info)
		}
		synctest.Wait()
		if got := server.Output(); !strings.HasSuffix(got, "\nEcho 5 bytes on session 1\n") {
			t.Errorf("it tells\n%s", got)
		}
	})
}

// A message that is too long for one answer comes back whole, in pieces.
func TestEchoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		s.Serve(1, echo.New())
		session := s.Connect("EchoPool", rsp.Dialer{})
		want := strings.Repeat("0123456789", 20000)
		if _, err := session.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		got := ""
		for len(got) < len(want) {
			piece, _ := s.Receive(session)
			got += piece
		}
		if got != want {
			t.Error("the answer is another")
		}
	})
}

// A PU that does not take its answers waits, and no other does.
func TestEchoBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		s.Serve(1, echo.New())
		greedy, sent := s.Connect("EchoPool", rsp.Dialer{Failover: rsp.FailoverNone}), make(chan int)
		go func() {
			n := 0
			for ; ; n++ {
				if _, err := greedy.Write(make([]byte, 10000)); err != nil {
					break
				}
			}
			sent <- n
		}()
		synctest.Wait()
		modest := s.Connect("EchoPool", rsp.Dialer{})
		if _, err := modest.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.Receive(modest); got != "x" {
			t.Errorf("answer %q", got)
		}
		greedy.Abort()
		if n := <-sent; n > 10000 {
			t.Errorf("%d messages of 10000 bytes were taken without an answer being read", n)
		}
	})
}
