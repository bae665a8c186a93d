package handlespace

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

var benchmarkPolicies = []struct {
	name string
	// policy returns the values of a PE; r makes them differ.
	policy func(r *rand.Rand) protocol.Policy
}{
	{"RoundRobin", func(*rand.Rand) protocol.Policy { return roundRobin() }},
	{"Random", func(*rand.Rand) protocol.Policy { return protocol.Policy{Type: protocol.Random} }},
	{"LeastUsed", func(r *rand.Rand) protocol.Policy { return leastUsed(r.Uint32()) }},
	{"LeastUsedIdle", func(*rand.Rand) protocol.Policy { return leastUsed(0) }},
	{"WeightedRandom", func(r *rand.Rand) protocol.Policy { return weightedRandomly(1 + r.Uint32N(100)) }},
}

var benchmarkShapes = []struct {
	name        string
	pools, size int
}{
	{"10", 1, 10}, {"1000", 1, 1_000}, {"10000", 1, 10_000}, {"100000", 1, 100_000}, {"1000x100", 1_000, 100},
}

// registration is a PE and the pool that it belongs to.
type registration struct {
	handle protocol.PoolHandle
	pe     protocol.PoolElement
}

// benchmarkAll runs f for each policy and shape.
func benchmarkAll(b *testing.B, f func(b *testing.B, all []registration)) {
	for _, p := range benchmarkPolicies {
		for _, shape := range benchmarkShapes {
			b.Run(p.name+"/"+shape.name, func(b *testing.B) {
				all := registrations(shape.pools, shape.size, p.policy)
				b.ReportAllocs()
				f(b, all)
			})
		}
	}
}

// registrations returns those of all PEs of some pools in random order.
func registrations(pools, size int, policy func(r *rand.Rand) protocol.Policy) []registration {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]registration, 0, pools*size)
	for i := range pools {
		handle := protocol.PoolHandle(fmt.Sprintf("pool %04d", i))
		ids := make(map[protocol.PEID]bool)
		for len(ids) < size {
			if id := protocol.PEID(r.Uint32()); !ids[id] {
				ids[id] = true
				all = append(all, registration{handle, element(id, 1, policy(r))})
			}
		}
	}
	shuffle(all)
	return all
}

// filledSpace registers all PEs, and then puts all into another order: PEs that
// follow each other in time do not do so in memory.
func filledSpace(b *testing.B, all []registration) *Space[int] {
	s := New[int](Options{Rand: rand.NewPCG(3, 4)})
	register(b, s, all)
	shuffle(all)
	return s
}

func shuffle(all []registration) {
	rand.New(rand.NewPCG(5, 6)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
}

func register(b *testing.B, s *Space[int], all []registration) {
	for i := range all {
		if _, kind, err := s.Put(all[i].handle, &all[i].pe, Registered); kind != Added || err != nil {
			b.Fatal(kind, err)
		}
	}
}

func BenchmarkHandlespaceSelect1(b *testing.B) { benchmarkSelect(b, 1) }

func BenchmarkHandlespaceSelect3(b *testing.B) { benchmarkSelect(b, 3) }

func benchmarkSelect(b *testing.B, n int) {
	benchmarkAll(b, func(b *testing.B, all []registration) {
		s := filledSpace(b, all)
		dst := make([]*Element[int], 0, n)
		i := 0
		for b.Loop() {
			if got, _ := s.Select(dst, all[i].handle, n); len(got) != n {
				b.Fatalf("selected %d PEs, want %d", len(got), n)
			}
			i = (i + 1) % len(all)
		}
	})
}

func BenchmarkHandlespaceReregisterUnchanged(b *testing.B) {
	benchmarkAll(b, func(b *testing.B, all []registration) {
		s := filledSpace(b, all)
		i := 0
		for b.Loop() {
			if _, kind, err := s.Put(all[i].handle, &all[i].pe, Registered); kind != Unchanged || err != nil {
				b.Fatal(kind, err)
			}
			i = (i + 1) % len(all)
		}
	})
}

// BenchmarkHandlespaceReregisterLoad re-registers LeastUsed PEs with a load that
// differs from the one before.
func BenchmarkHandlespaceReregisterLoad(b *testing.B) {
	for _, shape := range benchmarkShapes {
		b.Run("LeastUsed/"+shape.name, func(b *testing.B) {
			all := registrations(shape.pools, shape.size, func(r *rand.Rand) protocol.Policy { return leastUsed(r.Uint32()) })
			s := filledSpace(b, all)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				all[i].pe.Policy.Load += 0x9e3779b9 // anywhere else
				if _, kind, err := s.Put(all[i].handle, &all[i].pe, Registered); kind != Updated || err != nil {
					b.Fatal(kind, err)
				}
				i = (i + 1) % len(all)
			}
		})
	}
}

// BenchmarkHandlespaceDeregisterRegister removes a PE and puts it again, so that
// the pool keeps its size.
func BenchmarkHandlespaceDeregisterRegister(b *testing.B) {
	benchmarkAll(b, func(b *testing.B, all []registration) {
		s := filledSpace(b, all)
		i := 0
		for b.Loop() {
			if !s.Remove(all[i].handle, all[i].pe.ID, Deregistered) {
				b.Fatal("no such PE")
			}
			if _, kind, err := s.Put(all[i].handle, &all[i].pe, Registered); kind != Added || err != nil {
				b.Fatal(kind, err)
			}
			i = (i + 1) % len(all)
		}
	})
}

// BenchmarkHandlespaceRegister fills an empty Space and empties it again, in another
// order. It reports the time per PE of both: of registrations, and of
// deregistrations. The allocations are those of a whole turn.
func BenchmarkHandlespaceRegister(b *testing.B) {
	benchmarkAll(b, func(b *testing.B, all []registration) {
		s := New[int](Options{})
		leaving := slices.Clone(all)
		shuffle(leaving)
		var registering, deregistering time.Duration
		for b.Loop() {
			start := time.Now()
			register(b, s, all)
			filled := time.Now()
			for i := range leaving {
				s.Remove(leaving[i].handle, leaving[i].pe.ID, Deregistered)
			}
			registering += filled.Sub(start)
			deregistering += time.Since(filled)
		}
		if s.Len() != 0 {
			b.Fatalf("%d PEs are left", s.Len())
		}
		pes := float64(b.N) * float64(len(all))
		b.ReportMetric(float64(registering.Nanoseconds())/pes, "register-ns/PE")
		b.ReportMetric(float64(deregistering.Nanoseconds())/pes, "deregister-ns/PE")
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkHandlespaceMemory reports the memory that a PE keeps with its share of its
// pool: one IPv4 address for the service and the same for ASAP, and an encoded
// parameter of 56 bytes. There are always 100,000 PEs, in pools of the given size.
func BenchmarkHandlespaceMemory(b *testing.B) {
	for _, p := range benchmarkPolicies {
		for _, size := range []int{10, 100, 1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", p.name, size), func(b *testing.B) {
				all := registrations(100_000/size, size, p.policy)
				var used uint64
				for b.Loop() {
					before := heapInUse()
					s := filledSpace(b, all)
					for el := range s.After("", 0) {
						el.Param = make([]byte, 56)
					}
					used = heapInUse() - before
					runtime.KeepAlive(s)
				}
				b.ReportMetric(float64(used)/float64(len(all)), "B/PE")
				runtime.KeepAlive(all)
			})
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first found, with what its sweep was late for
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
