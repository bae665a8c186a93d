package simnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
)

const (
	pathDown = transport.NoticePathDown
	pathUp   = transport.NoticePathUp
)

// With the defaults (RTO 0.2 s to 2 s, a heartbeat each 2 s).
const (
	downIdle    = 7400 * time.Millisecond // 3 heartbeats: 0.2 + 0.4 + 0.8 + 3*2
	downPending = 1400 * time.Millisecond // 0.2 + 0.4 + 0.8
	lostIdle    = 15 * time.Second        // 5 heartbeats: 0.2 + 0.4 + 0.8 + 1.6 + 2 + 5*2
	lostPending = 5 * time.Second
)

// "A message arrives after Config.Latency", "up for its acceptor after 3 and for
// its dialer after 4 latencies".
func TestLatency(t *testing.T) {
	const latency = 10 * time.Millisecond
	inWorld(t, simnet.Config{Latency: latency}, transport.Options{}, func(w *world) {
		w.send(w.a, "one", 0)
		w.send(w.a, "two", 0)
		w.want(w.b, event{text: "one", at: latency})
		w.want(w.b, event{text: "two", at: latency})
		w.send(w.b, "back", 0)
		w.want(w.a, event{text: "back", at: 2 * latency})

		w.start = time.Now()
		up := make(chan time.Duration)
		go func() {
			a, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), transport.Options{})
			if err != nil {
				w.Error(err)
			}
			up <- time.Since(w.start)
			a.Close()
		}()
		b := w.accept(w.ln)
		if at := time.Since(w.start); at != 3*latency {
			w.Errorf("accepted after %v", at)
		}
		if at := <-up; at != 4*latency {
			w.Errorf("dialed after %v", at)
		}
		w.want(b, event{err: io.EOF, at: 5 * latency})
	})
}

// "Without latency and loss a message is with the peer when Send returns".
func TestNoLatency(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		w.send(w.a, "one", 0)
		w.want(w.b, event{text: "one", at: 0})
		w.a.Close()
		w.want(w.b, event{err: io.EOF, at: 0})
	})
}

// lossy sends messages on three streams through losses, and returns what arrived
// when.
func lossy(t *testing.T, seed uint64) (trace []string) {
	inWorld(t, simnet.Config{Latency: time.Millisecond, Loss: 0.2, Seed: seed}, transport.Options{}, func(w *world) {
		for i := range 300 {
			w.send(w.a, fmt.Sprintf("%d %d", i%3, i/3), uint16(i%3))
		}
		w.a.Close()
		for {
			e := w.recv(w.b)
			if e.err != nil {
				if e.err != io.EOF {
					w.Error(e.err)
				}
				return
			}
			trace = append(trace, fmt.Sprintf("%v %v", e.text, e.at))
		}
	})
	return trace
}

// "an RTO later for each time that it is lost. Ordered messages wait for those
// before them in their stream." "With the same seed [...] they are the same."
func TestLoss(t *testing.T) {
	trace := lossy(t, 1)
	var next [3]int
	overtaken := false
	for _, line := range trace {
		var stream, i int
		var at string
		if _, err := fmt.Sscan(line, &stream, &i, &at); err != nil {
			t.Fatal(err)
		}
		if i != next[stream] {
			t.Fatalf("stream %d: message %d, want %d", stream, i, next[stream])
		}
		next[stream]++
		overtaken = overtaken || next[stream] > slices.Min(next[:])+1
	}
	if next != [3]int{100, 100, 100} {
		t.Errorf("arrived: %d", next)
	}
	if !overtaken {
		t.Error("no stream has overtaken another")
	}
	if !slices.Equal(trace, lossy(t, 1)) {
		t.Error("the same seed gave another run")
	}
	if slices.Equal(trace, lossy(t, 2)) {
		t.Error("another seed gave the same run")
	}
}

// "after PathMaxRetrans + 1 unanswered ones comes NoticePathDown, after
// AssocMaxRetrans + 1 on all paths ErrLost."
func TestCutIdle(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		w.cut(0, 1)
		got := make(chan []event)
		for _, end := range []transport.Assoc{w.a, w.b} {
			go func() { got <- []event{w.recv(end), w.recv(end), w.recv(end)} }()
		}
		want := []event{{notice: pathDown, at: downIdle}, {notice: pathDown, at: downIdle}, {err: transport.ErrLost, at: lostIdle}}
		for range 2 {
			if got := <-got; !slices.Equal(got, want) {
				w.Errorf("received %+v, want %+v", got, want)
			}
		}
		w.want(w.a, event{err: transport.ErrLost, at: lostIdle})
		if err := w.a.Send([]byte("late"), transport.SendInfo{}); !errors.Is(err, transport.ErrLost) {
			w.Errorf("Send: %v", err)
		}
	})
}

