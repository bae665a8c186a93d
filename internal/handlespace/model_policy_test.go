package handlespace

import (
	"encoding/binary"
	"math"
	"math/big"
	"slices"

	"github.com/rserpool/rsp/internal/protocol"
)

// model is a handlespace as obvious and slow as it can be: it sorts whenever it selects,
// sums up whenever it is asked, and its numbers have no limit.
type model struct {
	increment int
	pools     map[protocol.PoolHandle]*modelPool
}

// modelPool has its PEs in the order in which they came to where they stand.
type modelPool struct {
	list []*modelPE
	next *big.Int // WeightedRoundRobin: where the first turn of a PE that comes now may be
}

type modelPE struct {
	pe         protocol.PoolElement
	selections int64    // since the registration
	turn       int64    // WeightedRoundRobin: which turn of its own is due, from the first round on
	rank       *big.Int // nil: never selected
}

func (m *model) find(handle protocol.PoolHandle, id protocol.PEID) *modelPE {
	if p := m.pools[handle]; p != nil {
		for _, e := range p.list {
			if e.pe.ID == id {
				return e
			}
		}
	}
	return nil
}

func (m *model) put(handle protocol.PoolHandle, pe protocol.PoolElement) ChangeKind {
	p := m.pools[handle]
	if p == nil {
		p = &modelPool{next: new(big.Int)}
		m.pools[handle] = p
	}
	e := m.find(handle, pe.ID)
	if e == nil {
		e = &modelPE{pe: pe}
		p.come(e)
		return Added
	}
	old := e.pe
	e.pe, e.selections = pe, 0
	if pe.Policy.Type != protocol.WeightedRoundRobin {
		if rank := modelRank(e); rank.Cmp(e.rank) != 0 {
			p.come(e)
		}
	} else if old.Policy != pe.Policy {
		p.come(e)
	}
	if old.Equal(&pe) {
		return Unchanged
	}
	return Updated
}

// come puts e behind all others, and at its first turn.
func (p *modelPool) come(e *modelPE) {
	p.toBack(e)
	if e.pe.Policy.Type != protocol.WeightedRoundRobin {
		e.rank = modelRank(e)
		return
	}
	e.rank = nil
	weight := int64(e.pe.Policy.Weight)
	if weight == 0 {
		return
	}
	// About turn next * weight / 1<<32 and not before it.
	t := new(big.Int).Mul(p.next, big.NewInt(weight))
	e.turn = max(0, t.Rsh(t, 32).Int64()-2)
	for e.rank = turnPosition(e.turn, weight); e.rank.Cmp(p.next) < 0; e.rank = turnPosition(e.turn, weight) {
		e.turn++
	}
}

func (p *modelPool) toBack(e *modelPE) {
	p.list = append(slices.DeleteFunc(p.list, func(other *modelPE) bool { return other == e }), e)
}

// turnPosition is (2 * turn + 1) / (2 * weight) rounds, in whole parts of which a round
// has 1<<32.
func turnPosition(turn, weight int64) *big.Int {
	n := big.NewInt(2*turn + 1)
	n.Lsh(n, 32)
	return n.Div(n, big.NewInt(2*weight))
}

func (m *model) remove(handle protocol.PoolHandle, id protocol.PEID) bool {
	e := m.find(handle, id)
	if e == nil {
		return false
	}
	p := m.pools[handle]
	p.list = slices.DeleteFunc(p.list, func(other *modelPE) bool { return other == e })
	if len(p.list) == 0 {
		delete(m.pools, handle)
	}
	return true
}

const (
	ruledPolicy   protocol.PolicyType = 0x80000001 // modelRule has its rule
	unknownPolicy protocol.PolicyType = 0x80000002
)

// modelRule ranks by the first byte of the parameters; each selection adds the second.
func modelRule(parameters string, selections uint32) uint64 {
	return uint64(parameters[0]) + uint64(selections)*uint64(parameters[1])
}

// modelRank returns where a PE stands by its policy; the lowest is selected first.
func modelRank(e *modelPE) *big.Int {
	p := e.pe.Policy
	load, degradation := big.NewInt(int64(p.Load)), big.NewInt(int64(p.Degradation))
	degraded := new(big.Int).Mul(big.NewInt(e.selections), degradation)
	distant := new(big.Int).Mul(big.NewInt(int64(p.Distance)), big.NewInt(int64(p.LoadDPF)))
	switch p.Type {
	case protocol.Priority:
		return big.NewInt(-int64(p.Priority))
	case protocol.LeastUsed:
		return load
	case protocol.LeastUsedDegradation:
		return sum(load, degraded)
	case protocol.PriorityLeastUsed:
		return sum(load, degradation)
	case protocol.PriorityLeastUsedDegradation:
		return sum(load, degradation, degraded)
	case protocol.LeastUsedDPF:
		return sum(load, distant)
	case protocol.LeastUsedDegradationDPF:
		limit := new(big.Int).SetUint64(math.MaxUint64)
		if total := sum(load, distant, degraded); total.Cmp(limit) < 0 {
			return total
		}
		return limit
	case ruledPolicy:
		return new(big.Int).SetUint64(modelRule(p.Opaque, uint32(e.selections)))
	}
	return new(big.Int) // RoundRobin and unknown ones
}

