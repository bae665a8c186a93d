package handlespace

import (
	"cmp"
	"iter"
	"strings"

	"github.com/rserpool/rsp/internal/protocol"
)

// Pool describes a pool of a Space.
type Pool struct {
	Handle protocol.PoolHandle
	Policy protocol.PolicyType
	Len    int // number of PEs
}

// Pools returns all pools in the order of RSPLIB's handle tables: shorter
// handles first, handles of the same length by their bytes. As with the other
// iterators, the Space may be changed meanwhile: what was removed is not
// returned any more, what was added is when its turn is still to come.
func (s *Space[V]) Pools() iter.Seq[Pool] {
	return func(yield func(Pool) bool) {
		for handle := range s.order.from("") {
			p := s.pools[handle]
			if !yield(Pool{handle, p.policy, len(p.elements)}) {
				return
			}
		}
	}
}

// Elements returns the PEs of a pool by ascending ID.
func (s *Space[V]) Elements(handle protocol.PoolHandle) iter.Seq[*Element[V]] {
	return func(yield func(*Element[V]) bool) {
		p := s.pools[handle]
		if p == nil {
			return
		}
		for id := range p.order.from(0) {
			if !yield(p.elements[id]) {
				return
			}
		}
	}
}

// After returns the PEs of all pools that come after one PE, which need not
// exist: the pools in the order of Pools, each with its PEs by ascending ID. All
// PEs come after those of the pool handle "".
func (s *Space[V]) After(handle protocol.PoolHandle, id protocol.PEID) iter.Seq[*Element[V]] {
	return func(yield func(*Element[V]) bool) {
		for h := range s.order.from(handle) {
			p, first := s.pools[h], protocol.PEID(0)
			if h == handle {
				first = id
			}
			for i := range p.order.from(first) {
				if h == handle && i == id {
					continue
				}
				if !yield(p.elements[i]) {
					return
				}
			}
		}
	}
}

// OwnedBy returns the PEs whose home is registrar, in the order of After. It
// looks at every PE of the Space unless registrar has none.
func (s *Space[V]) OwnedBy(registrar protocol.RegistrarID) iter.Seq[*Element[V]] {
	return func(yield func(*Element[V]) bool) {
		if s.owners[registrar].elements == 0 {
			return
		}
		for el := range s.After("", 0) {
			if el.Home == registrar && !yield(el) {
				return
			}
		}
	}
}

func compareHandles(a, b protocol.PoolHandle) int {
	if len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return strings.Compare(string(a), string(b))
}
