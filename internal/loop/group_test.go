package loop_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
)

var announces = netip.MustParseAddrPort("239.0.0.50:3863")

func (l *loopTest) join(host *simnet.Host) *simnet.Group {
	l.Helper()
	g, err := host.Join(announces, port)
	if err != nil {
		l.Fatal(err)
	}
	return g
}

// "Join hands the datagrams of a group to the engine, and sends the service's Announce effects
// to it."
func TestJoin(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.do(func(_ time.Time, e *engine) { e.Announce(protocol.PPIDASAP, text("nobody hears")) })
		peer := l.join(l.peer)
		l.Join(l.join(l.host), protocol.PPIDASAP)
		l.do(func(_ time.Time, e *engine) {
			e.Announce(protocol.PPIDASAP, text("hello"))
			e.Announce(protocol.PPIDENRP, text("for another group"))
			e.Announce(protocol.PPIDASAP, text("world"))
		})
		for _, want := range []string{"hello", "world"} {
			b := make([]byte, 100)
			n, from, err := peer.Recv(b)
			if err != nil || string(b[:n]) != want || from.String() != "10.0.0.1:3863" {
				t.Errorf("%q from %v, %v, want %q", b[:n], from, err, want)
			}
		}
		l.wantCalls("datagram 11 10.0.0.1:3863 hello", "datagram 11 10.0.0.1:3863 world") // its own
		if err := peer.Send([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		l.wantCalls("datagram 11 10.0.0.2:3863 answer")

		peer.Close()
		g := l.join(l.host)
		l.Close()
		l.Join(g, protocol.PPIDASAP)
		if _, _, err := g.Recv(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed loop takes a group: %v", err)
		}
	})
}

// stuck is a group whose interfaces take nothing until it is closed, and give errors.
type stuck struct {
	closed chan bool
	recvs  []time.Time
}

func (s *stuck) Send([]byte) error {
	<-s.closed
	return net.ErrClosed
}

func (s *stuck) Recv([]byte) (int, netip.AddrPort, error) {
	s.recvs = append(s.recvs, time.Now())
	return 0, netip.AddrPort{}, errors.New("network is down")
}

func (s *stuck) Close() error { close(s.closed); return nil }

var _ transport.Group = (*stuck)(nil)

// A group that takes nothing holds up neither the engine nor another group, and costs bounded
// memory; errors of receiving are outlasted.
func TestStuckGroup(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		s := &stuck{closed: make(chan bool)}
		l.Join(s, protocol.PPIDASAP)
		l.Join(l.join(l.host), protocol.PPIDASAP)
		for i := range 1000 {
			l.do(func(_ time.Time, e *engine) { e.Announce(protocol.PPIDASAP, text(fmt.Sprint(i))) })
			l.wantCalls(fmt.Sprintf("datagram 11 10.0.0.1:3863 %d", i))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.recvs); n < 60 || n > 80 {
			t.Errorf("received %d times in a minute of errors, want about once per second", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
