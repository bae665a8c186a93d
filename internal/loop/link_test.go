package loop_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// RSPLIB's buffers, and so the engines, take up to 64 KiB.
func TestLargeMessages(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		_, peer := l.connect()
		sizes := []int{1, 1<<10 - 1, 1 << 10, 1<<10 + 1, 5000, 1<<16 - 1, 1 << 16, 3}
		var got []int
		l.do(func(_ time.Time, e *engine) {
			e.onMessage = func(_ effect.AssocID, data []byte) {
				got = append(got, len(data))
				if s := string(data); s != pattern(len(data)) {
					t.Errorf("message of %d bytes is damaged", len(data))
				}
			}
		})
		for _, n := range append(sizes, 1<<16+1) {
			if err := peer.Send([]byte(pattern(n)), transport.SendInfo{}); err != nil {
				t.Fatal(err)
			}
		}
		l.wantCalls("lost")
		if !slices.Equal(got, sizes) {
			t.Errorf("got messages of %v bytes, want %v", got, sizes)
		}
		wantEnd(t, peer, transport.ErrAborted)
	})
}

func pattern(n int) string { return strings.Repeat("0123456789abcdefg", n/17+1)[:n] }

// A peer that does not read costs memory up to a bound, is aborted then, and holds up
// nobody else.
func TestSlowPeer(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		slow, slowPeer := l.connect()
		good, goodPeer := l.connect()
		big := text(pattern(1 << 15))
		sent := 0
		lost := func() (lost bool) {
			l.do(func(_ time.Time, e *engine) { lost = len(e.lost) > 0 })
			return lost
		}
		for ; !lost(); sent++ {
			l.do(func(_ time.Time, e *engine) {
				e.Send(slow, protocol.PPIDASAP, big)
				e.Send(good, protocol.PPIDASAP, text("go on"))
			})
			l.wantRecv(goodPeer, "go on")
			if sent > 200 {
				t.Fatal("takes messages without end")
			}
		}
		if total := sent << 15; total < 1<<20 {
			t.Errorf("aborted after %d bytes already", total)
		}
		l.do(func(_ time.Time, e *engine) {
			if len(e.lost) != 1 || !strings.Contains(e.lost[0].Error(), "does not read") {
				t.Errorf("lost by %v", e.lost)
			}
		})
		for {
			_, _, err := slowPeer.Recv(make([]byte, 1<<16))
			if err != nil {
				wantEnd(t, slowPeer, transport.ErrAborted)
				break
			}
		}
	})
}

// "Close ends every association gracefully ... What was sent is given closeTimeout to
// leave."
func TestCloseDelivers(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		id, peer := l.connect()
		const n = 48 // more than the transport takes, less than its buffer and the queue do
		for range n {
			l.do(func(_ time.Time, e *engine) { e.Send(id, protocol.PPIDASAP, text(pattern(1<<15))) })
		}
		closed := make(chan error)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		for range n {
			if got, _, err := peer.Recv(make([]byte, 1<<15)); err != nil || got != 1<<15 {
				t.Fatalf("peer gets %d bytes, %v", got, err)
			}
		}
		wantEnd(t, peer, io.EOF)
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseDoesNotWaitForSlowPeer(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		id, peer := l.connect()
		for range 48 {
			l.do(func(_ time.Time, e *engine) { e.Send(id, protocol.PPIDASAP, text(pattern(1<<15))) })
		}
		before := time.Now()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(before); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
		var err error
		for err == nil {
			_, _, err = peer.Recv(make([]byte, 1<<15))
		}
		if !errors.Is(err, transport.ErrAborted) {
			t.Errorf("peer takes this for all: %v", err)
		}
	})
}

func TestAbort(t *testing.T) {
	inBubble(t, func(l *loopTest) {
		l.Serve(l.listen(l.host), protocol.PPIDASAP)
		_, called := l.connect()
		came, err := l.peer.Dial(context.Background(), at(l.host), transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l.wantCalls("up")
		l.Abort()
		wantEnd(t, called, transport.ErrAborted)
		wantEnd(t, came, transport.ErrAborted)
		if l.Do(func(time.Time, *engine) {}) {
			t.Error("Do reports true in a loop that was aborted")
		}
		l.Abort()
	})
}

// In real time: everything at once, while the loop is closed.
func TestCloseUnderLoad(t *testing.T) {
	for i := range 50 {
		l := newLoopTest(t)
		server := newLoopTest(t)
		server.Loop = loop.New(&engine{}, loop.Config{Networks: []transport.Network{l.peer}, Logger: slog.New(slog.DiscardHandler)})
		server.Do(func(_ time.Time, e *engine) {
			e.onMessage = func(id effect.AssocID, data []byte) { e.Send(id, protocol.PPIDASAP, text(data)) }
		})
		server.Serve(l.listen(l.peer), protocol.PPIDASAP)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					l.Do(func(now time.Time, e *engine) {
						e.deadline = now.Add(time.Microsecond)
						e.Dial(at(l.peer), protocol.PPIDASAP)
						for _, id := range e.up {
							e.Send(id, protocol.PPIDASAP, text("?"))
						}
						if len(e.up) > 5 {
							e.Abort(e.up[0])
							e.Close(e.up[1])
							e.up = e.up[2:]
						}
					})
				}
			})
		}
		first, second := l.Loop, server.Loop
		if i%2 == 0 {
			first, second = second, first
		}
		wg.Go(func() { first.Close() })
		wg.Go(second.Abort)
		wg.Go(func() { second.Close() })
		wg.Wait()
	}
}