// "While messages wait, their RTOs count and no HeartbeatInterval", and without
// heartbeats nothing else does.
func TestCutPending(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{HeartbeatInterval: -1}, func(w *world) {
		w.cut(0, 1)
		w.pass(time.Hour)
		w.send(w.a, "into the cut", 0)
		w.want(w.a, event{notice: pathDown, at: time.Hour + downPending})
		w.want(w.a, event{err: transport.ErrLost, at: time.Hour + lostPending})
		w.b.SetReadDeadline(w.start.Add(2 * time.Hour))
		w.want(w.b, event{err: os.ErrDeadlineExceeded, at: 2 * time.Hour})
	})
}

// "With no path left messages wait, and arrive an RTO after a path is healed."
func TestHeal(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		w.cut(0, 1)
		w.send(w.a, "one", 0)
		w.send(w.a, "two", 1)
		w.send(w.b, "back", 0)
		w.pass(time.Second)
		w.heal(1)
		const arrival = 1200 * time.Millisecond
		w.want(w.b, event{text: "one", at: arrival})
		w.want(w.b, event{text: "two", at: arrival})
		w.want(w.a, event{text: "back", at: arrival})
		w.heal(0)
		w.a.SetReadDeadline(w.start.Add(time.Hour))
		w.want(w.a, event{err: os.ErrDeadlineExceeded, at: time.Hour})
	})
}

// "The first message that is sent into it goes again after an RTO over another
// path, and the next ones take that path at once." "A healed path is noticed after
// one HeartbeatInterval."
func TestPathDownAndUp(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		w.cut(0)
		w.send(w.a, "first", 0)
		w.send(w.a, "other stream", 1)
		w.send(w.a, "same stream", 0)
		w.want(w.b, event{text: "other stream", at: 0})
		w.want(w.b, event{text: "first", at: 200 * time.Millisecond})
		w.want(w.b, event{text: "same stream", at: 200 * time.Millisecond})
		w.want(w.a, event{notice: pathDown, at: downPending})
		w.want(w.b, event{notice: pathDown, at: downIdle})
		w.send(w.a, "over the other", 0)
		w.want(w.b, event{text: "over the other", at: downIdle})

		w.pass(20 * time.Second)
		w.heal(0)
		w.want(w.a, event{notice: pathUp, at: 22 * time.Second})
		w.want(w.b, event{notice: pathUp, at: 22 * time.Second})
		w.cut(1)
		w.send(w.a, "back on the first", 0)
		w.want(w.b, event{text: "back on the first", at: 22 * time.Second})
	})
}

// Ends unblock calls at once, whether the peer can hear of them or not.
func TestShutdownIntoCut(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{Buffer: 100}, func(w *world) {
		w.send(w.a, "fills the buffer", 0)
		w.cut(0, 1)
		blocked := make(chan event)
		go func() {
			err := w.a.Send(make([]byte, 100), transport.SendInfo{})
			blocked <- event{err: err, at: time.Since(w.start)}
		}()
		w.pass(time.Second)
		w.a.Shutdown()
		if e := <-blocked; e.err != transport.ErrShutdown || e.at != time.Second {
			w.Errorf("Send under way: %+v", e)
		}
		w.heal(0)
		w.want(w.b, event{text: "fills the buffer", at: time.Second})
		w.want(w.b, event{err: io.EOF, at: 1200 * time.Millisecond})
		w.want(w.a, event{err: io.EOF, at: 1200 * time.Millisecond})
	})
}

// A path that is healed before it counts as down gives no notice.
func TestShortCut(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		w.cut(0, 1)
		w.pass(downIdle - time.Nanosecond)
		w.heal(0, 1)
		w.pass(time.Minute)
		w.send(w.a, "still here", 0)
		w.want(w.b, event{text: "still here", at: time.Minute})
	})
}

// "Kill takes the power away: whoever talks to h hears nothing more."
func TestKill(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		w.send(w.a, "unread", 0)
		w.server.Kill()
		if e := w.recv(w.b); !errors.Is(e.err, net.ErrClosed) {
			w.Errorf("on the killed host: %+v", e)
		}
		if _, err := w.ln.Accept(w.Context()); !errors.Is(err, net.ErrClosed) {
			w.Errorf("Accept on the killed host: %v", err)
		}
		if _, err := w.server.Dial(w.Context(), w.ln.LocalAddr(), transport.Options{}); err == nil {
			w.Error("a killed host dials")
		}
		// A new machine takes the addresses, and does not disturb the old association.
		reborn := w.net.Host("10.0.0.2", "10.1.0.2")
		ln := w.listen(reborn, 3863, transport.Options{})
		a, err := w.client.Dial(w.Context(), ln.LocalAddr(), transport.Options{})
		if err != nil {
			w.Fatal(err)
		}
		w.send(a, "hello again", 0)
		w.want(w.accept(ln), event{text: "hello again"})

		w.want(w.a, event{notice: pathDown, at: downIdle})
		w.want(w.a, event{notice: pathDown, at: downIdle})
		w.want(w.a, event{err: transport.ErrLost, at: lostIdle})
	})
}

