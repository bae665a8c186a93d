package loop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine notes what its loop calls, and does what a test has it do. It belongs to its
// loop.
type engine struct {
	effect.Queue
	calls     []string // "up", "message hello", "lost: why"
	up        []effect.AssocID
	lost      []error
	deadline  time.Time
	advanced  []time.Time
	onMessage func(id effect.AssocID, data []byte)
}

func (e *engine) HandleUp(_ time.Time, id effect.AssocID, _ protocol.PPID, _, _ protocol.TransportAddr) {
	e.calls = append(e.calls, "up")
	e.up = append(e.up, id)
}

func (e *engine) HandleMessage(_ time.Time, id effect.AssocID, ppid protocol.PPID, data []byte) {
	if e.onMessage != nil {
		e.onMessage(id, data)
		return
	}
	e.calls = append(e.calls, fmt.Sprintf("message %d %.20s", ppid, data))
}

func (e *engine) HandleLost(_ time.Time, _ effect.AssocID, err error) {
	e.calls = append(e.calls, "lost")
	e.lost = append(e.lost, err)
}

func (e *engine) HandleDatagram(_ time.Time, service protocol.PPID, from netip.AddrPort, data []byte) {
	e.calls = append(e.calls, fmt.Sprintf("datagram %d %v %s", service, from, data))
}

func (e *engine) Advance(now time.Time) {
	if !e.deadline.IsZero() && !now.Before(e.deadline) {
		e.advanced = append(e.advanced, now)
		e.deadline = time.Time{}
	}
}

func (e *engine) Deadline() time.Time { return e.deadline }

// text is a message.
type text string

func (t text) AppendTo(b []byte) []byte { return append(b, t...) }

// loopTest is a loop on one host, and the network around it.
type loopTest struct {
	*testing.T
	*loop.Loop[*engine]
	net        *simnet.Network
	host, peer *simnet.Host
	told       []any
}

// inBubble runs a test of a loop in fake time.
func inBubble(t *testing.T, f func(l *loopTest)) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoopTest(t)
		defer l.Abort()
		f(l)
	})
}

func newLoopTest(t *testing.T) *loopTest {
	l := &loopTest{T: t, net: simnet.New(simnet.Config{})}
	l.host, l.peer = l.net.Host("10.0.0.1"), l.net.Host("10.0.0.2")
	l.Loop = loop.New(&engine{}, loop.Config{
		Networks: []transport.Network{l.host},
		Logger:   slog.New(slog.DiscardHandler),
		Tell:     func(_ time.Time, event any) { l.told = append(l.told, event) },
	})
	return l
}

const port = 3863

func at(host *simnet.Host) protocol.TransportAddr {
	return protocol.TransportAddr{Protocol: protocol.SCTP, Port: port, Addrs: host.Addrs()}
}

func (l *loopTest) listen(host *simnet.Host) transport.Listener {
	l.Helper()
	ln, err := host.Listen(context.Background(), at(host), transport.Options{})
	if err != nil {
		l.Fatal(err)
	}
	return ln
}

// do runs f as the engine's owner, and waits until all is done that follows.
func (l *loopTest) do(f func(now time.Time, e *engine)) {
	l.Helper()
	if !l.Do(f) {
		l.Fatal("the loop is closed")
	}
	synctest.Wait()
}

// connect opens an association from the loop to a peer.
func (l *loopTest) connect() (effect.AssocID, transport.Assoc) {
	l.Helper()
	ln := l.listen(l.peer)
	defer ln.Close()
	var id effect.AssocID
	l.do(func(_ time.Time, e *engine) { id = e.Dial(at(l.peer), protocol.PPIDASAP) })
	assoc, err := ln.Accept(context.Background())
	if err != nil {
		l.Fatal(err)
	}
	l.wantCalls("up")
	return id, assoc
}

// wantCalls compares the loop's calls since the last time.
func (l *loopTest) wantCalls(want ...string) {
	l.Helper()
	synctest.Wait()
	l.do(func(_ time.Time, e *engine) {
		if !slices.Equal(e.calls, want) {
			l.Errorf("engine got %q, want %q", e.calls, want)
		}
		e.calls = nil
	})
}

// wantLost wants the last loss to match err, and no other one.
func (l *loopTest) wantLost(err error) {
	l.Helper()
	l.wantCalls("lost")
	l.do(func(_ time.Time, e *engine) {
		if len(e.lost) != 1 || !errors.Is(e.lost[0], err) {
			l.Errorf("lost by %v, want %v", e.lost, err)
		}
		e.lost = nil
	})
}

func (l *loopTest) wantRecv(assoc transport.Assoc, want string) {
	l.Helper()
	b := make([]byte, 100)
	n, info, err := assoc.Recv(b)
	if err != nil || string(b[:n]) != want || info.PPID != protocol.PPIDASAP {
		l.Fatalf("peer gets %q (PPID %d, %v), want %q", b[:n], info.PPID, err, want)
	}
}

