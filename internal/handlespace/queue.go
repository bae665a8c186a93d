package handlespace

// arity is how many kids a node of the queue has; four lie in two cache lines.
const arity = 4

// queue is a heap: no PE stands before its parent, so that the first is at index
// 0. A PE's place.index is its index.
type queue[V any] []ranked[V]

// ranked is a PE with its standing, which is kept here because it is compared
// much more often than the PE is looked at.
type ranked[V any] struct {
	standing
	el *Element[V]
}

// append puts el at the end and returns its index; up then brings it to where it
// belongs.
func (q *queue[V]) append(el *Element[V]) int {
	*q = append(*q, ranked[V]{el: el})
	return len(*q) - 1
}

func (q *queue[V]) remove(i int) {
	last := len(*q) - 1
	moved := (*q)[last]
	(*q)[last] = ranked[V]{}
	*q = (*q)[:last]
	if i < last {
		(*q)[i] = moved
		q.fix(i)
	}
}

// takeOut swaps the first PE with the last and returns the queue without it.
func (q queue[V]) takeOut() queue[V] {
	last := len(q) - 1
	first := q[0]
	q.set(0, q[last])
	q.set(last, first)
	rest := q[:last]
	rest.down(0)
	return rest
}

// fix moves the PE at i to where its standing belongs.
func (q queue[V]) fix(i int) {
	if i > 0 && q[i].before(&q[(i-1)/arity].standing) {
		q.up(i)
	} else {
		q.down(i)
	}
}

func (q queue[V]) up(i int) {
	r := q[i]
	for i > 0 {
		parent := (i - 1) / arity
		if !r.before(&q[parent].standing) {
			break
		}
		q.set(i, q[parent])
		i = parent
	}
	q.set(i, r)
}

func (q queue[V]) down(i int) {
	r := q[i]
	for first := i*arity + 1; first < len(q); first = i*arity + 1 {
		least := first
		for kid := first + 1; kid < min(first+arity, len(q)); kid++ {
			if q[kid].before(&q[least].standing) {
				least = kid
			}
		}
		if !q[least].before(&r.standing) {
			break
		}
		q.set(i, q[least])
		i = least
	}
	q.set(i, r)
}

func (q queue[V]) set(i int, r ranked[V]) {
	q[i] = r
	r.el.place.index = i
}
