package handlespace

import "math/rand/v2"

// random selects by Random: each PE with the same probability, each at most once
// (RFC 5356 section 4.3.2).
type random[V any] struct {
	rand     *rand.Rand
	elements []*Element[V] // in any order; place.index is the index
}

func (r *random[V]) add(el *Element[V]) {
	el.place.index = int32(len(r.elements))
	r.elements = append(r.elements, el)
}

func (r *random[V]) remove(el *Element[V]) {
	last := len(r.elements) - 1
	r.swap(int(el.place.index), last)
	r.elements[last] = nil
	r.elements = r.elements[:last]
}

func (r *random[V]) renew(*Element[V], bool) {}

func (r *random[V]) pick(dst []*Element[V], n, _ int) []*Element[V] { return r.shuffle(dst, 0, n) }

// shuffle appends the PEs of the places from start to end, once it has shuffled those
// places, as Fisher and Yates do: since no order means anything here, what was
// picked may stay at the front.
func (r *random[V]) shuffle(dst []*Element[V], start, end int) []*Element[V] {
	for i := start; i < end; i++ {
		r.swap(i, i+r.rand.IntN(len(r.elements)-i))
	}
	return append(dst, r.elements[start:end]...)
}

func (r *random[V]) swap(i, j int) {
	a, b := r.elements[i], r.elements[j]
	r.elements[i], r.elements[j] = b, a
	a.place.index, b.place.index = int32(j), int32(i)
}
