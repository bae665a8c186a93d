package handlespace

import "github.com/rserpool/rsp/internal/protocol"

// selector is what a policy makes of the PEs of a pool.
type selector[V any] interface {
	add(el *Element[V])
	remove(el *Element[V])
	// renew is called when el, whose values are in place, was registered again;
	// changed says whether its policy's values are new.
	renew(el *Element[V], changed bool)
	// pick appends n PEs to dst, or fewer if no others may be selected; n is 0 to the
	// size of the pool. The first increment of them make way for others at the next pick.
	pick(dst []*Element[V], n, increment int) []*Element[V]
}

// place is where a PE stands in the selector of its pool; each family of
// policies uses its own part.
type place[V any] struct {
	prev, next *Element[V] // in a ring
	rank       uint64      // in a queue
	index      int32       // in an array or a heap
	counter    uint32      // of selections since the registration, or of turns in this round
}

// Rule says where a PE stands that has some parameters and has been selected so
// often since it registered or re-registered: the lowest first, equal ones in turn. It
// is asked when the PE registers with new parameters or after selections, and
// after each selection.
type Rule func(parameters string, selections uint32) uint64

func (s *Space[V]) newSelector(t protocol.PolicyType) selector[V] {
	switch t {
	case protocol.RoundRobin:
		return new(ring[V])
	case protocol.WeightedRoundRobin:
		return new(weightedRing[V])
	case protocol.Random:
		return &random[V]{rand: s.rand}
	}
	if w, ok := weightings[t]; ok {
		return &weightedRandom[V]{random: random[V]{rand: s.rand}, weighting: w}
	}
	if rank, ok := ranks[t]; ok {
		return &sorted[V]{rank: rank}
	}
	if rule, ok := s.rules[t]; ok {
		return &sorted[V]{rank: func(p *protocol.Policy, selections uint32) uint64 { return rule(p.Opaque, selections) }}
	}
	return new(ring[V]) // nobody has a rule for it
}
