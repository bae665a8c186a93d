package handlespace

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

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

// benchmarkPool runs f for each policy and size of a pool, whose PEs it gets
// in random order.
func benchmarkPool(b *testing.B, f func(b *testing.B, s *Space[int], elements []protocol.PoolElement)) {
	for _, p := range benchmarkPolicies {
		for _, size := range []int{10, 1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", p.name, size), func(b *testing.B) {
				s, elements := benchmarkSpace(b, size, p.policy)
				b.ReportAllocs()
				f(b, s, elements)
			})
		}
	}
}

func benchmarkSpace(b *testing.B, size int, policy func(r *rand.Rand) protocol.Policy) (*Space[int], []protocol.PoolElement) {
	source := rand.NewPCG(1, 2)
	r := rand.New(source)
	s := New[int](Options{Rand: source})
	elements := make([]protocol.PoolElement, 0, size)
	for len(elements) < size {
		pe := element(protocol.PEID(r.Uint32()), 1, policy(r))
		if s.Get("pool", pe.ID) != nil {
			continue
		}
		if _, _, err := s.Put("pool", pe, Registered); err != nil {
			b.Fatal(err)
		}
		elements = append(elements, pe)
	}
	r.Shuffle(size, func(i, j int) { elements[i], elements[j] = elements[j], elements[i] })
	return s, elements
}

func BenchmarkHandlespaceSelect1(b *testing.B) { benchmarkSelect(b, 1) }

func BenchmarkHandlespaceSelect3(b *testing.B) { benchmarkSelect(b, 3) }

func benchmarkSelect(b *testing.B, n int) {
	benchmarkPool(b, func(b *testing.B, s *Space[int], _ []protocol.PoolElement) {
		dst := make([]*Element[int], 0, n)
		for b.Loop() {
			if got, _ := s.Select(dst, "pool", n); len(got) != n {
				b.Fatalf("selected %d PEs, want %d", len(got), n)
			}
		}
	})
}

func BenchmarkHandlespaceReregisterUnchanged(b *testing.B) {
	benchmarkPool(b, func(b *testing.B, s *Space[int], elements []protocol.PoolElement) {
		i := 0
		for b.Loop() {
			if _, kind, err := s.Put("pool", elements[i], Registered); kind != Unchanged || err != nil {
				b.Fatal(kind, err)
			}
			i = (i + 1) % len(elements)
		}
	})
}

// BenchmarkHandlespaceReregisterLoad re-registers LeastUsed PEs with a load that
// differs from the one before.
func BenchmarkHandlespaceReregisterLoad(b *testing.B) {
	for _, size := range []int{10, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("LeastUsed/%d", size), func(b *testing.B) {
			r := rand.New(rand.NewPCG(3, 4))
			s, elements := benchmarkSpace(b, size, func(r *rand.Rand) protocol.Policy { return leastUsed(r.Uint32()) })
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				elements[i].Policy.Load += 1 + r.Uint32N(1<<31)
				if _, kind, err := s.Put("pool", elements[i], Registered); kind != Updated || err != nil {
					b.Fatal(kind, err)
				}
				i = (i + 1) % len(elements)
			}
		})
	}
}

// BenchmarkHandlespaceDeregisterRegister removes a PE and puts it again, so that
// the pool keeps its size.
func BenchmarkHandlespaceDeregisterRegister(b *testing.B) {
	benchmarkPool(b, func(b *testing.B, s *Space[int], elements []protocol.PoolElement) {
		i := 0
		for b.Loop() {
			if !s.Remove("pool", elements[i].ID, Deregistered) {
				b.Fatal("no such PE")
			}
			if _, kind, err := s.Put("pool", elements[i], Registered); kind != Added || err != nil {
				b.Fatal(kind, err)
			}
			i = (i + 1) % len(elements)
		}
	})
}

// BenchmarkHandlespaceRegister fills an empty Space with PEs of random IDs. It
// reports the time per PE, and the memory that each keeps: one IPv4 address for
// the service, one for ASAP, an encoded parameter of 56 bytes.
func BenchmarkHandlespaceRegister(b *testing.B) {
	for _, p := range benchmarkPolicies {
		for _, size := range []int{10, 1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", p.name, size), func(b *testing.B) {
				_, elements := benchmarkSpace(b, size, p.policy)
				before := heapInUse()
				var s *Space[int]
				for b.Loop() {
					s = New[int](Options{})
					for i := range elements {
						el, _, err := s.Put("pool", elements[i], Registered)
						if err != nil {
							b.Fatal(err)
						}
						el.Param = make([]byte, 56)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/PE")
				b.ReportMetric(float64(heapInUse()-before)/float64(size), "B/PE")
				runtime.KeepAlive(s)
				runtime.KeepAlive(elements)
			})
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