func sum(terms ...*big.Int) *big.Int {
	total := new(big.Int)
	for _, t := range terms {
		total.Add(total, t)
	}
	return total
}

// selectPEs answers for all policies but the random ones.
func (m *model) selectPEs(handle protocol.PoolHandle, n int) []protocol.PEID {
	p := m.pools[handle]
	if p == nil {
		return nil
	}
	list := slices.DeleteFunc(slices.Clone(p.list), func(e *modelPE) bool { return e.rank == nil })
	slices.SortStableFunc(list, func(a, b *modelPE) int { return a.rank.Cmp(b.rank) })
	list = list[:min(n, len(list))]
	if len(list) == 0 {
		return nil
	}
	lead := list[0].rank
	p.next = sum(lead, big.NewInt(1))
	way := min(m.increment, len(list))
	for i, e := range append(slices.Clone(list[way:]), list[:way]...) {
		makesWay := i >= len(list)-way
		rank := e.selected(lead, makesWay)
		if makesWay || rank.Cmp(e.rank) != 0 {
			p.toBack(e)
		}
		e.rank = rank
	}
	var answer []protocol.PEID
	for _, e := range list {
		answer = append(answer, e.pe.ID)
	}
	return answer
}

// selected counts a selection and returns where the PE stands by it.
func (e *modelPE) selected(lead *big.Int, advance bool) *big.Int {
	if e.pe.Policy.Type != protocol.WeightedRoundRobin {
		e.selections = min(e.selections+1, math.MaxUint32)
		return modelRank(e)
	}
	if aRoundAhead := sum(lead, big.NewInt(1<<32)); advance && e.rank.Cmp(aRoundAhead) < 0 {
		e.turn++
	}
	return turnPosition(e.turn, int64(e.pe.Policy.Weight))
}

// modelWeight returns the weight by which a random policy selects a PE.
func modelWeight(e *modelPE) *big.Int {
	p := e.pe.Policy
	load, degradation := big.NewInt(int64(p.Load)), big.NewInt(int64(p.Degradation))
	degraded := new(big.Int).Mul(big.NewInt(e.selections), degradation)
	switch p.Type {
	case protocol.WeightedRandom:
		return big.NewInt(int64(p.Weight))
	case protocol.WeightedRandomDPF:
		return modelRemoteWeight(p)
	case protocol.RandomizedLeastUsed:
		return unusedPart(load)
	case protocol.RandomizedPriorityLeastUsed:
		return unusedPart(sum(load, degradation))
	case protocol.RandomizedLeastUsedDegradation:
		return unusedPart(sum(load, degraded))
	case protocol.RandomizedPriorityLeastUsedDegradation:
		return unusedPart(sum(load, degradation, degraded))
	}
	return big.NewInt(1) // Random
}

func unusedPart(load *big.Int) *big.Int {
	unused := big.NewInt(math.MaxUint32)
	if unused.Sub(unused, load); unused.Sign() < 0 {
		return new(big.Int)
	}
	return unused
}

// modelRemoteWeight returns max(1, weight - round(weight * distance * DPF)), or 0 for 0.
func modelRemoteWeight(p protocol.Policy) *big.Int {
	weight := big.NewInt(int64(p.Weight))
	if p.Weight == 0 {
		return weight
	}
	penalty := new(big.Int).Mul(weight, big.NewInt(int64(p.Distance)))
	penalty.Mul(penalty, big.NewInt(int64(p.WeightDPF)))
	penalty.Mul(penalty, big.NewInt(2)).Add(penalty, big.NewInt(math.MaxUint32))
	penalty.Div(penalty, big.NewInt(2*math.MaxUint32)) // round(x) = floor(x + 1/2)
	if weight.Sub(weight, penalty); weight.Sign() <= 0 {
		return big.NewInt(1)
	}
	return weight
}

// checksum is the Internet checksum over the bytes that RFC 5353 section 3.6.2
// lists: each handle, padded with zeros to whole 32-bit words, and the PE ID.
func (m *model) checksum(home protocol.RegistrarID) uint16 {
	var block []byte
	for handle, p := range m.pools {
		for _, e := range p.list {
			if e.pe.Home != home {
				continue
			}
			block = append(block, handle...)
			for len(block)%4 != 0 {
				block = append(block, 0)
			}
			block = binary.BigEndian.AppendUint32(block, uint32(e.pe.ID))
		}
	}
	sum := uint32(0)
	for ; len(block) > 0; block = block[2:] {
		sum += uint32(binary.BigEndian.Uint16(block))
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
