// Package handlespace holds pools and their PEs and selects PEs by the pool's
// policy (RFC 5356). It is what a registrar keeps of its operation scope and
// what a PU keeps of the answers it got. It knows no wire, no clock and no
// goroutine; one owner uses a Space at a time.
package handlespace

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/rserpool/rsp/internal/protocol"
)

// Options shapes a Space; the zero value is ready to use.
type Options struct {
	// MaxIncrement is how many PEs of one answer count as selected by the policies
	// that keep an order, so that the next answer starts behind them; 0 means 1,
	// as "the head SHOULD be advanced by one element" (RFC 5356 section 4.1.2).
	MaxIncrement int
	// Rand drives the random policies; nil means one that the system seeds.
	Rand rand.Source
	// Rules has how to select by policies of the user's own. Those of package protocol
	// have their own rules; all others select as RoundRobin.
	Rules map[protocol.PolicyType]Rule
}

// Space is a handlespace. V is what its user keeps with each PE. It has one
// owner at a time: it locks nothing.
type Space[V any] struct {
	// OnChange is told each change once it is complete. It must not change the
	// Space. Set it before the first change; nil is allowed.
	OnChange func(Change[V])

	increment int
	rand      *rand.Rand
	rules     map[protocol.PolicyType]Rule
	pools     map[protocol.PoolHandle]*pool[V]
	order     tree[protocol.PoolHandle]
	owners    map[protocol.RegistrarID]ownership
	count     int // of PEs in all pools
}

// Element is a PE in a Space. Its user reads all, with what it points to, and
// writes Param and Value alone; it stays valid, though detached, when the PE is
// removed.
type Element[V any] struct {
	Handle protocol.PoolHandle
	protocol.PoolElement
	// Param is the PE parameter as its user encoded it, to be copied into answers. The
	// Space empties it, memory kept, whenever the PE changes.
	Param []byte
	Value V

	place place[V]
}

// pool is a pool handle with at least one PE. What its PEs have in common is
// fixed by the first one.
type pool[V any] struct {
	handle    protocol.PoolHandle
	policy    protocol.PolicyType
	transport protocol.TransportProtocol
	use       protocol.TransportUse
	elements  map[protocol.PEID]*Element[V]
	order     tree[protocol.PEID]
	selector  selector[V]
}

