package enrp

import (
	"fmt"
	"testing"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
)

// pass carries messages from one registrar, whose association is from, to another one, whose is to.
func pass(a, b *engineTest, to effect.AssocID) (any bool) {
	for f, ok := a.effects.Next(); ok; f, ok = a.effects.Next() {
		if f.Kind == effect.Send {
			b.HandleMessage(b.now, to, protocol.PPIDENRP, f.Data)
			any = true
		}
	}
	return any
}

// BenchmarkStart10000 is a new registrar's download of 10,000 PEs, with the work of both sides.
func BenchmarkStart10000(b *testing.B) {
	mentor := newEngineTest(b, func(cfg *Config) { cfg.ID = 1 })
	mentor.Start(mentor.now, addr(1, protocol.PortENRP), false)
	for i := range protocol.PEID(10000) {
		pe := add(1, "", i+1).Element
		if _, _, err := mentor.space.Put(protocol.PoolHandle(fmt.Sprint("Pool", i%100)), &pe, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	accepted := effect.AssocID(0)
	for b.Loop() {
		e := newEngineTest(b)
		e.AddPeer(e.now, addr(1, protocol.PortENRP))
		e.Start(e.now, addr(5, protocol.PortENRP), false)
		id := e.dialedTo(1)
		accepted++
		mentor.HandleUp(mentor.now, accepted, addr(1, protocol.PortENRP), addr(5, protocol.PortENRP))
		e.HandleUp(e.now, id, addr(5, protocol.PortENRP), addr(1, protocol.PortENRP))
		for pass(e, mentor, accepted) || pass(mentor, e, id) {
		}
		if e.space.Len() != 10000 || !e.Serving() {
			b.Fatalf("%d PEs, serving %v", e.space.Len(), e.Serving())
		}
		mentor.HandleLost(mentor.now, accepted, nil)
		mentor.drain()
	}
}

// withElements is a registrar with ten peers, each of which owns 1000 PEs.
func withElements(b *testing.B) *engineTest {
	e := newServing(b, 0)
	for i := range 10 {
		number := i + 10
		e.known(number)
		for k := range protocol.PEID(1000) {
			e.receive(number, add(number, "Pool", protocol.PEID(number*1000)+k))
		}
	}
	e.drain()
	return e
}

// BenchmarkUpdateOut is a reregistration of ours, told to ten peers.
func BenchmarkUpdateOut(b *testing.B) {
	e := withElements(b)
	el := e.registered("Pool", 7)
	b.ReportAllocs()
	for b.Loop() {
		e.Registered(e.now, el)
		for _, ok := e.effects.Next(); ok; _, ok = e.effects.Next() {
		}
	}
}

// BenchmarkUpdateIn is a peer's update of a known PE.
func BenchmarkUpdateIn(b *testing.B) {
	e := withElements(b)
	data := add(12, "Pool", 12001).AppendTo(nil)
	b.ReportAllocs()
	for b.Loop() {
		e.HandleMessage(e.now, 12, protocol.PPIDENRP, data)
	}
}

// Updates are what a registrar's day is made of.
func TestUpdatesAllocateNothing(t *testing.T) {
	e := newServing(t, 2)
	el := e.registered("Echo", 7)
	data := add(1, "Echo", 8).AppendTo(nil)
	e.drain()
	if n := testing.AllocsPerRun(100, func() {
		e.Registered(e.now, el)
		e.HandleMessage(e.now, 1, protocol.PPIDENRP, data)
		for _, ok := e.effects.Next(); ok; _, ok = e.effects.Next() {
		}
	}); n != 0 {
		t.Errorf("%v allocations for an update in and out, want 0", n)
	}
}
