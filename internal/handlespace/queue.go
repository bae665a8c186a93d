package handlespace

import "math/bits"

// arity is how many kids a node of the heap has; four lie in two cache lines.
const arity = 4

// queue holds PEs by rank, the least first, and those of the same rank in the order
// in which they came to it. It is a heap of rings: the PEs of a ring are of one
// rank, and no ring stands before its parent, so that the first is at index 0.
// There may be several rings of a rank. Those that get to the top are joined, so
// that in a pool of equals a turn of the ring is all that a selection costs.
type queue[V any] struct {
	heap heap[V]
	len  int    // of PEs
	seq  uint64 // of the ring begun last; 1<<64 are out of reach
}

type heap[V any] []ranked[V]

// ranked is a ring with its place in the order, which is kept here because it is
// compared much more often than the PEs are looked at. The head's place.index is
// the index of the ring; that of the others is notHead.
type ranked[V any] struct {
	rank uint64
	seq  uint64 // all PEs came before those of a ring of the same rank that was begun later
	ring[V]
}

const notHead = -1

// before subtracts as if both were long numbers: a branch would be a coin toss for
// the processor, and a selection asks some twenty times.
func (r *ranked[V]) before(t *ranked[V]) bool {
	_, borrow := bits.Sub64(r.seq, t.seq, 0)
	_, borrow = bits.Sub64(r.rank, t.rank, borrow)
	return borrow != 0
}

// enter puts el behind all others of its rank.
func (q *queue[V]) enter(el *Element[V], rank uint64) {
	q.len++
	el.place.rank = rank
	if len(q.heap) > 0 && rank == q.heap[0].rank && q.gather() {
		el.place.index = notHead
		q.heap[0].add(el)
		return
	}
	q.seq++
	el.place.prev, el.place.next = el, el
	q.heap = append(q.heap, ranked[V]{rank, q.seq, ring[V]{el}})
	q.heap.up(len(q.heap) - 1)
}

// leave takes el out.
func (q *queue[V]) leave(el *Element[V]) {
	q.len--
	i := el.place.index
	if i == notHead {
		el.unlink()
		return
	}
	r := &q.heap[i]
	r.remove(el)
	if r.head == nil {
		q.heap.remove(int(i))
	} else {
		r.head.place.index = i
	}
}

// move puts el behind all others of a rank, which may be the one that it has.
func (q *queue[V]) move(el *Element[V], rank uint64) {
	i := el.place.index
	switch {
	case i == 0 && rank == q.heap[0].rank && q.gather():
		r := &q.heap[0]
		el.place.index = notHead
		r.head = el.place.next
		r.head.place.index = 0
	case i != notHead && el.place.next == el:
		q.seq++
		el.place.rank = rank
		q.heap[i].rank, q.heap[i].seq = rank, q.seq
		q.heap.fix(int(i))
	default:
		q.leave(el)
		q.enter(el, rank)
	}
}

// gather joins the rings of the first rank, and reports whether there is only one of
// them left. There may be many, so that it joins two at once and leaves the
// others to the next call: nobody has to wait.
func (q *queue[V]) gather() bool {
	for range 2 {
		if q.isGathered() {
			return true
		}
		second := q.heap.leastKid(0)
		q.heap[second].head.place.index = notHead
		q.heap[0].join(q.heap[second].ring)
		q.heap.remove(second)
	}
	return q.isGathered()
}

// isGathered reports whether the first ring has all PEs of its rank: if there is
// another, one is a kid of it.
func (q *queue[V]) isGathered() bool {
	for i := 1; i <= arity && i < len(q.heap); i++ {
		if q.heap[i].rank == q.heap[0].rank {
			return false
		}
	}
	return true
}

// first appends the first n PEs to dst, of which there must be so many. It gets at
// the n-th by taking the rings before its own out of the heap, to its end.
func (q *queue[V]) first(dst []*Element[V], n int) []*Element[V] {
	if n == 0 {
		return dst
	}
	rest := q.heap
	for el := rest[0].head; ; {
		dst = append(dst, el)
		n--
		if n == 0 {
			break
		}
		el = el.place.next
		if el.place.index != notHead { // once around
			rest = rest.takeOut()
			el = rest[0].head
		}
	}
	for i := len(rest); i < len(q.heap); i++ {
		q.heap.up(i)
	}
	return dst
}

func (h *heap[V]) remove(i int) {
	last := len(*h) - 1
	moved := (*h)[last]
	(*h)[last] = ranked[V]{}
	*h = (*h)[:last]
	if i < last {
		(*h)[i] = moved
		h.fix(i)
	}
}

// takeOut swaps the first ring with the last and returns the heap without it.
func (h heap[V]) takeOut() heap[V] {
	last := len(h) - 1
	first := h[0]
	h.set(0, h[last])
	h.set(last, first)
	rest := h[:last]
	rest.down(0)
	return rest
}

// fix moves the ring at i to where it belongs.
func (h heap[V]) fix(i int) {
	if i > 0 && h[i].before(&h[(i-1)/arity]) {
		h.up(i)
	} else {
		h.down(i)
	}
}

func (h heap[V]) up(i int) {
	r := h[i]
	for i > 0 {
		parent := (i - 1) / arity
		if !r.before(&h[parent]) {
			break
		}
		h.set(i, h[parent])
		i = parent
	}
	h.set(i, r)
}

func (h heap[V]) down(i int) {
	r := h[i]
	for {
		least := h.leastKid(i)
		if least == 0 || !h[least].before(&r) {
			break
		}
		h.set(i, h[least])
		i = least
	}
	h.set(i, r)
}

// leastKid returns the index of the kid of i that comes first, or 0 if it has none.
func (h heap[V]) leastKid(i int) int {
	first := i*arity + 1
	if first >= len(h) {
		return 0
	}
	least := first
	for kid := first + 1; kid < min(first+arity, len(h)); kid++ {
		if h[kid].before(&h[least]) {
			least = kid
		}
	}
	return least
}

func (h heap[V]) set(i int, r ranked[V]) {
	h[i] = r
	r.head.place.index = int32(i)
}
