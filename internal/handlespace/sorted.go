package handlespace

import (
	"math"
	"math/bits"

	"github.com/rserpool/rsp/internal/protocol"
)

// sorted selects the PEs that a ranking puts first. Among PEs of the same rank,
// the one that was selected longest ago comes first, which is the round robin
// that RFC 5356 section 5.1.2 asks for.
type sorted[V any] struct {
	ranking ranking
	queue   queue[V]
	seq     uint64 // the last one given
}

// standing is a PE's place in the order of its pool: by major, then minor, then
// seq, the least first.
type standing struct {
	major              uint64
	seq                uint64 // when the PE was selected or, until then, added
	minor              uint32 // WeightedRoundRobin only
	degradationCounter uint32 // LeastUsedDegradation only; not part of the order
}

// before subtracts as if both were long numbers: a branch would be a coin toss for
// the processor, and a selection asks some twenty times.
func (s *standing) before(t *standing) bool {
	_, borrow := bits.Sub64(s.seq, t.seq, 0)
	_, borrow = bits.Sub64(uint64(s.minor), uint64(t.minor), borrow)
	_, borrow = bits.Sub64(s.major, t.major, borrow)
	return borrow != 0
}

// ranking is what the policies of this family differ in: how each event moves a
// PE, apart from seq.
type ranking interface {
	// added ranks a new PE; first is the standing of the PE that leads the pool,
	// or nil.
	added(s *standing, p *protocol.Policy, first *standing)
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

func (s *sorted[V]) add(el *Element[V]) {
	s.seq++
	i := s.queue.append(el)
	var first *standing
	if i > 0 {
		first = &s.queue[0].standing
	}
	s.queue[i].seq = s.seq
	s.ranking.added(&s.queue[i].standing, &el.Policy, first)
	s.queue.up(i)
}

func (s *sorted[V]) remove(el *Element[V]) { s.queue.remove(el.place.index) }

func (s *sorted[V]) renew(el *Element[V], changed bool) {
	i := el.place.index
	s.ranking.renewed(&s.queue[i].standing, &el.Policy, changed)
	s.queue.fix(i)
}

// pick gets at the n-th PE by taking those before it out of the queue, to its
// end; they come back once all have their new standings.
func (s *sorted[V]) pick(dst []*Element[V], n, increment int) []*Element[V] {
	if n == 0 {
		return dst
	}
	start, rest := len(dst), s.queue
	dst = append(dst, rest[0].el)
	for range n - 1 {
		rest = rest.takeOut()
		dst = append(dst, rest[0].el)
	}
	for i, el := range dst[start:] {
		st := &s.queue[el.place.index].standing
		if i < increment {
			s.seq++
			st.seq = s.seq
		}
		s.ranking.selected(st, &el.Policy, i < increment)
	}
	rest.down(0)
	for i := len(rest); i < len(s.queue); i++ {
		s.queue.up(i)
	}
	return dst
}
