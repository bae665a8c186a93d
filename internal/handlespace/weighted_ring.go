package handlespace

// weightedRing selects by WeightedRoundRobin: as a ring that has each PE as many
// times as it weighs, the "multiple entries of each pool element [...] as evenly
// distributed as possible" (RFC 5356 section 4.2.2). Such a ring may be too long to be
// built. Instead, each PE stands at its next turn: of a PE of weight w, turn k,
// from 0, is at (2k + 1) / 2w of each round. A PE of weight 0 has none.
//
// The rank of a turn is its round, times 1<<32, plus its part of the round, of 1<<32.
// So the turns of a PE, of at most 1<<32 - 1, have different ranks.
type weightedRing[V any] struct {
	queue[V]
	next uint64 // no earlier turn is given to a PE that comes or changes its weight
}

const (
	wholeRound = 1 << 32
	// lastRank is when the ranks of all PEs, which are not far from each other, are taken
	// back to the first round: once in 1<<31 rounds.
	lastRank = 1 << 63
)

// turnRank returns the rank of turn k of a round. Nothing overflows: 2k + 1 is less
// than 1<<33.
func turnRank(round uint64, k, weight uint32) uint64 {
	return round*wholeRound + (2*uint64(k)+1)*(wholeRound/2)/uint64(weight)
}

// firstTurn returns the first turn at a rank or later: that with the smallest k for
// which (2k + 1) * 1<<31 >= part * weight, unless it is in the next round.
func firstTurn(rank uint64, weight uint32) (round uint64, k uint32) {
	round, part := rank/wholeRound, rank%wholeRound
	odd := (part*uint64(weight) + wholeRound/2 - 1) / (wholeRound / 2)
	if odd/2 >= uint64(weight) {
		return round + 1, 0
	}
	return round, uint32(odd / 2)
}

func (w *weightedRing[V]) add(el *Element[V]) {
	if weight := el.Policy.Weight; weight > 0 {
		round, k := firstTurn(w.next, weight)
		el.place.counter = k
		w.enter(el, turnRank(round, k, weight))
	}
}

func (w *weightedRing[V]) remove(el *Element[V]) {
	if el.place.next != nil { // it has turns
		w.leave(el)
	}
}

func (w *weightedRing[V]) renew(el *Element[V], changed bool) {
	if changed {
		w.remove(el)
		w.add(el)
	}
}

func (w *weightedRing[V]) pick(dst []*Element[V], n, increment int) []*Element[V] {
	n = min(n, w.len)
	if n == 0 {
		return dst
	}
	start := len(dst)
	dst = w.first(dst, n)
	lead := dst[start].place.rank
	w.next = lead + 1
	for _, el := range dst[start:][:min(n, increment)] {
		w.takeTurn(el, lead)
	}
	if lead > lastRank {
		w.shift(-(lead / wholeRound * wholeRound)) // nobody looks back at these rounds
	}
	return dst
}

// takeTurn moves el to its following turn, unless it is a round ahead of the PE that
// led the answer: as one of several it may be selected earlier than it is due.
func (w *weightedRing[V]) takeTurn(el *Element[V], lead uint64) {
	rank := el.place.rank
	if rank < lead+wholeRound {
		round := rank / wholeRound
		el.place.counter++
		if el.place.counter == el.Policy.Weight {
			el.place.counter = 0
			round++
		}
		rank = turnRank(round, el.place.counter, el.Policy.Weight)
	}
	w.move(el, rank)
}

// shift adds to all ranks, modulo 1<<64.
func (w *weightedRing[V]) shift(delta uint64) {
	w.next += delta
	for i := range w.heap {
		r := &w.heap[i]
		r.rank += delta
		el := r.head
		for {
			el.place.rank += delta
			if el = el.place.next; el == r.head {
				break
			}
		}
	}
}
