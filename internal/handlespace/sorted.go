package handlespace

import (
	"math"

	"github.com/rserpool/rsp/internal/protocol"
)

// sorted selects the first PEs of an order that a ranking defines. Among PEs of
// the same rank, the one that was selected longest ago comes first, which is the
// round robin that RFC 5356 section 5.1.2 asks for.
type sorted[V any] struct {
	ranking ranking
	order   tree[rank, *Element[V]]
	seq     uint64 // the last one given
}

// rank is a place in the order. major and minor belong to the ranking; seq tells
// when the PE was selected or, until then, added.
type rank struct {
	major uint64
	minor uint32
	seq   uint64
}

// standing is a PE's rank and what the ranking remembers for the next one.
type standing struct {
	rank
	degradationCounter uint32 // LeastUsedDegradation only
}

// ranking is what the policies of this family differ in: how each event moves a
// PE, apart from seq.
type ranking interface {
	// added ranks a new PE; first is the rank of the PE that leads the pool, or
	// zero.
	added(s *standing, p *protocol.Policy, first rank)
	// renewed follows a re-registration.
	renewed(s *standing, p *protocol.Policy, changed bool)
	// selected follows a selection; advance is true for those that make way.
	selected(s *standing, p *protocol.Policy, advance bool)
}

var rankings = map[protocol.PolicyType]ranking{
	protocol.WeightedRoundRobin:   byRound{},
	protocol.Priority:             byValue(func(p *protocol.Policy) uint64 { return uint64(math.MaxUint32 - p.Priority) }),
	protocol.LeastUsed:            byValue(func(p *protocol.Policy) uint64 { return uint64(p.Load) }),
	protocol.LeastUsedDegradation: byDegradedLoad{},
}

func newSorted[V any](r ranking) *sorted[V] {
	return &sorted[V]{ranking: r, order: newTree[rank, *Element[V]](compareRanks)}
}

func (s *sorted[V]) add(el *Element[V]) {
	first, _, _ := s.order.first()
	s.seq++
	el.place.standing.seq = s.seq
	s.ranking.added(&el.place.standing, &el.Policy, first)
	s.order.insert(el.place.standing.rank, el)
}

func (s *sorted[V]) remove(el *Element[V]) { s.order.remove(el.place.standing.rank) }

func (s *sorted[V]) renew(el *Element[V], changed bool) {
	old := el.place.standing.rank
	s.ranking.renewed(&el.place.standing, &el.Policy, changed)
	s.move(el, old)
}

func (s *sorted[V]) pick(dst []*Element[V], n, increment int) []*Element[V] {
	start := len(dst)
	dst = s.order.appendFirst(dst, n)
	for i, el := range dst[start:] {
		standing := &el.place.standing
		old := standing.rank
		if i < increment {
			s.seq++
			standing.seq = s.seq
		}
		s.ranking.selected(standing, &el.Policy, i < increment)
		s.move(el, old)
	}
	return dst
}

func (s *sorted[V]) move(el *Element[V], old rank) {
	if now := el.place.standing.rank; now != old {
		s.order.remove(old)
		s.order.insert(now, el)
	}
}

func compareRanks(a, b rank) int {
	switch {
	case a.major != b.major:
		if a.major < b.major {
			return -1
		}
		return 1
	case a.minor != b.minor:
		if a.minor < b.minor {
			return -1
		}
		return 1
	case a.seq < b.seq:
		return -1
	case a.seq > b.seq:
		return 1
	}
	return 0
}