// InconsistentError refuses a PE that does not fit into its pool.
type InconsistentError struct {
	Cause  protocol.Cause
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

func (e *InconsistentError) Error() string {
	return fmt.Sprintf("PE %v for pool %q: %v", e.ID, e.Handle, e.Cause)
}

// New returns an empty Space.
func New[V any](opts Options) *Space[V] {
	if opts.MaxIncrement == 0 {
		opts.MaxIncrement = 1
	}
	if opts.Rand == nil {
		opts.Rand = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	return &Space[V]{
		increment: opts.MaxIncrement,
		rand:      rand.New(opts.Rand),
		rules:     opts.Rules,
		pools:     make(map[protocol.PoolHandle]*pool[V]),
		order:     newTree(compareHandles),
		owners:    make(map[protocol.RegistrarID]ownership),
	}
}

// Len returns the number of PEs in all pools.
func (s *Space[V]) Len() int { return s.count }

// LenPools returns the number of pools.
func (s *Space[V]) LenPools() int { return len(s.pools) }

// Get returns a PE, or nil.
func (s *Space[V]) Get(handle protocol.PoolHandle, id protocol.PEID) *Element[V] {
	if p := s.pools[handle]; p != nil {
		return p.elements[id]
	}
	return nil
}

// Put registers pe or, when the pool has its ID already, updates it; what is
// kept shares no memory with pe. A registration that says nothing new allocates
// nothing, but resets the count of the PE's selections, by which some policies select. An error is always an
// *InconsistentError and leaves everything as it was.
func (s *Space[V]) Put(handle protocol.PoolHandle, pe *protocol.PoolElement, reason Reason) (*Element[V], ChangeKind, error) {
	p := s.pools[handle]
	if p == nil {
		p = s.newPool(handle, pe)
	} else if cause := p.check(pe); cause != 0 {
		return nil, Unchanged, &InconsistentError{cause, handle, pe.ID}
	}
	el := p.elements[pe.ID]
	if el == nil {
		return s.add(p, pe, reason), Added, nil
	}
	return el, s.update(p, el, pe, reason), nil
}

// newPool returns a pool that pe is to found, not yet in the Space.
func (s *Space[V]) newPool(handle protocol.PoolHandle, pe *protocol.PoolElement) *pool[V] {
	return &pool[V]{
		handle:    handle,
		policy:    pe.Policy.Type,
		transport: pe.User.Protocol,
		use:       pe.User.Use,
		elements:  make(map[protocol.PEID]*Element[V]),
		order:     newTree(cmp.Compare[protocol.PEID]),
		selector:  s.newSelector(pe.Policy.Type),
	}
}

// check returns why pe cannot be in p, or 0. It asks in RSPLIB's order, and of
// an only PE as well: a pool changes its policy type by vanishing first.
func (p *pool[V]) check(pe *protocol.PoolElement) protocol.Cause {
	switch {
	case pe.Policy.Type != p.policy:
		return protocol.CauseInconsistentPolicy
	case pe.User.Protocol != p.transport:
		return protocol.CauseWrongTransportProtocol
	case pe.User.Use != p.use:
		return protocol.CauseInconsistentDataControl
	}
	return 0
}

func (s *Space[V]) add(p *pool[V], pe *protocol.PoolElement, reason Reason) *Element[V] {
	if len(p.elements) == 0 {
		s.pools[p.handle] = p
		s.order.insert(p.handle)
	}
	el := &Element[V]{Handle: p.handle}
	el.take(pe)
	p.elements[el.ID] = el
	p.order.insert(el.ID)
	p.selector.add(el)
	s.count++
	s.own(el)
	s.tell(Change[V]{Added, reason, el, el.Home})
	return el
}

func (s *Space[V]) update(p *pool[V], el *Element[V], pe *protocol.PoolElement, reason Reason) ChangeKind {
	if el.PoolElement.Equal(pe) {
		p.selector.renew(el, false)
		return Unchanged
	}
	oldHome, newPolicy := el.Home, el.Policy != pe.Policy
	if pe.Home != oldHome {
		s.moveHome(el, pe.Home)
	}
	el.take(pe)
	p.selector.renew(el, newPolicy)
	s.tell(Change[V]{Updated, reason, el, oldHome})
	return Updated
}

// take makes el say what pe says. Addresses that did not change stay where they
// are, so that a new load costs no allocation, and those of the service and of
// ASAP, mostly the same, are kept once.
func (el *Element[V]) take(pe *protocol.PoolElement) {
	el.ID, el.Home, el.Life, el.Policy, el.Owner = pe.ID, pe.Home, pe.Life, pe.Policy, pe.Owner
	if !el.User.Equal(pe.User) {
		el.User = pe.User.Clone()
	}
	if !el.ASAP.Equal(pe.ASAP) {
		el.ASAP = pe.ASAP
		if slices.Equal(pe.ASAP.Addrs, el.User.Addrs) {
			el.ASAP.Addrs = el.User.Addrs
		} else {
			el.ASAP.Addrs = slices.Clone(pe.ASAP.Addrs)
		}
	}
	el.Param = el.Param[:0]
}

// Remove removes a PE, and its pool when it was the last one; it reports whether
// there was such a PE.
func (s *Space[V]) Remove(handle protocol.PoolHandle, id protocol.PEID, reason Reason) bool {
	p := s.pools[handle]
	if p == nil || p.elements[id] == nil {
		return false
	}
	el := p.elements[id]
	p.selector.remove(el)
	delete(p.elements, id)
	p.order.remove(id)
	if len(p.elements) == 0 {
		delete(s.pools, handle)
		s.order.remove(handle)
	}
	s.count--
	s.disown(el)
	s.tell(Change[V]{Removed, reason, el, el.Home})
	return true
}

// SetHome makes registrar the home of el, which must be in the Space.
func (s *Space[V]) SetHome(el *Element[V], registrar protocol.RegistrarID, reason Reason) {
	oldHome := el.Home
	if oldHome == registrar {
		return
	}
	s.moveHome(el, registrar)
	el.Param = el.Param[:0]
	s.tell(Change[V]{HomeChanged, reason, el, oldHome})
}

// Select appends up to n different PEs of a pool to dst, in the order in which
// its policy wants them used, and counts them as selected. It allocates nothing
// when dst has room. known is false when there is no such pool; a pool may have
// nothing to select all the same, since a PE of weight 0 is never selected.
func (s *Space[V]) Select(dst []*Element[V], handle protocol.PoolHandle, n int) (selected []*Element[V], known bool) {
	p := s.pools[handle]
	if p == nil {
		return dst, false
	}
	return p.selector.pick(dst, max(0, min(n, len(p.elements))), s.increment), true
}

func (s *Space[V]) tell(c Change[V]) {
	if s.OnChange != nil {
		s.OnChange(c)
	}
}
