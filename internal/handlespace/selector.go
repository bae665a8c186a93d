package handlespace

import (
	"math/rand/v2"

	"github.com/rserpool/rsp/internal/protocol"
)

// selector is what a policy makes of the PEs of a pool.
type selector[V any] interface {
	add(el *Element[V])
	remove(el *Element[V])
	// renew is called when el, whose values are in place, was registered again;
	// changed says whether its policy's values are new.
	renew(el *Element[V], changed bool)
	// pick appends n PEs to dst; n is 0 to the size of the pool. The first
	// increment of them make way for others at the next pick.
	pick(dst []*Element[V], n, increment int) []*Element[V]
}

// place is where a PE stands in the selector of its pool; each family of
// policies uses its own part.
type place[V any] struct {
	prev, next *Element[V] // ring
	index      int         // all others
}

// newSelector returns nil for a policy type that is not supported; r is what
// the random policies draw from.
func newSelector[V any](t protocol.PolicyType, r *rand.Rand) selector[V] {
	switch t {
	case protocol.RoundRobin:
		return new(ring[V])
	case protocol.Random:
		return &random[V]{rand: r}
	case protocol.WeightedRandom:
		return &weightedRandom[V]{random: random[V]{rand: r}}
	}
	if ranking, ok := rankings[t]; ok {
		return &sorted[V]{ranking: ranking}
	}
	return nil
}
