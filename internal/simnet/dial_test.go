package simnet_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
)

// RFC 4960 section 5.2.1: when both ends dial at once, one association comes of it.
func TestDialsMeet(t *testing.T) {
	const latency = 5 * time.Millisecond
	inWorld(t, simnet.Config{Latency: latency}, timing, func(w *world) {
		one, two := w.listen(w.client, 9901, timing), w.listen(w.server, 9901, timing)
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
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		one := w.listen(w.client, 9901, timing)
		never := w.listen(w.server, 9901, noHeartbeat())
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
		ln := w.listen(h, 3863, timing)
		if _, err := h.Listen(t.Context(), ln.LocalAddr(), timing); err == nil {
			t.Error("two listeners at one port")
		}
		ln.Close()
		w.listen(h, 3863, timing).Close()
		other := ln.LocalAddr()
		other.Addrs[0] = addr("10.0.0.2")
		if _, err := h.Listen(t.Context(), other, timing); err == nil {
			t.Error("a listener at an address of another host")
		}
	})
}

// "Dial asks each address in turn, and the next one after RTOInitial, doubled each
// time, without an answer."
func TestDialInVain(t *testing.T) {
	inWorld(t, simnet.Config{}, timing, func(w *world) {
		remote := w.ln.LocalAddr()
		remote.Addrs = []netip.Addr{w.client.Addrs()[0], remote.Addrs[0]}
		refused, err := w.client.Dial(w.Context(), remote, timing)
		if err != nil || time.Since(w.start) != 0 {
			w.Fatalf("first address refuses: %v after %v", err, time.Since(w.start))
		}
		refused.Close()

		w.cut(0)
		a, err := w.client.Dial(w.Context(), w.ln.LocalAddr(), timing)
		if err != nil || time.Since(w.start) != time.Second {
			w.Fatalf("first path cut: %v after %v", err, time.Since(w.start))
		}
		a.Close()
		w.cut(1)
		w.start = time.Now()
		_, err = w.client.Dial(w.Context(), w.ln.LocalAddr(), timing)
		if !errors.Is(err, transport.ErrLost) || time.Since(w.start) != 17*time.Second {
			w.Errorf("all paths cut: %v after %v, want 1 + 8*2 s", err, time.Since(w.start))
		}
	})
}

// "the peer gets ErrAborted": also that of a dial whose context ends between the two
// ends' coming up.
func TestDialCancelledLate(t *testing.T) {
	const latency = 10 * time.Millisecond
	inWorld(t, simnet.Config{Latency: latency}, timing, func(w *world) {
		ctx, cancel := context.WithTimeout(w.Context(), 4*latency-1)
		defer cancel()
		_, err := w.client.Dial(ctx, w.ln.LocalAddr(), timing)
		if !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("Dial: %v", err)
		}
		w.want(w.accept(w.ln), event{err: transport.ErrAborted, at: 5*latency - 1})
	})
}