// "its associations end gracefully, but those with data that it has not read end
// by an abort. h itself goes on".
func TestCrash(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		second, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), transport.Options{})
		if err != nil {
			w.Fatal(err)
		}
		w.accept(w.ln)
		unaccepted, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), transport.Options{})
		if err != nil {
			w.Fatal(err)
		}
		w.send(second, "unread", 0)
		w.server.Crash()
		w.want(w.a, event{err: io.EOF})
		w.want(second, event{err: transport.ErrAborted})
		w.want(unaccepted, event{err: transport.ErrAborted})
		if e := w.recv(w.b); !errors.Is(e.err, net.ErrClosed) {
			w.Errorf("in the crashed process: %+v", e)
		}
		w.listen(w.server, 3863, transport.Options{}).Close()
	})
}

// RFC 4960 section 5.2.1: when both ends dial at once, one association comes of it.
func TestDialsMeet(t *testing.T) {
	const latency = 5 * time.Millisecond
	inWorld(t, simnet.Config{Latency: latency}, transport.Options{}, func(w *world) {
		one, two := w.listen(w.client, 9901, transport.Options{}), w.listen(w.server, 9901, transport.Options{})
		var ends [2]transport.Assoc
		done := make(chan bool)
		for i, ln := range []transport.Listener{one, two} {
			go func() {
				var err error
				ends[i], err = ln.Dial(w.Context(), []transport.Listener{two, one}[i].LocalAddr())
				if err != nil {
					w.Error(err)
				}
				done <- true
			}()
		}
		<-done
		<-done
		w.start = time.Now()
		w.send(ends[0], "to two", 0)
		w.want(ends[1], event{text: "to two", at: latency})
		w.send(ends[1], "to one", 0)
		w.want(ends[0], event{text: "to one", at: 2 * latency})
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if _, err := one.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("a second association: %v", err)
		}
		// There is no other association between the two ports.
		if _, err := one.Dial(w.Context(), two.LocalAddr()); err == nil {
			w.Error("a second association was dialed")
		}
		ends[0].Close()
		w.recv(ends[1])
		again, err := one.Dial(w.Context(), two.LocalAddr())
		if err != nil {
			w.Fatalf("after the end of the first: %v", err)
		}
		again.Close()
		one.Close()
		two.Close()
	})
}

// RFC 4960 section 5.2: a peer that lost the association and comes again
// replaces it.
func TestRestart(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		one := w.listen(w.client, 9901, transport.Options{})
		never := w.listen(w.server, 9901, transport.Options{HeartbeatInterval: -1})
		old, err := one.Dial(w.Context(), never.LocalAddr())
		if err != nil {
			w.Fatal(err)
		}
		stale := w.accept(never)
		w.cut(0, 1)
		for w.recv(old).err == nil {
		}
		w.heal(0, 1)
		fresh, err := one.Dial(w.Context(), never.LocalAddr())
		if err != nil {
			w.Fatal(err)
		}
		w.want(stale, event{err: transport.ErrAborted, at: lostIdle})
		w.send(fresh, "fresh", 0)
		w.want(w.accept(never), event{text: "fresh", at: lostIdle})
		fresh.Close()
		one.Close()
		never.Close()
	})
}

func TestAddressInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, net: simnet.New(simnet.Config{})}
		h := w.net.Host("10.0.0.1", "10.1.0.1")
		ln := w.listen(h, 3863, transport.Options{})
		if _, err := h.Listen(t.Context(), ln.LocalAddr(), transport.Options{}); err == nil {
			t.Error("two listeners at one port")
		}
		ln.Close()
		w.listen(h, 3863, transport.Options{}).Close()
		other := ln.LocalAddr()
		other.Addrs[0] = addr("10.0.0.2")
		if _, err := h.Listen(t.Context(), other, transport.Options{}); err == nil {
			t.Error("a listener at an address of another host")
		}
	})
}

// "Dial asks each address in turn, and the next one after RTOInitial, doubled each
// time, without an answer."
func TestDialInVain(t *testing.T) {
	inWorld(t, simnet.Config{}, transport.Options{}, func(w *world) {
		remote := w.ln.LocalAddr()
		remote.Addrs = []netip.Addr{w.client.Addrs()[0], remote.Addrs[0]}
		refused, err := w.client.Dial(w.Context(), remote, transport.Options{})
		if err != nil || time.Since(w.start) != 0 {
			w.Fatalf("first address refuses: %v after %v", err, time.Since(w.start))
		}
		refused.Close()

		w.cut(0)
		a, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), transport.Options{})
		if err != nil || time.Since(w.start) != time.Second {
			w.Fatalf("first path cut: %v after %v", err, time.Since(w.start))
		}
		a.Close()
		w.cut(1)
		w.start = time.Now()
		_, err = w.client.Dial(w.Context(), w.ln.LocalAddr(), transport.Options{})
		if !errors.Is(err, transport.ErrLost) || time.Since(w.start) != 17*time.Second {
			w.Errorf("all paths cut: %v after %v, want 1 + 8*2 s", err, time.Since(w.start))
		}
	})
}
