package handlespace

// ring is a circular list of PEs. It selects by RoundRobin: "The ENRP server SHOULD
// hold the pool elements of each server pool in a circular list and SHOULD store a
// pointer to one of the elements, called the head" (RFC 5356 section 4.1.2). A
// type that has no rule here is selected by it too, the "one basic policy" (RFC
// 5352 section 6.5.2).
type ring[V any] struct {
	head *Element[V] // nil when empty
}

// add puts el behind all others, which is before the head.
func (r *ring[V]) add(el *Element[V]) {
	if r.head == nil {
		r.head = el
		el.place.prev, el.place.next = el, el
		return
	}
	next, prev := r.head, r.head.place.prev
	el.place.prev, el.place.next = prev, next
	prev.place.next, next.place.prev = el, el
}

func (r *ring[V]) remove(el *Element[V]) {
	if r.head == el {
		r.head = el.place.next
	}
	if r.head == el {
		r.head = nil
	}
	el.unlink()
}

// unlink takes el, which is not the head, out of its ring.
func (el *Element[V]) unlink() {
	prev, next := el.place.prev, el.place.next
	prev.place.next, next.place.prev = next, prev
	el.place.prev, el.place.next = nil, nil
}

// join puts the PEs of other behind those of r; neither may be empty.
func (r *ring[V]) join(other ring[V]) {
	first, last := r.head, r.head.place.prev
	otherFirst, otherLast := other.head, other.head.place.prev
	last.place.next, otherFirst.place.prev = otherFirst, last
	otherLast.place.next, first.place.prev = first, otherLast
}

func (r *ring[V]) renew(*Element[V], bool) {}

func (r *ring[V]) pick(dst []*Element[V], n, increment int) []*Element[V] {
	el := r.head
	for i := range n {
		dst = append(dst, el)
		el = el.place.next
		if i < increment {
			r.head = el
		}
	}
	return dst
}
