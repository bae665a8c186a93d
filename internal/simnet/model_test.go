package simnet_test

import (
	"errors"
	"fmt"
	"io"
	"net"
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
	suspect  = transport.NoticeSuspect
	answers  = transport.NoticeAnswers
)

// timing is what the times below come from.
var timing = transport.Options{
	RTOInitial:        time.Second,
	RTOMin:            200 * time.Millisecond,
	RTOMax:            2 * time.Second,
	HeartbeatInterval: 2 * time.Second,
	PathMaxRetrans:    2,
	AssocMaxRetrans:   4,
}

const (
	suspectIdle    = 2200 * time.Millisecond // a heartbeat: 0.2 + 2
	suspectPending = 200 * time.Millisecond

	downIdle    = 7400 * time.Millisecond // 3 heartbeats: 0.2 + 0.4 + 0.8 + 3*2
	downPending = 1400 * time.Millisecond // 0.2 + 0.4 + 0.8
	lostIdle    = 15 * time.Second        // 5 heartbeats: 0.2 + 0.4 + 0.8 + 1.6 + 2 + 5*2
	lostPending = 5 * time.Second
)

// noHeartbeat is timing without probes.
func noHeartbeat() transport.Options {
	opts := timing
	opts.HeartbeatInterval = -1
	return opts
}

// "A message arrives after Config.Latency", "up for its acceptor after 3 and for
// its dialer after 4 latencies".
func TestLatency(t *testing.T) {
	const latency = 10 * time.Millisecond
	inWorld(t, simnet.Config{Latency: latency}, timing, func(w *world) {
		w.send(w.a, "one", 0)
		w.send(w.a, "two", 0)
		w.want(w.b, event{text: "one", at: latency})
		w.want(w.b, event{text: "two", at: latency})
		w.send(w.b, "back", 0)
		w.want(w.a, event{text: "back", at: 2 * latency})

		w.start = time.Now()
		up := make(chan time.Duration)
		go func() {
			a, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), timing)
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
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		w.send(w.a, "one", 0)
		w.want(w.b, event{text: "one", at: 0})
		w.a.Close()
		w.want(w.b, event{err: io.EOF, at: 0})
	})
}

// lossy sends messages on three streams through losses, and returns what arrived
// when.
func lossy(t *testing.T, seed uint64) (trace []string) {
	inWorld(t, simnet.Config{Latency: time.Millisecond, Loss: 0.2, Seed: seed}, timing, func(w *world) {
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
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		w.cut(0, 1)
		got := make(chan []event)
		for _, end := range []transport.Assoc{w.a, w.b} {
			go func() { got <- []event{w.recv(end), w.recv(end), w.recv(end), w.recv(end)} }()
		}
		want := []event{{notice: suspect, at: suspectIdle}, {notice: pathDown, at: downIdle}, {notice: pathDown, at: downIdle}, {err: transport.ErrLost, at: lostIdle}}
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
	inWorld(t, simnet.Config{}, noHeartbeat(), func(w *world) {
		w.cut(0, 1)
		w.pass(time.Hour)
		w.send(w.a, "into the cut", 0)
		w.want(w.a, event{notice: suspect, at: time.Hour + suspectPending})
		w.want(w.a, event{notice: pathDown, at: time.Hour + downPending})
		w.want(w.a, event{err: transport.ErrLost, at: time.Hour + lostPending})
		w.b.SetReadDeadline(w.start.Add(2 * time.Hour))
		w.want(w.b, event{err: os.ErrDeadlineExceeded, at: 2 * time.Hour})
	})
}

// "An end whose peer has been lost hears so, by an abort, as soon as a message or a heartbeat
// of its own gets through."
func TestLostOnOneSide(t *testing.T) {
	const latency = 10 * time.Millisecond
	const healed = 10 * time.Second
	lost := func(w *world) {
		w.cut(0, 1)
		w.send(w.a, "into the cut", 0)
		for w.recv(w.a).err == nil { // its paths go down first
		}
		w.want(w.a, event{err: transport.ErrLost, at: lostPending})
		w.want(w.b, event{notice: suspect, at: lostPending})
		for range 2 {
			w.want(w.b, event{notice: pathDown, at: downIdle})
		}
		w.pass(healed)
		w.heal(0, 1)
	}
	inWorld(t, simnet.Config{Latency: latency}, timing, func(w *world) {
		lost(w)
		w.want(w.b, event{notice: pathUp, at: healed + timing.HeartbeatInterval})
		w.want(w.b, event{notice: pathUp, at: healed + timing.HeartbeatInterval})
		w.want(w.b, event{err: transport.ErrAborted, at: healed + timing.HeartbeatInterval + 2*latency})
	})
	inWorld(t, simnet.Config{Latency: latency}, timing, func(w *world) {
		lost(w)
		w.send(w.b, "to nobody", 0)
		w.want(w.b, event{err: transport.ErrAborted, at: healed + 2*latency})
	})
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		lost(w)
		w.b.Shutdown()
		w.want(w.b, event{err: transport.ErrAborted, at: healed})
	})
}

