package handlespace

import (
	"math"

	"github.com/rserpool/rsp/internal/protocol"
)

// sorted selects the PEs that a rule puts first. Among those that it puts at the
// same place, the one that has been there longest comes first, and goes behind the
// others when it is selected: "If there is a choice of equal-loaded pool elements,
// round robin selection SHOULD be made among these elements" (RFC 5356 section
// 5.1.2).
type sorted[V any] struct {
	queue[V]
	rank valuation
}

// valuation returns a number for the values of a PE's policy and how often the PE
// has been selected since it registered or re-registered.
type valuation func(p *protocol.Policy, selections uint32) uint64

// ranks has the policies that select the PE with the lowest rank.
var ranks = map[protocol.PolicyType]valuation{
	// RFC 5356 section 4.5.2: "the pool elements with the highest priorities".
	protocol.Priority: func(p *protocol.Policy, _ uint32) uint64 { return uint64(math.MaxUint32 - p.Priority) },
	// RFC 5356 sections 5.1.2, 5.2.2 and 5.3.2.
	protocol.LeastUsed:            load,
	protocol.LeastUsedDegradation: degradedLoad,
	protocol.PriorityLeastUsed:    nextLoad,
	// RSPLIB's, by their names.
	protocol.PriorityLeastUsedDegradation: degradedNextLoad,
	protocol.LeastUsedDPF:                 remoteLoad,
	protocol.LeastUsedDegradationDPF:      degradedRemoteLoad,
}

func (s *sorted[V]) add(el *Element[V]) { s.enter(el, s.rank(&el.Policy, 0)) }

func (s *sorted[V]) remove(el *Element[V]) { s.leave(el) }

func (s *sorted[V]) renew(el *Element[V], changed bool) {
	if !changed && el.place.counter == 0 {
		return
	}
	el.place.counter = 0
	if rank := s.rank(&el.Policy, 0); rank != el.place.rank {
		s.move(el, rank)
	}
}

// pick moves those that make way last, so that they come behind the others where all of them
// come to the same rank.
func (s *sorted[V]) pick(dst []*Element[V], n, increment int) []*Element[V] {
	start := len(dst)
	dst = s.first(dst, n)
	way := start + min(increment, n)
	for _, el := range dst[way:] {
		if rank := s.rank(&el.Policy, el.countSelection()); rank != el.place.rank {
			s.move(el, rank)
		}
	}
	for _, el := range dst[start:way] {
		s.move(el, s.rank(&el.Policy, el.countSelection()))
	}
	return dst
}

// countSelection counts one more selection of el; 1<<32 - 1 stand for more as well.
func (el *Element[V]) countSelection() uint32 {
	if el.place.counter < math.MaxUint32 {
		el.place.counter++
	}
	return el.place.counter
}
