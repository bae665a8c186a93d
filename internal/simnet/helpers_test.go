package simnet_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
)

// world is two hosts with two addresses each, in a bubble, and an association
// from the one to the other.
type world struct {
	*testing.T
	net            *simnet.Network
	client, server *simnet.Host
	ln             transport.Listener
	a, b           transport.Assoc // dialed, accepted
	start          time.Time
}

// inWorld runs test in a bubble. Time counts from when the association is up.
func inWorld(t *testing.T, config simnet.Config, opts transport.Options, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(config)
		w := &world{T: t, net: n, client: n.Host("10.0.0.1", "10.1.0.1"), server: n.Host("10.0.0.2", "10.1.0.2")}
		w.ln = w.listen(w.server, 3863, opts)
		var err error
		if w.a, err = w.client.Dial(t.Context(), w.ln.LocalAddr(), opts); err != nil {
			t.Fatal(err)
		}
		w.b = w.accept(w.ln)
		w.start = time.Now()
		test(w)
		w.a.Abort()
		w.b.Abort()
		w.ln.Close()
	})
}

func (w *world) listen(h *simnet.Host, port uint16, opts transport.Options) transport.Listener {
	w.Helper()
	ln, err := h.Listen(w.Context(), protocol.TransportAddr{Protocol: protocol.SCTP, Port: port}, opts)
	if err != nil {
		w.Fatal(err)
	}
	return ln
}

func (w *world) accept(ln transport.Listener) transport.Assoc {
	w.Helper()
	a, err := ln.Accept(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// cut cuts the paths that begin with these addresses of the client.
func (w *world) cut(paths ...int) {
	for _, i := range paths {
		w.net.Cut(w.client.Addrs()[i], w.server.Addrs()[i])
	}
}

func (w *world) heal(paths ...int) {
	for _, i := range paths {
		w.net.Heal(w.client.Addrs()[i], w.server.Addrs()[i])
	}
}

func (w *world) send(a transport.Assoc, text string, stream uint16) {
	w.Helper()
	if err := a.Send([]byte(text), transport.SendInfo{Stream: stream}); err != nil {
		w.Fatalf("Send %q: %v", text, err)
	}
}

// event is what a Recv gave, and when.
type event struct {
	text   string
	notice transport.Notice
	err    error
	at     time.Duration
}

func (w *world) recv(a transport.Assoc) event {
	buf := make([]byte, 100)
	n, info, err := a.Recv(buf)
	return event{string(buf[:n]), info.Notice, err, time.Since(w.start)}
}

// want compares the next event of a.
func (w *world) want(a transport.Assoc, want event) {
	w.Helper()
	got := w.recv(a)
	if got.text != want.text || got.notice != want.notice || !errors.Is(got.err, want.err) || got.at != want.at {
		w.Fatalf("received %+v, want %+v", got, want)
	}
}

// pass lets time pass until d after the start.
func (w *world) pass(d time.Duration) { <-time.After(time.Until(w.start.Add(d))) }
