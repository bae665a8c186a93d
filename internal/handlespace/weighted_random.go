package handlespace

// weightedRandom selects by WeightedRandom: "The probability of selecting a pool
// element should be the ratio of the weight of that pool element to the sum of
// weights" (RFC 5356 section 4.4.2). A PE of weight 0 is never selected.
type weightedRandom[V any] struct {
	random[V]
	weights fenwick // by place.index
}

func (w *weightedRandom[V]) add(el *Element[V]) {
	w.random.add(el)
	w.weights.push(uint64(el.Policy.Weight))
}

// remove moves the last PE into el's place, and its weight with it.
func (w *weightedRandom[V]) remove(el *Element[V]) {
	last := len(w.elements) - 1
	w.weights.add(el.place.index, w.weights.get(last)-w.weights.get(el.place.index))
	w.weights.pop()
	w.random.remove(el)
}

func (w *weightedRandom[V]) renew(el *Element[V], changed bool) {
	if changed {
		i := el.place.index
		w.weights.add(i, uint64(el.Policy.Weight)-w.weights.get(i))
	}
}

// pick draws without putting back: a drawn PE has weight 0 until all are drawn.
func (w *weightedRandom[V]) pick(dst []*Element[V], n, _ int) []*Element[V] {
	start := len(dst)
	for range n {
		total := w.weights.total()
		if total == 0 {
			break
		}
		i := w.weights.find(w.rand.Uint64N(total))
		el := w.elements[i]
		dst = append(dst, el)
		w.weights.add(i, -uint64(el.Policy.Weight))
	}
	for _, el := range dst[start:] {
		w.weights.add(el.place.index, uint64(el.Policy.Weight))
	}
	return dst
}
