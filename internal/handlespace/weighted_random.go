package handlespace

import (
	"math/bits"

	"github.com/rserpool/rsp/internal/protocol"
)

// weightedRandom selects by WeightedRandom and its kin: "The probability of
// selecting a pool element should be the ratio of the weight of that pool element
// to the sum of weights" (RFC 5356 section 4.4.2).
type weightedRandom[V any] struct {
	random[V]
	weighting
	weights fenwick // by place.index
}

// weighting is what the policies of this family differ in.
type weighting struct {
	weight valuation
	// lastResort says what a weight of 0 means: never, since "the pool element is not
	// capable of providing any service" (RFC 5356 section 3.2), or, when it is set, only
	// when all others have a weight of 0 too, and then with the same probability.
	lastResort bool
}

var weightings = map[protocol.PolicyType]weighting{
	protocol.WeightedRandom:    {func(p *protocol.Policy, _ uint32) uint64 { return uint64(p.Weight) }, false},
	protocol.WeightedRandomDPF: {remoteWeight, false},
	// RFC 5356 section 5.4.2 has the first one, the others are RSPLIB's. RSPLIB never
	// counts selections for them.
	protocol.RandomizedLeastUsed:                    {unused(load), true},
	protocol.RandomizedPriorityLeastUsed:            {unused(nextLoad), true},
	protocol.RandomizedLeastUsedDegradation:         {unused(degradedLoad), true},
	protocol.RandomizedPriorityLeastUsedDegradation: {unused(degradedNextLoad), true},
}

// unused weighs by "0xffffffff - load value provided by the pool element" (RFC 5356
// section 5.4.2). Where RSPLIB's weight is at least 1, the RFC's is 0, which for
// PEs that are all fully used makes their ratios 0/0.
func unused(load valuation) valuation {
	return func(p *protocol.Policy, selections uint32) uint64 {
		return protocol.MaxLoad - min(protocol.MaxLoad, load(p, selections))
	}
}

// remoteWeight is RSPLIB's weight - round(weight * distance * DPF), at least 1. A
// weight of 0 stays 0, by RFC 5356 section 3.2.
func remoteWeight(p *protocol.Policy, _ uint32) uint64 {
	if p.Weight == 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(p.Weight)*uint64(p.Distance), uint64(p.WeightDPF))
	low, carry := bits.Add64(low, protocol.MaxLoad/2, 0) // rounds
	if high += carry; high >= protocol.MaxLoad {
		return 1
	}
	penalty, _ := bits.Div64(high, low, protocol.MaxLoad)
	return uint64(p.Weight) - min(penalty, uint64(p.Weight)-1)
}

func (w *weightedRandom[V]) weigh(el *Element[V]) uint64 {
	return w.weight(&el.Policy, el.place.counter)
}

func (w *weightedRandom[V]) add(el *Element[V]) {
	w.random.add(el)
	w.weights.push(w.weigh(el))
}

// remove moves the last PE into el's place, and its weight with it.
func (w *weightedRandom[V]) remove(el *Element[V]) {
	i, last := int(el.place.index), len(w.elements)-1
	w.weights.add(i, w.weights.get(last)-w.weights.get(i))
	w.weights.pop()
	w.random.remove(el)
}

func (w *weightedRandom[V]) renew(el *Element[V], changed bool) {
	if !changed && el.place.counter == 0 {
		return
	}
	el.place.counter = 0
	i := int(el.place.index)
	w.weights.add(i, w.weigh(el)-w.weights.get(i))
}

// pick draws without putting back: a drawn PE has weight 0 until all are drawn.
func (w *weightedRandom[V]) pick(dst []*Element[V], n, _ int) []*Element[V] {
	start := len(dst)
	for range n {
		total := w.weights.total()
		if total == 0 {
			break
		}
		i := w.weights.find(w.rand.Uint64N(total))
		el := w.elements[i]
		dst = append(dst, el)
		w.weights.add(i, -w.weigh(el))
	}
	if drawn := len(dst) - start; drawn < n && w.lastResort {
		dst = w.pickRest(dst, drawn, n)
	}
	for _, el := range dst[start:] {
		el.countSelection()
		w.weights.add(int(el.place.index), w.weigh(el))
	}
	return dst
}

// pickRest goes on when n PEs are wanted, but those that are not yet drawn have all
// a weight of 0. So has now every place, and the PEs may change theirs: the
// drawn ones, the last of dst, to the front, and the others as random does.
func (w *weightedRandom[V]) pickRest(dst []*Element[V], drawn, n int) []*Element[V] {
	for i, el := range dst[len(dst)-drawn:] {
		w.swap(i, int(el.place.index))
	}
	return w.shuffle(dst, drawn, n)
}
