package rsp

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
)

// cache keeps what handle resolutions have told, each pool element for the stale
// cache value (RFC 5352 section 3.3, C1 to C4), and selects from it by the pool's policy. It is a
// handlespace whose entries age.
type cache struct {
	stale time.Duration // 0: nothing is kept

	mu    sync.Mutex
	space *handlespace.Space[time.Time] // each element with the time it was told
}

func newCache(stale time.Duration) *cache {
	// Every element that is returned counts as selected, as in RSPLIB's cache.
	options := handlespace.Options{MaxIncrement: math.MaxInt}
	return &cache{stale: stale, space: handlespace.New[time.Time](options)}
}

// lookup selects up to n elements (0: all) of what is fresh, or returns nil.
func (c *cache) lookup(now time.Time, pool PoolHandle, n uint32) *Resolution {
	if c.stale == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now, pool)
	if n == 0 || n > maxCachedElements {
		n = maxCachedElements
	}
	selected, known := c.space.Select(nil, pool, int(n))
	if !known || len(selected) == 0 {
		return nil
	}
	r := &Resolution{Pool: pool}
	for _, el := range selected {
		r.Age = max(r.Age, now.Sub(el.Value))
		r.Elements = append(r.Elements, newElement(el.PoolElement.Clone()))
	}
	return r
}

// maxCachedElements is what a registrar gives at most in one answer.
const maxCachedElements = 128

// expire removes the elements of a pool that were told too long ago (C2).
func (c *cache) expire(now time.Time, pool PoolHandle) {
	var old []PEID
	for el := range c.space.Elements(pool) {
		if now.Sub(el.Value) >= c.stale {
			old = append(old, el.ID)
		}
	}
	for _, id := range old {
		c.space.Remove(pool, id, handlespace.Expired)
	}
}

// store keeps the elements of an answer.
func (c *cache) store(now time.Time, pool PoolHandle, elements []protocol.PoolElement) {
	if c.stale == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, pe := range elements {
		el, _, err := c.space.Put(pool, pe, handlespace.Synchronized)
		if _, inconsistent := errors.AsType[*handlespace.InconsistentError](err); inconsistent {
			// The pool was made anew with another policy or transport.
			c.forget(pool)
			el, _, err = c.space.Put(pool, pe, handlespace.Synchronized)
		}
		if err == nil { // else a policy that we cannot select by: the registrar is asked each time
			el.Value = now
		}
	}
}

// remove forgets one element, which was found unreachable.
func (c *cache) remove(pool PoolHandle, id PEID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.space.Remove(pool, id, handlespace.ReportedUnreachable)
}

// purge forgets a pool.
func (c *cache) purge(pool PoolHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(pool)
}

func (c *cache) forget(pool PoolHandle) {
	var ids []PEID
	for el := range c.space.Elements(pool) {
		ids = append(ids, el.ID)
	}
	for _, id := range ids {
		c.space.Remove(pool, id, handlespace.Expired)
	}
}
