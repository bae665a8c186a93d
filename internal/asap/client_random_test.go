package asap_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// TestRandomInputs gives a Client thousands of random sequences of calls, losses, dials
// that fail, answers of all kinds, announces, garbage and time. Whatever happens:
//
//   - it never opens more than three associations at once (SH1),
//   - its effects are for associations that there are,
//   - it tells the end of every resolution exactly once, unless it was cancelled,
//   - after Advance its deadline is in the future, so that the loop is never busy,
//   - once there is a registrar that works, every PE is registered there.
func TestRandomInputs(t *testing.T) {
	sequences := uint64(3000)
	if testing.Short() {
		sequences = 300
	}
	for seed := range sequences {
		w := newWorld(t, seed)
		for range 150 {
			w.step()
			w.settle()
		}
		w.recover()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// world is everything around a Client.
type world struct {
	*clientTest
	rand    *rand.Rand
	dialing []effect.AssocID
	live    []effect.AssocID
	visits  effect.AssocID

	questions []question // of the Client, not answered, oldest first
	queries   map[asap.QueryID]bool
	pes       map[protocol.PEID]bool           // that are neither rejected nor deregistered; true: being deregistered
	table     map[protocol.PEID]effect.AssocID // the registrars': over which association a PE is registered
}

// question is a message of the Client that wants an answer.
type question struct {
	on     effect.AssocID
	answer effect.Appender
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		clientTest: newClientTest(t, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"),
		rand:       rand.New(rand.NewPCG(seed, 0)),
		queries:    make(map[asap.QueryID]bool),
		pes:        make(map[protocol.PEID]bool),
		table:      make(map[protocol.PEID]effect.AssocID),
	}
}

// step gives the Client one input.
func (w *world) step() {
	switch w.rand.IntN(11) {
	case 0, 1:
		w.call()
	case 2, 3, 4:
		w.pass(time.Duration(w.rand.Int64N(int64(2 * time.Second))))
	case 5:
		w.endDial()
	case 6, 7:
		w.answer()
	case 8:
		w.visitOrAsk()
	case 9:
		if id, ok := pick(w, w.live); ok && w.rand.IntN(2) == 0 {
			w.forget(id)
			w.lose(id)
		}
	case 10:
		w.announce(fmt.Sprint("10.0.0.", 1+w.rand.IntN(9)))
	}
}

func pick[T any](w *world, from []T) (x T, ok bool) {
	if len(from) == 0 {
		return x, false
	}
	return from[w.rand.IntN(len(from))], true
}

// call is the upper layer.
func (w *world) call() {
	id := 1 + protocol.PEID(w.rand.IntN(4))
	switch w.rand.IntN(7) {
	case 0, 1:
		w.queries[w.resolve(pool)] = true
	case 2:
		if q, ok := pick(w, slices.Sorted(maps.Keys(w.queries))); ok {
			w.Cancel(q)
			delete(w.queries, q)
		}
	case 3, 4:
		w.Register(w.now, pool, element(id))
		if _, known := w.pes[id]; !known {
			w.pes[id] = false
		}
	case 5:
		if _, ok := w.pes[id]; ok {
			w.pes[id] = true
			w.Deregister(w.now, pool, id)
		}
	case 6:
		if w.rand.IntN(4) == 0 {
			w.Rehome(w.now)
		} else {
			w.ReportUnreachable(w.now, pool, id)
		}
	}
}

// pass lets time pass, deadline by deadline.
func (w *world) pass(d time.Duration) {
	end := w.now.Add(d)
	for next := w.Deadline(); !next.IsZero() && !next.After(end); next = w.Deadline() {
		w.now = next
		w.Advance(w.now)
		if d := w.Deadline(); !d.IsZero() && !d.After(w.now) {
			w.Fatalf("after Advance the deadline is %v ago", w.now.Sub(d))
		}
		w.settle()
	}
	w.now = end
}

// endDial completes a dial, well or not.
func (w *world) endDial() {
	id, ok := pick(w, w.dialing)
	if !ok {
		return
	}
	w.forget(id)
	if w.rand.IntN(2) == 0 {
		w.lose(id)
		return
	}
	w.live = append(w.live, id)
	w.up(id)
}

// answer is a registrar's answer to the oldest question, a refusal, or nonsense.
func (w *world) answer() {
	if w.rand.IntN(10) == 0 {
		if id, ok := pick(w, w.live); ok {
			garbage := make([]byte, w.rand.IntN(20))
			for i := range garbage {
				garbage[i] = byte(w.rand.IntN(16))
			}
			w.receiveBytes(id, garbage)
		}
		return
	}
	if len(w.questions) == 0 {
		return
	}
	i := 0
	if w.rand.IntN(10) == 0 {
		i = w.rand.IntN(len(w.questions)) // out of order
	}
	q := w.questions[i]
	w.questions = slices.Delete(w.questions, i, i+1)
	if w.rand.IntN(10) == 0 {
		w.receive(q.on, &wire.ASAPError{Causes: cause(protocol.CauseUnspecified)})
		return
	}
	w.give(q, w.rand.IntN(10) == 0)
}

// give answers a question as a registrar does.
func (w *world) give(q question, reject bool) {
	switch m := q.answer.(type) {
	case *wire.RegistrationResponse:
		m.Reject = reject
		if reject {
			codes := []protocol.Cause{protocol.CauseNoUsableUserAddresses, protocol.CauseInconsistentPolicy}
			m.Causes = cause(codes[w.rand.IntN(2)])
		} else {
			w.table[m.ID] = q.on
		}
	case *wire.DeregistrationResponse:
		delete(w.table, m.ID)
	}
	w.receive(q.on, q.answer)
}

// visitOrAsk is a registrar that comes, or asks whether a PE lives.
func (w *world) visitOrAsk() {
	if len(w.live) == 0 || w.rand.IntN(3) == 0 {
		w.visits++
		w.live = append(w.live, w.visits)
		w.visit(w.visits, "10.0.0.6")
		return
	}
	id, _ := pick(w, w.live)
	w.receive(id, &wire.EndpointKeepAlive{
		Home: w.rand.IntN(2) == 0, Registrar: 0xaa, Handle: pool, ID: protocol.PEID(w.rand.IntN(5)),
	})
}

// forget is the end of an association or dial: PEs that were registered over it are out of
// their pools.
func (w *world) forget(id effect.AssocID) {
	is := func(a effect.AssocID) bool { return a == id }
	w.dialing = slices.DeleteFunc(w.dialing, is)
	w.live = slices.DeleteFunc(w.live, is)
	w.questions = slices.DeleteFunc(w.questions, func(q question) bool { return q.on == id })
	for pe, on := range w.table {
		if on == id {
			delete(w.table, pe)
		}
	}
}

// settle performs what the Client wants done.
func (w *world) settle() {
	w.collect()
	for _, e := range w.effects {
		switch e.Kind {
		case effect.Dial:
			if w.dialing = append(w.dialing, e.Assoc); len(w.dialing) > 3 {
				w.Fatalf("dials %d registrars at once", len(w.dialing))
			}
		case effect.Close, effect.Abort:
			if !slices.Contains(w.dialing, e.Assoc) && !slices.Contains(w.live, e.Assoc) {
				w.Fatalf("ends association %d, which there is not", e.Assoc)
			}
			w.forget(e.Assoc)
		case effect.Send:
			if !slices.Contains(w.live, e.Assoc) {
				w.Fatalf("sends on association %d, which there is not", e.Assoc)
			}
			w.take(e)
		case effect.Tell:
			w.told(e.Event)
		}
	}
	w.effects = w.effects[:0]
}

// take is a message at the registrar.
func (w *world) take(e effect.Effect) {
	m, err := w.decoder.ASAP(e.Data)
	if err != nil {
		w.Fatalf("sends %x: %v", e.Data, err)
	}
	var answer effect.Appender
	switch m := m.(type) {
	case *wire.Registration:
		answer = &wire.RegistrationResponse{Handle: m.Handle, ID: m.Element.ID}
	case *wire.Deregistration:
		answer = &wire.DeregistrationResponse{Handle: m.Handle, ID: m.ID}
	case *wire.HandleResolution:
		answer = &wire.HandleResolutionResponse{Handle: m.Handle, Elements: []protocol.PoolElement{element(1)}}
	default:
		return // wants no answer
	}
	w.questions = append(w.questions, question{e.Assoc, answer})
}

// told checks an event against what was asked for.
func (w *world) told(event any) {
	switch ev := event.(type) {
	case asap.Resolved:
		if !w.queries[ev.Query] {
			w.Fatalf("tells the end of resolution %d twice, or though it was cancelled", ev.Query)
		}
		delete(w.queries, ev.Query)
	case asap.Registered:
		if leaving, ok := w.pes[ev.ID]; !ok || leaving {
			w.Fatalf("tells that PE %v is registered, which is not wanted", ev.ID)
		}
	case asap.Rejected:
		if leaving, ok := w.pes[ev.ID]; !ok || leaving {
			w.Fatalf("tells that PE %v is rejected, which is not wanted", ev.ID)
		}
		delete(w.pes, ev.ID)
	case asap.Deregistered:
		if !w.pes[ev.ID] {
			w.Fatalf("tells that PE %v is deregistered, which is not wanted", ev.ID)
		}
		delete(w.pes, ev.ID)
	}
}

// recover has all registrars work again, and checks that all ends well.
func (w *world) recover() {
	for range 20 { // less than T4, which would hide what was forgotten
		for len(w.dialing) > 0 {
			id := w.dialing[0]
			w.forget(id)
			w.live = append(w.live, id)
			w.up(id)
			w.settle()
		}
		for len(w.questions) > 0 {
			q := w.questions[0]
			w.questions = w.questions[1:]
			w.give(q, false)
			w.settle()
		}
		w.pass(time.Second)
	}
	if len(w.queries) > 0 {
		w.Errorf("never tells the end of resolutions %v", w.queries)
	}
	for id, leaving := range w.pes {
		if _, ok := w.table[id]; !ok || leaving {
			w.Errorf("PE %v is registered: %v, is to be deregistered: %v", id, ok, leaving)
		}
	}
}
