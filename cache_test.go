package rsp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// tell gives a cache an answer to a question for items.
func tell(c *cache, now time.Time, pool PoolHandle, items uint32, ids ...PEID) {
	q := c.join(pool, items, nil)
	var told []protocol.PoolElement
	for _, id := range ids {
		told = append(told, protocol.PoolElement{ID: id, Policy: RoundRobin().wire()})
	}
	c.end(now, q, told, nil)
}

// known returns the IDs that an outage would serve.
func known(c *cache, pool PoolHandle) map[PEID]bool {
	ids := make(map[PEID]bool)
	if p := c.pools[pool]; p != nil {
		for _, el := range append(p.elements, p.older...) {
			ids[el.ID] = true
		}
	}
	return ids
}

// Config.StaleCache: "up to 4,096 pool elements are kept ... Pools that were asked for longest
// ago go first."
func TestCacheBoundsPools(t *testing.T) {
	c := newCache(0, nil)
	now := time.Now()
	name := func(i int) PoolHandle { return PoolHandle(fmt.Sprint("pool ", i)) }
	for i := range 1365 { // 3 x 1365 = 4095
		tell(c, now.Add(time.Duration(i)), name(i), 0, 1, 2, 3)
	}
	tell(c, now.Add(2000), name(0), 0, 1, 2, 3)
	tell(c, now.Add(2001), name(1365), 0, 1, 2, 3)
	if c.count != 4095 || len(c.pools) != 1365 || c.oldest.Len() != 1365 {
		t.Errorf("%d elements in %d pools, %d in the list", c.count, len(c.pools), c.oldest.Len())
	}
	if len(known(c, name(0))) != 3 || len(known(c, name(1))) != 0 || len(known(c, name(2))) != 3 {
		t.Error("another pool went than the one that was asked for longest ago")
	}
}

// "... up to 128 of a pool beside those of its latest answer": those that were told last. An
// answer that was not cut short tells all that there are.
func TestCacheBoundsPool(t *testing.T) {
	c := newCache(0, nil)
	now := time.Now()
	for id := range PEID(1000) {
		tell(c, now.Add(time.Duration(id)), "Pool", 1, id+1)
	}
	ids := known(c, "Pool")
	if len(ids) != 129 || !ids[1000] || !ids[872] || ids[871] {
		t.Errorf("%d elements are kept: %v", len(ids), ids)
	}
	if tell(c, now, "Pool", 3, 7, 8); len(known(c, "Pool")) != 2 {
		t.Errorf("elements that the pool does not have are kept: %v", known(c, "Pool"))
	}
}

// Whatever comes in whatever order: the cache knows what was told since it was reported, counts
// it right, and selects nothing else.
func TestCacheModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := newCache(5, nil)
	now := time.Now()
	pools := []PoolHandle{"A", "B", "C"}
	model := map[PoolHandle]map[PEID]bool{"A": {}, "B": {}, "C": {}}
	draw := func() (ids []PEID) {
		for _, id := range r.Perm(10)[:r.IntN(5)+1] {
			ids = append(ids, PEID(id+1))
		}
		return ids
	}
	for range 100_000 {
		now = now.Add(1)
		pool := pools[r.IntN(len(pools))]
		ids := draw()
		switch r.IntN(6) {
		case 0: // cut short or not
			items := uint32(r.IntN(2) * (len(ids) + r.IntN(2)))
			if tell(c, now, pool, items, ids...); items > uint32(len(ids)) {
				clear(model[pool])
			}
			for _, id := range ids {
				model[pool][id] = true
			}
		case 1:
			c.remove(pool, ids[0])
			delete(model[pool], ids[0])
		case 2:
			c.setAside(pool, ids[0])
		case 3:
			c.end(now, c.join(pool, 0, nil), nil, ErrUnknownPool)
			clear(model[pool])
		case 4:
			c.setOutage(r.IntN(2) == 0)
		case 5:
			checkLookup(t, c, now, pool, uint32(r.IntN(4)), model[pool])
		}
		count := 0
		for _, pool := range pools {
			if fmt.Sprint(known(c, pool)) != fmt.Sprint(model[pool]) {
				t.Fatalf("pool %v: %v is known, want %v", pool, known(c, pool), model[pool])
			}
			count += len(model[pool])
		}
		if c.count != count {
			t.Fatalf("%d elements are counted, want %d", c.count, count)
		}
	}
}

func checkLookup(t *testing.T, c *cache, now time.Time, pool PoolHandle, n uint32, known map[PEID]bool) {
	t.Helper()
	r, ask := c.lookup(now, pool, n)
	if r == nil {
		if !ask || c.outage && len(known) > 0 {
			t.Fatalf("pool %v in outage %v: nothing of %v, ask %v", pool, c.outage, known, ask)
		}
		return
	}
	if r.Stale != ask || r.Stale && !c.outage || !r.Stale && r.Age >= c.stale || n > 0 && len(r.Elements) > int(n) {
		t.Fatalf("pool %v in outage %v: %+v, ask %v", pool, c.outage, r, ask)
	}
	for _, el := range r.Elements {
		if !known[el.ID] {
			t.Fatalf("pool %v: PE %v is returned, known are %v", pool, el.ID, known)
		}
	}
}
