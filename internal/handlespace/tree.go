package handlespace

import (
	"iter"
	"slices"
)

// fanOut is the most keys of a node: enough for a pool of 100,000 PEs to be
// three nodes deep, few enough to shift them quickly.
const fanOut = 64

// tree is a B+ tree without values: a set of keys in their order. A node is given
// up only when it is empty.
type tree[K any] struct {
	compare func(a, b K) int
	root    *node[K]
	changes uint64 // counts insertions and removals
}

// node is a leaf, which has no kids, or an inner node, with a kid for each key: no
// key below kids[i] is less than keys[i], except that kids[0] takes all that is
// less than keys[1].
type node[K any] struct {
	keys       []K
	kids       []*node[K]
	prev, next *node[K] // the neighbours of a leaf
}

func newTree[K any](compare func(a, b K) int) tree[K] {
	return tree[K]{compare: compare, root: new(node[K])}
}

func (n *node[K]) isLeaf() bool { return n.kids == nil }

// kid returns the index of the kid that k belongs to.
func (t *tree[K]) kid(n *node[K], k K) int {
	i, found := slices.BinarySearchFunc(n.keys[1:], k, t.compare)
	if found {
		i++
	}
	return i
}

// seek returns the place of the first key that is not less than k; it is behind
// the last key of a leaf when that key is in the next leaf or nowhere.
func (t *tree[K]) seek(k K) (leaf *node[K], i int, found bool) {
	leaf = t.root
	for !leaf.isLeaf() {
		leaf = leaf.kids[t.kid(leaf, k)]
	}
	i, found = slices.BinarySearchFunc(leaf.keys, k, t.compare)
	return leaf, i, found
}

// insert adds k, which must not be in the tree.
func (t *tree[K]) insert(k K) {
	t.changes++
	if right := t.insertBelow(t.root, k); right != nil {
		left := t.root
		t.root = &node[K]{keys: []K{left.keys[0], right.keys[0]}, kids: []*node[K]{left, right}}
	}
}

// insertBelow adds k below n and returns the right half of n if it had to
// be split.
func (t *tree[K]) insertBelow(n *node[K], k K) (right *node[K]) {
	if n.isLeaf() {
		i, _ := slices.BinarySearchFunc(n.keys, k, t.compare)
		n, i, right = n.room(i)
		n.keys = slices.Insert(n.keys, i, k)
		return right
	}
	i := t.kid(n, k)
	split := t.insertBelow(n.kids[i], k)
	if split == nil {
		return nil
	}
	n, i, right = n.room(i + 1)
	n.keys = slices.Insert(n.keys, i, split.keys[0])
	n.kids = slices.Insert(n.kids, i, split)
	return right
}

// room makes room for a key at index i of n. When n is full, it is split; what
// is appended starts a new node, so that ascending keys fill their nodes.
func (n *node[K]) room(i int) (into *node[K], at int, right *node[K]) {
	if len(n.keys) < fanOut {
		return n, i, nil
	}
	if i == fanOut {
		right = n.split(fanOut)
		return right, 0, right
	}
	right = n.split(fanOut / 2)
	if i <= fanOut/2 {
		return n, i, right
	}
	return right, i - fanOut/2, right
}

// split moves what n has from index i on to a new right neighbour.
func (n *node[K]) split(i int) (right *node[K]) {
	right = &node[K]{keys: slices.Clone(n.keys[i:])}
	n.keys = slices.Delete(n.keys, i, len(n.keys))
	if !n.isLeaf() {
		right.kids = append(make([]*node[K], 0, fanOut), n.kids[i:]...)
		n.kids = slices.Delete(n.kids, i, len(n.kids))
		return right
	}
	right.prev, right.next = n, n.next
	if n.next != nil {
		n.next.prev = right
	}
	n.next = right
	return right
}

// remove removes k, if it is there.
func (t *tree[K]) remove(k K) {
	t.removeBelow(t.root, k)
	for len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
}

func (t *tree[K]) removeBelow(n *node[K], k K) {
	if n.isLeaf() {
		i, found := slices.BinarySearchFunc(n.keys, k, t.compare)
		if found {
			n.keys = slices.Delete(n.keys, i, i+1)
			t.changes++
		}
		return
	}
	i := t.kid(n, k)
	kid := n.kids[i]
	t.removeBelow(kid, k)
	if len(kid.keys) == 0 {
		n.keys = slices.Delete(n.keys, i, i+1)
		n.kids = slices.Delete(n.kids, i, i+1)
		kid.unlink()
	}
}

// unlink takes n out of the list of leaves, if it is one.
func (n *node[K]) unlink() {
	if n.prev != nil {
		n.prev.next = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
}

// from returns the keys that are not less than k. The tree may be changed
// meanwhile.
func (t *tree[K]) from(k K) iter.Seq[K] {
	return func(yield func(K) bool) {
		leaf, i, _ := t.seek(k)
		for leaf != nil {
			if i == len(leaf.keys) {
				leaf, i = leaf.next, 0
				continue
			}
			k, changes := leaf.keys[i], t.changes
			if !yield(k) {
				return
			}
			i++
			if changes != t.changes {
				var found bool
				if leaf, i, found = t.seek(k); found {
					i++
				}
			}
		}
	}
}