// "With no path left all wait, and arrive an RTO after a path is healed."
func TestHeal(t *testing.T) {
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		w.cut(0, 1)
		w.send(w.a, "one", 0)
		w.send(w.a, "two", 1)
		w.send(w.b, "back", 0)
		w.pass(time.Second)
		w.heal(1)
		const arrival = 1200 * time.Millisecond
		w.want(w.b, event{notice: suspect, at: time.Second})
		w.want(w.b, event{text: "one", at: arrival})
		w.want(w.b, event{text: "two", at: arrival})
		w.want(w.b, event{notice: answers, at: arrival})
		w.want(w.a, event{notice: suspect, at: arrival})
		w.want(w.a, event{text: "back", at: arrival})
		w.want(w.a, event{notice: answers, at: arrival})
		w.heal(0)
		w.a.SetReadDeadline(w.start.Add(time.Hour))
		w.want(w.a, event{err: os.ErrDeadlineExceeded, at: time.Hour})
	})
}

// "The first message that is sent into it goes again after an RTO over another
// path, and the next ones take that path at once." "A healed path is noticed after
// one HeartbeatInterval."
func TestPathDownAndUp(t *testing.T) {
	inWorld(t, simnet.Config{}, timing, func(w *world) {
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
	opts := timing
	opts.Buffer = 100
	inWorld(t, simnet.Config{}, opts, func(w *world) {
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

// "With no path left, NoticeSuspect comes when the first heartbeat or message is unanswered, and
// NoticeAnswers an RTO and a round trip after a path is healed." As long as one path is left there is none.
func TestSuspicion(t *testing.T) {
	const latency = 10 * time.Millisecond
	inWorld(t, simnet.Config{Latency: latency}, timing, func(w *world) {
		w.cut(0)
		w.send(w.a, "over the other", 0)
		w.want(w.b, event{text: "over the other", at: suspectPending + latency})
		w.pass(time.Second)
		w.heal(0)
		w.cut(0, 1)
		w.want(w.a, event{notice: suspect, at: time.Second + suspectIdle})
		w.heal(1)
		w.want(w.a, event{notice: answers, at: time.Second + suspectIdle + timing.RTOMin + 2*latency})
		w.cut(1)
		w.send(w.a, "into the cut", 0)
		w.want(w.a, event{notice: suspect, at: time.Second + suspectIdle + timing.RTOMin + 2*latency + suspectPending})
	})
}

// A path that is healed before it counts as down gives no notice of it, nor does a cut shorter than a
// heartbeat.
func TestShortCut(t *testing.T) {
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		w.cut(0, 1)
		w.pass(suspectIdle - time.Nanosecond)
		w.heal(0, 1)
		w.pass(time.Minute)
		w.cut(0, 1)
		w.pass(time.Minute + downIdle - time.Nanosecond)
		w.heal(0, 1)
		w.pass(2 * time.Minute)
		w.send(w.a, "still here", 0)
		w.want(w.b, event{notice: suspect, at: 2 * time.Minute})
		w.want(w.b, event{notice: answers, at: 2 * time.Minute})
		w.want(w.b, event{text: "still here", at: 2 * time.Minute})
	})
}

// "Kill takes the power away: whoever talks to h hears nothing more."
func TestKill(t *testing.T) {
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		w.send(w.a, "unread", 0)
		w.server.Kill()
		if e := w.recv(w.b); !errors.Is(e.err, net.ErrClosed) {
			w.Errorf("on the killed host: %+v", e)
		}
		if _, err := w.ln.Accept(w.Context()); !errors.Is(err, net.ErrClosed) {
			w.Errorf("Accept on the killed host: %v", err)
		}
		if _, err := w.server.Dial(w.Context(), w.ln.LocalAddr(), timing); err == nil {
			w.Error("a killed host dials")
		}
		// A new machine takes the addresses, and does not disturb the old association.
		reborn := w.net.Host("10.0.0.2", "10.1.0.2")
		ln := w.listen(reborn, 3863, timing)
		a, err := w.client.Dial(w.Context(), ln.LocalAddr(), timing)
		if err != nil {
			w.Fatal(err)
		}
		w.send(a, "hello again", 0)
		w.want(w.accept(ln), event{text: "hello again"})

		w.want(w.a, event{notice: suspect, at: suspectIdle})
		w.want(w.a, event{notice: pathDown, at: downIdle})
		w.want(w.a, event{notice: pathDown, at: downIdle})
		w.want(w.a, event{err: transport.ErrLost, at: lostIdle})
	})
}

// "its associations end gracefully, but those with data that it has not read end
// by an abort. h itself goes on".
func TestCrash(t *testing.T) {
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		second, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), timing)
		if err != nil {
			w.Fatal(err)
		}
		w.accept(w.ln)
		unaccepted, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), timing)
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
		w.listen(w.server, 3863, timing).Close()
	})
}

