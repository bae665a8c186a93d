package pingpong_test

import (
	"flag"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/pingpong"
	"github.com/rserpool/rsp/examples/internal/service"
	"github.com/rserpool/rsp/examples/internal/service/servicetest"
)

// newService returns the service with options.
func newService(t *testing.T, args ...string) service.Service {
	t.Helper()
	s, fs := pingpong.New(), flag.NewFlagSet("", flag.ContinueOnError)
	s.RegisterFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s
}

// exchange sends a Ping and wants its Pong.
func exchange(t *testing.T, s *servicetest.Scope, session *rsp.Socket, number, reply uint64, from rsp.PEID) {
	t.Helper()
	ping := pingpong.Ping{Number: number, Payload: []byte("hello")}
	if err := session.SendMsg(t.Context(), ping.Append(nil), rsp.MsgInfo{PPID: pingpong.PPID}); err != nil {
		t.Fatal(err)
	}
	b, info := s.Receive(session)
	pong, err := pingpong.ParsePong([]byte(b))
	if err != nil || pong.Number != number || pong.Reply != reply || string(pong.Payload) != "hello" || info.PPID != pingpong.PPID || info.PE != from {
		t.Fatalf("%x, %+v from PE %v, %v", b, pong, info.PE, err)
	}
}

// After -pppfailureafter messages the server ends the session, and the next one counts on from its cookie.
func TestFailureAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		first := s.Serve(1, newService(t, "-pppfailureafter=3"))
		session := s.Connect("PingPongPool", rsp.Dialer{})
		second := s.Serve(2, newService(t))
		for n := range uint64(3) {
			exchange(t, s, session, n+1, n+1, 1)
		}
		synctest.Wait() // it has gone over to the other
		exchange(t, s, session, 4, 4, 2)
		second.Stop()
		synctest.Wait()
		exchange(t, s, session, 5, 5, 1)
		const want = `New thread for RSerPool socket 1.
Failure Tester on RSerPool socket 1 -> Disconnecting after 3 replies!
Thread for RSerPool socket 1 has been stopped.
New thread for RSerPool socket 2.
`
		if got := first.Output(); got != want {
			t.Errorf("the first tells\n%s", got)
		}
	})
}

// What is no Ping, and no cookie of the service, is ignored.
func TestStrangeMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		s.Serve(1, newService(t))
		session := s.Connect("PingPongPool", rsp.Dialer{})
		ping := pingpong.Ping{Number: 1}.Append(nil)
		for _, m := range []struct {
			b    []byte
			ppid rsp.PPID
		}{
			{[]byte("x"), pingpong.PPID}, {ping[:11], pingpong.PPID}, {ping, 0}, {[]byte(strings.Repeat("x", 100000)), pingpong.PPID},
		} {
			if err := session.SendMsg(t.Context(), m.b, rsp.MsgInfo{PPID: m.ppid}); err != nil {
				t.Fatal(err)
			}
		}
		exchange(t, s, session, 2, 1, 1)
	})
}
