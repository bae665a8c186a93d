package loop_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
)

// BenchmarkRequest is a request to a loop, and its answer: what a registrar does all
// day, without its work.
func BenchmarkRequest(b *testing.B) {
	peer := newEcho(b)
	request, answer := make([]byte, 100), make([]byte, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if err := peer.Send(request, transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
			b.Fatal(err)
		}
		if _, _, err := peer.Recv(answer); err != nil {
			b.Fatal(err)
		}
	}
}

// newEcho returns an association with a loop that answers every message.
func newEcho(tb testing.TB) transport.Assoc {
	net := simnet.New(simnet.Config{})
	host, other := net.Host("10.0.0.1"), net.Host("10.0.0.2")
	l := loop.New(&engine{}, loop.Config{Networks: []transport.Network{host}, Logger: slog.New(slog.DiscardHandler)})
	tb.Cleanup(l.Abort)
	var answer effect.Appender = text("an answer")
	l.Do(func(_ time.Time, e *engine) {
		e.onMessage = func(id effect.AssocID, _ []byte) { e.Send(id, protocol.PPIDASAP, answer) }
	})
	ln, err := host.Listen(context.Background(), at(host), transport.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	l.Serve(ln, protocol.PPIDASAP)
	peer, err := other.Dial(context.Background(), at(host), transport.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { peer.Abort() })
	return peer
}

// BenchmarkSend is a message that the engine sends unasked, as to start a request.
func BenchmarkSend(b *testing.B) {
	net := simnet.New(simnet.Config{})
	host, other := net.Host("10.0.0.1"), net.Host("10.0.0.2")
	ln, err := other.Listen(context.Background(), at(other), transport.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	l := loop.New(&engine{}, loop.Config{Networks: []transport.Network{host}, Logger: slog.New(slog.DiscardHandler)})
	defer l.Abort()
	var id effect.AssocID
	l.Do(func(_ time.Time, e *engine) { id = e.Dial(at(other), protocol.PPIDASAP) })
	peer, err := ln.Accept(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Abort()
	var message effect.Appender = text("a message")
	send := func(_ time.Time, e *engine) { e.Send(id, protocol.PPIDASAP, message) }
	for up := false; !up; { // the peer may be up before us
		l.Do(func(_ time.Time, e *engine) { up = len(e.up) > 0 })
	}
	buf := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		l.Do(send)
		if _, _, err := peer.Recv(buf); err != nil {
			b.Fatal(err)
		}
	}
}