// RFC 6458 section 7.1: "An implementation is not allowed to send a DATA chunk with no
// user data".
func TestEmptyMessage(t *testing.T) {
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		if err := w.a.Send(nil, transport.SendInfo{}); err == nil {
			w.Error("Send takes an empty message")
		}
		w.send(w.a, "next", 0)
		w.want(w.b, event{text: "next"})
	})
}

// "An association has a path for each address of the end that has more of them,
// to that address of the other end which has the longest prefix in common."
func TestUnequalAddresses(t *testing.T) {
	for _, dial := range []struct {
		name, from, to string
		first          time.Duration // message, with the first address of two cut
	}{
		{"FromOne", "one", "two", timing.RTOMin}, // that address was dialed
		{"FromTwo", "two", "one", 0},
	} {
		t.Run(dial.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{T: t, net: simnet.New(simnet.Config{}), start: time.Now()}
				hosts := map[string]*simnet.Host{"one": w.net.Host("10.1.0.9"), "two": w.net.Host("10.0.0.2", "10.1.0.2")}
				ln := w.listen(hosts[dial.to], 3863, timing)
				a, err := hosts[dial.from].Dial(t.Context(), ln.LocalAddr(), timing)
				if err != nil {
					t.Fatal(err)
				}
				b := w.accept(ln)
				w.net.Cut(addr("10.1.0.9"), addr("10.0.0.2"))
				w.send(a, "to b", 0)
				w.want(b, event{text: "to b", at: dial.first})
				w.net.Cut(addr("10.1.0.9"), addr("10.1.0.2"))
				for _, end := range []transport.Assoc{a, b} {
					for w.recv(end).err == nil {
					}
					w.want(end, event{err: transport.ErrLost, at: dial.first + lostIdle})
				}
				ln.Close()
			})
		})
	}
}
