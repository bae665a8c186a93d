package handlespace

// ring selects by RoundRobin: "The ENRP server SHOULD hold the pool elements of
// each server pool in a circular list and SHOULD store a pointer to one of the
// elements, called the head" (RFC 5356 section 4.1.2).
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
	prev, next := el.place.prev, el.place.next
	prev.place.next, next.place.prev = next, prev
	if r.head == el {
		r.head = next
	}
	if next == el {
		r.head = nil
	}
	el.place.prev, el.place.next = nil, nil
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
