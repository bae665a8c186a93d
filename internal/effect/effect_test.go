package effect_test

import (
	"testing"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
)

type text string

func (t text) AppendTo(b []byte) []byte { return append(b, t...) }

func want(t *testing.T, q *effect.Queue, want effect.Effect) {
	t.Helper()
	got, ok := q.Next()
	if !ok {
		t.Fatalf("no effect, want %+v", want)
	}
	if got.Kind != want.Kind || got.Assoc != want.Assoc || got.PPID != want.PPID ||
		string(got.Data) != string(want.Data) || !got.To.Equal(want.To) || got.Event != want.Event {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func wantNone(t *testing.T, q *effect.Queue) {
	t.Helper()
	if e, ok := q.Next(); ok {
		t.Fatalf("got %+v, want nothing", e)
	}
}

func TestQueueKeepsOrder(t *testing.T) {
	var q effect.Queue
	wantNone(t, &q)
	to := protocol.TransportAddr{Protocol: protocol.SCTP, Port: 1}
	for range 3 {
		q.Send(1, protocol.PPIDASAP, text("one"))
		id := q.Dial(to, protocol.PPIDASAP)
		q.Send(2, protocol.PPIDENRP, text("two"))
		q.Close(1)
		want(t, &q, effect.Effect{Kind: effect.Send, Assoc: 1, PPID: protocol.PPIDASAP, Data: []byte("one")})
		q.Abort(2)
		q.Announce(protocol.PPIDENRP, text("three"))
		q.Tell("event")
		want(t, &q, effect.Effect{Kind: effect.Dial, Assoc: id, PPID: protocol.PPIDASAP, To: to})
		want(t, &q, effect.Effect{Kind: effect.Send, Assoc: 2, PPID: protocol.PPIDENRP, Data: []byte("two")})
		want(t, &q, effect.Effect{Kind: effect.Close, Assoc: 1})
		want(t, &q, effect.Effect{Kind: effect.Abort, Assoc: 2})
		want(t, &q, effect.Effect{Kind: effect.Announce, PPID: protocol.PPIDENRP, Data: []byte("three")})
		want(t, &q, effect.Effect{Kind: effect.Tell, Event: "event"})
		wantNone(t, &q)
	}
}

// A message's Data holds whatever is sent behind it, and nobody who appends to it harms
// the next one.
func TestQueuedDataStands(t *testing.T) {
	var q effect.Queue
	q.Send(1, 0, text("first"))
	q.Send(1, 0, text("second"))
	first, _ := q.Next()
	_ = append(first.Data, "XXXXXX"...)
	for range 100 {
		q.Send(1, 0, text("and many more, so that the memory grows"))
	}
	if string(first.Data) != "first" {
		t.Errorf("data is %q now", first.Data)
	}
	want(t, &q, effect.Effect{Kind: effect.Send, Assoc: 1, Data: []byte("second")})
}

// "Accepted associations get theirs from the loop, dialed ones from the loop at the Dial
// effect. It is never used twice."
func TestDialedNames(t *testing.T) {
	var q effect.Queue
	seen := make(map[effect.AssocID]bool)
	for range 100 {
		id := q.Dial(protocol.TransportAddr{}, protocol.PPIDASAP)
		if seen[id] || id < 1<<63 {
			t.Fatalf("name %#x was used, or may be an accepted association's", uint64(id))
		}
		seen[id] = true
	}
}

func BenchmarkQueue(b *testing.B) {
	var q effect.Queue
	var m effect.Appender = text("a message that answers another one")
	b.ReportAllocs()
	for b.Loop() {
		q.Send(1, protocol.PPIDASAP, m)
		for _, ok := q.Next(); ok; _, ok = q.Next() {
		}
	}
}

func TestQueueAllocatesNothing(t *testing.T) {
	var q effect.Queue
	var m effect.Appender = text("a message that answers another one")
	if n := testing.AllocsPerRun(100, func() {
		for range 3 {
			q.Send(1, protocol.PPIDASAP, m)
		}
		for _, ok := q.Next(); ok; _, ok = q.Next() {
		}
	}); n != 0 {
		t.Errorf("%v allocations for 3 messages, want 0", n)
	}
}
