package handlespace

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTree compares a tree with a set that is sorted when it is asked. The keys
// come in three orders, enough of them for a tree three nodes deep, and go in
// another.
func TestTree(t *testing.T) {
	const size = fanOut*fanOut + 1000
	r := rand.New(rand.NewPCG(5, 6))
	ascending, descending := make([]int, size), make([]int, size)
	for i := range size {
		ascending[i], descending[i] = 2*i, 2*(size-i)
	}
	random := r.Perm(size)
	for name, keys := range map[string][]int{"ascending": ascending, "descending": descending, "random": random} {
		t.Run(name, func(t *testing.T) {
			tree, model := newTree(cmp.Compare[int]), make(map[int]bool)
			for i, k := range keys {
				tree.insert(k)
				model[k] = true
				if i%500 == 0 {
					compareTree(t, &tree, model, r)
				}
			}
			compareTree(t, &tree, model, r)
			for i, at := range r.Perm(size) {
				tree.remove(keys[at])
				tree.remove(keys[at]) // is gone already
				delete(model, keys[at])
				if i%500 == 0 {
					compareTree(t, &tree, model, r)
				}
			}
			compareTree(t, &tree, model, r)
			tree.insert(1)
			compareTree(t, &tree, map[int]bool{1: true}, r)
		})
	}
}

// checkLeaves follows the list of leaves, of which only a root may be empty.
func checkLeaves(t *testing.T, tree *tree[int]) {
	t.Helper()
	leaf, _, _ := tree.seek(-1)
	if leaf.prev != nil {
		t.Fatal("there is a leaf before the first")
	}
	for ; leaf != nil; leaf = leaf.next {
		if len(leaf.keys) == 0 && leaf != tree.root {
			t.Fatal("an empty leaf is kept")
		}
		if leaf.next != nil && leaf.next.prev != leaf {
			t.Fatal("two leaves are not linked both ways")
		}
	}
}

func compareTree(t *testing.T, tree *tree[int], model map[int]bool, r *rand.Rand) {
	t.Helper()
	checkLeaves(t, tree)
	all := slices.Sorted(maps.Keys(model))
	starts := []int{-1, r.IntN(10_000), r.IntN(10_000), 1 << 30}
	for _, start := range starts {
		i, _ := slices.BinarySearch(all, start)
		want := all[i:]
		got := slices.Collect(tree.from(start))
		if !slices.Equal(got, want) {
			t.Fatalf("from(%d) has %d keys, want %d", start, len(got), len(want))
		}
	}
}

// Iterations over a tree that loses and gains whole nodes meanwhile.
func TestTreeChangedWhileIterating(t *testing.T) {
	tree := newTree(cmp.Compare[int])
	for i := range 1000 {
		tree.insert(2 * i)
	}
	var got []int
	for k := range tree.from(0) {
		got = append(got, k)
		tree.remove(k)
		if k == 1000 {
			for i := 1100; i < 1900; i += 2 {
				tree.remove(i)
			}
			for i := range 500 {
				tree.insert(2*i + 1) // up to 999, before what is due
			}
			tree.insert(1001)
		}
	}
	var want []int
	for k := 0; k <= 1000; k += 2 {
		want = append(want, k)
	}
	want = append(want, 1001)
	for k := 1002; k < 2000; k += 2 {
		if k < 1100 || k >= 1900 {
			want = append(want, k)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("iterated over %d keys, want %d", len(got), len(want))
	}
}