func wantEnd(t *testing.T, assoc transport.Assoc, want error) {
	t.Helper()
	if _, _, err := assoc.Recv(make([]byte, 100)); !errors.Is(err, want) {
		t.Errorf("peer gets %v, want %v", err, want)
	}
}

func TestDo(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		before := time.Now()
		l.do(func(now time.Time, e *engine) {
			if !now.Equal(before) {
				t.Errorf("time is %v, want %v", now, before)
			}
			e.Tell(1)
			e.Tell(2)
		})
		l.do(func(_ time.Time, e *engine) { e.Tell(3) })
		if want := []any{1, 2, 3}; !slices.Equal(l.told, want) {
			t.Errorf("told %v, want %v", l.told, want)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if l.Do(func(time.Time, *engine) { t.Error("runs in a closed loop") }) {
			t.Error("Do reports true in a closed loop")
		}
		if err := l.Close(); err != nil {
			t.Error("closing it again:", err)
		}
	})
}

func TestDialRefused(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.do(func(_ time.Time, e *engine) { e.Dial(at(l.peer), protocol.PPIDASAP) })
		l.wantCalls("lost")
	})
}

func TestDialUnsupported(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.do(func(_ time.Time, e *engine) {
			e.Dial(protocol.TransportAddr{Protocol: protocol.UDP}, protocol.PPIDASAP)
		})
		l.wantLost(transport.ErrUnsupported)
	})
}

func TestDialCancelled(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.net.Cut(l.host.Addrs()[0], l.peer.Addrs()[0])
		l.do(func(_ time.Time, e *engine) { e.Abort(e.Dial(at(l.peer), protocol.PPIDASAP)) })
		var id effect.AssocID
		l.do(func(_ time.Time, e *engine) { id = e.Dial(at(l.peer), protocol.PPIDASAP) })
		l.do(func(_ time.Time, e *engine) { e.Close(id) })
		l.net.Heal(l.host.Addrs()[0], l.peer.Addrs()[0])
		l.listen(l.peer)
		time.Sleep(time.Hour)
		l.wantCalls()
	})
}

func TestCloseWhileDialing(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.net.Cut(l.host.Addrs()[0], l.peer.Addrs()[0])
		l.do(func(_ time.Time, e *engine) { e.Dial(at(l.peer), protocol.PPIDASAP) })
		before := time.Now()
		if err := l.Close(); err != nil || time.Since(before) != 0 {
			t.Errorf("took %v: %v", time.Since(before), err)
		}
	})
}

func TestMessagesBothWays(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		id, peer := l.connect()
		l.do(func(_ time.Time, e *engine) {
			e.Send(id, protocol.PPIDASAP, text("hello"))
			e.Send(id, protocol.PPIDASAP, text("world"))
			e.Send(id+1, protocol.PPIDASAP, text("nobody is there"))
		})
		l.wantRecv(peer, "hello")
		l.wantRecv(peer, "world")
		for _, s := range []string{"a", "b", "c"} {
			if err := peer.Send([]byte(s), transport.SendInfo{PPID: protocol.PPIDENRP}); err != nil {
				t.Fatal(err)
			}
		}
		l.wantCalls("message 12 a", "message 12 b", "message 12 c")
	})
}

// What goroutines and the reader send leaves in the order in which the engine
// was asked to.
func TestOrderAcrossGoroutines(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		const senders, each = 8, 200
		id, peer := l.connect()
		var sent []string
		say := func(e *engine, to effect.AssocID) {
			sent = append(sent, fmt.Sprint(len(sent)))
			e.Send(to, protocol.PPIDASAP, text(sent[len(sent)-1]))
		}
		l.do(func(_ time.Time, e *engine) { e.onMessage = func(id effect.AssocID, _ []byte) { say(e, id) } })
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				for range each {
					l.Do(func(_ time.Time, e *engine) { say(e, id) })
				}
			})
		}
		wg.Go(func() {
			for range each {
				if err := peer.Send([]byte("?"), transport.SendInfo{}); err != nil {
					t.Error(err)
				}
			}
		})
		for i := range (senders + 1) * each {
			l.wantRecv(peer, fmt.Sprint(i))
		}
		wg.Wait()
	})
}

// "HandleLost: an association has ended or could not be dialed." Once, and how.
func TestLostOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(transport.Assoc) error
		want error
	}{
		{"closed", transport.Assoc.Close, io.EOF},
		{"aborted", transport.Assoc.Abort, transport.ErrAborted},
		{"shut down", transport.Assoc.Shutdown, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(l *loopTest) {
				id, peer := l.connect()
				if err := test.end(peer); err != nil {
					t.Fatal(err)
				}
				l.wantLost(test.want)
				l.do(func(_ time.Time, e *engine) {
					e.Send(id, protocol.PPIDASAP, text("too late"))
					e.Abort(id)
				})
				l.wantCalls()
			})
		})
	}
}

// "It is not called for one that the engine itself has closed or aborted."
func TestOwnEndIsNoLoss(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		id, peer := l.connect()
		l.do(func(_ time.Time, e *engine) {
			e.Send(id, protocol.PPIDASAP, text("last words"))
			e.Close(id)
			e.Send(id, protocol.PPIDASAP, text("too late"))
		})
		l.wantRecv(peer, "last words")
		wantEnd(t, peer, io.EOF)
		l.wantCalls()

		id, peer = l.connect()
		l.do(func(_ time.Time, e *engine) { e.Abort(id) })
		wantEnd(t, peer, transport.ErrAborted)
		l.wantCalls()
	})
}

// The engine ends an association while the loop hands it a message of that very one.
func TestOwnEndInMessage(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		_, peer := l.connect()
		l.do(func(_ time.Time, e *engine) {
			e.onMessage = func(id effect.AssocID, data []byte) {
				e.Send(id, protocol.PPIDASAP, text("bye"))
				e.Close(id)
			}
		})
		for range 2 {
			peer.Send([]byte("?"), transport.SendInfo{})
		}
		l.wantRecv(peer, "bye")
		wantEnd(t, peer, io.EOF)
		l.wantCalls()
	})
}

// "Deadline is when the engine wants Advance to be called; zero: never."
func TestTimer(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		start := time.Now()
		set := func(at time.Duration) {
			l.do(func(_ time.Time, e *engine) {
				e.deadline = start.Add(at)
			})
		}
		advanced := func() (at []time.Duration) {
			l.do(func(_ time.Time, e *engine) {
				for _, t := range e.advanced {
					at = append(at, t.Sub(start))
				}
			})
			return at
		}
		set(time.Hour)
		set(2 * time.Second) // earlier
		time.Sleep(3 * time.Second)
		set(5 * time.Second)
		set(7 * time.Second) // later
		time.Sleep(6 * time.Second)
		set(4 * time.Second) // past
		time.Sleep(24 * time.Hour)
		want := []time.Duration{2 * time.Second, 7 * time.Second, 9 * time.Second}
		if got := advanced(); !slices.Equal(got, want) {
			t.Errorf("advanced at %v, want %v", got, want)
		}
		set(48 * time.Hour)
		l.Close()
		time.Sleep(48 * time.Hour)
		if len(l.told) > 0 {
			t.Errorf("told %v", l.told)
		}
	})
}

func TestAcceptsAndDialsFromListener(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.Serve(l.listen(l.host), protocol.PPIDASAP)
		peer, err := l.peer.Dial(context.Background(), at(l.host), transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l.wantCalls("up")
		_, called := l.connect()
		if got := called.RemoteAddr(); !got.Equal(at(l.host)) {
			t.Errorf("dials from %v, want %v", got, at(l.host))
		}
		l.do(func(_ time.Time, e *engine) {
			if e.up[0] == e.up[1] {
				t.Errorf("both associations are named %d", e.up[0])
			}
			e.Send(e.up[0], protocol.PPIDASAP, text("to who came"))
			e.Send(e.up[1], protocol.PPIDASAP, text("to who was called"))
		})
		l.wantRecv(peer, "to who came")
		l.wantRecv(called, "to who was called")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wantEnd(t, peer, io.EOF)
		wantEnd(t, called, io.EOF)
		if _, err := l.peer.Dial(context.Background(), at(l.host), transport.Options{}); err == nil {
			t.Error("a closed loop still listens")
		}
		ln := l.listen(l.host)
		l.Serve(ln, protocol.PPIDASAP)
		if _, err := ln.Accept(context.Background()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed loop takes a listener: %v", err)
		}
	})
}

// The two services of a registrar have a port each.
func TestDialsFromListenerOfService(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.Serve(l.listen(l.host), protocol.PPIDENRP)
		_, called := l.connect() // for ASAP
		if got := called.RemoteAddr(); got.Port == port {
			t.Errorf("dials from %v, the port of another service", got)
		}
	})
}

// failing is a listener whose machine has no descriptor left.
type failing struct {
	transport.Listener
	tries []time.Time
	fails int
}

func (f *failing) Accept(ctx context.Context) (transport.Assoc, error) {
	if f.tries = append(f.tries, time.Now()); len(f.tries) <= f.fails {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept(ctx)
}

func TestAcceptBacksOff(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		f := &failing{Listener: l.listen(l.host), fails: 10}
		l.Serve(f, protocol.PPIDASAP)
		time.Sleep(10 * time.Second)
		if _, err := l.peer.Dial(context.Background(), at(l.host), transport.Options{}); err != nil {
			t.Fatal(err)
		}
		l.wantCalls("up")
		for i := 1; i < 10; i++ {
			want := min(5*time.Millisecond<<(i-1), time.Second)
			if got := f.tries[i].Sub(f.tries[i-1]); got != want {
				t.Errorf("pause %d is %v, want %v", i, got, want)
			}
		}

		f.fails = 1000
		l.peer.Dial(context.Background(), at(l.host), transport.Options{})
		synctest.Wait()
		l.Close() // does not wait for the pause
	})
}
