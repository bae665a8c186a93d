package rsp

import (
	"container/list"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
)

// cache keeps what handle resolutions have told (RFC 5352 section 3.3, C1 to C4), and the
// questions to registrars that are under way. A pool in it:
//
//	            answer           stale cache value over
//	unknown ───────────▶ fresh ─────────────────────────▶ stale ──┐ outage: serves, with what
//	   ▲                   ▲ │                             │ │ ▲  │ older answers have told,
//	   │                   └─┼────────── answer ───────────┘ │ └──┘ while it is asked for
//	   └─────────────────────┴─ unknown pool, dropped ───────┘
//
// The whole cache is in an outage from a question that no registrar has answered until the
// next answer.
type cache struct {
	stale time.Duration // 0: an answer is for those who have waited for it
	rules map[protocol.PolicyType]handlespace.Rule

	mu        sync.Mutex
	pools     map[PoolHandle]*knownPool
	oldest    list.List // of all *knownPool, by their latest answers
	count     int       // of elements in all pools
	outage    bool
	questions map[PoolHandle]*question
	reported  []reportedElement // the last ones that were

	selected []*handlespace.Element[*knownElement] // scratch of pick
	picked   []*knownElement
}

const (
	// maxKnown bounds the elements that are kept: the pools whose latest answers are oldest
	// go first.
	maxKnown = 4096
	// maxOlder bounds those of a pool that its latest answer has not named.
	maxOlder = 128
	// maxReported bounds those that are remembered as reported.
	maxReported = 64
	// maxSelected is what a registrar gives at most in one answer.
	maxSelected = 128
)

// knownPool is a pool of which an answer has told.
type knownPool struct {
	handle   PoolHandle
	place    *list.Element
	told     time.Time       // when elements were; zero: at different times
	all      bool            // elements were all that the registrar gives
	elements []*knownElement // of the latest answer, in its order
	older    []*knownElement // of earlier ones

	space *handlespace.Space[*knownElement] // elements, to select from; nil until somebody does
	given bool                              // the answer's first element was given before that
}

// knownElement is a pool element as it was told last. It does not change.
type knownElement struct {
	protocol.PoolElement
	told time.Time
}

// reportedElement is one that could not be reached where it was. A registrar goes on naming it until others have
// reported it, too, or it has found out by itself.
type reportedElement struct {
	pool PoolHandle
	*knownElement
}

func newCache(stale time.Duration, rules map[protocol.PolicyType]handlespace.Rule) *cache {
	return &cache{stale: stale, rules: rules, pools: make(map[PoolHandle]*knownPool), questions: make(map[PoolHandle]*question)}
}

// lookup selects up to n elements (0: all) of what may be used now, or returns nil. ask tells
// whether a registrar is to be asked.
func (c *cache) lookup(now time.Time, pool PoolHandle, n uint32) (r *Resolution, ask bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[pool]
	switch {
	case p == nil:
		return nil, true
	case now.Sub(p.told) < c.stale && p.covers(n):
		r = c.pick(now, p, n)
		return r, r == nil
	case c.outage:
		return c.pickOld(now, p, n), c.questions[pool] == nil
	}
	return nil, true
}

// setOutage reports whether that is news.
func (c *cache) setOutage(outage bool) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed = outage != c.outage
	c.outage = outage
	return changed
}

// end takes the end of a question and answers all who have waited for it.
func (c *cache) end(now time.Time, q *question, told []protocol.PoolElement, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.questions, q.pool)
	if err == nil {
		c.serve(now, c.store(now, q, told), q.waiters)
		return
	}
	p := c.pools[q.pool]
	if p != nil && errors.Is(err, ErrUnknownPool) {
		c.drop(p)
	}
	for _, w := range q.waiters {
		a := answer{err: err}
		if p != nil && c.outage {
			a.resolution = c.pickOld(now, p, w.n)
		}
		w.answer <- a
	}
}

// serve gives an answer to those who have waited for it. If it was cut short, each of its
// elements serves one of them, as if all had asked; the others ask anew, for as many as they
// need together.
func (c *cache) serve(now time.Time, p *knownPool, waiters []*waiter) {
	left, missing := uint64(len(p.elements)), uint64(0)
	var unserved []*waiter
	for _, w := range waiters {
		need := uint64(max(w.n, 1))
		if len(p.elements) == 0 || !p.all && need > left {
			missing += need
			unserved = append(unserved, w)
			continue
		}
		left -= min(left, need)
		a := answer{items: w.n}
		if p.given || c.hasRule(p) {
			a.resolution = c.pick(now, p, w.n)
		} else {
			a.resolution = p.give(now, w.n)
		}
		w.answer <- a
	}
	for _, w := range unserved {
		w.answer <- answer{items: uint32(min(missing, AllElements))}
	}
}

// hasRule reports whether a pool is selected from by a rule of the user's, which its registrar may
// not have.
func (c *cache) hasRule(p *knownPool) bool {
	return c.rules[p.elements[0].Policy.Type] != nil
}

// store keeps an answer.
func (c *cache) store(now time.Time, q *question, told []protocol.PoolElement) *knownPool {
	p := c.pools[q.pool]
	if p == nil {
		p = &knownPool{handle: q.pool}
		p.place = c.oldest.PushBack(p)
		c.pools[q.pool] = p
	}
	c.oldest.MoveToBack(p.place)
	c.count -= p.len()
	p.take(now, q, told)
	c.count += p.len()
	if p.len() == 0 {
		c.drop(p) // all of them were reported meanwhile
	}
	for c.count > maxKnown {
		c.drop(c.oldest.Front().Value.(*knownPool)) // never p, which is the last
	}
	return p
}

// remove forgets one element, which was found unreachable: also an answer that is under way
// cannot know that yet.
func (c *cache) remove(pool PoolHandle, id PEID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.questions[pool]; q != nil {
		q.reported = append(q.reported, id)
	}
	p := c.pools[pool]
	if p == nil {
		return
	}
	if el := p.remove(id); el != nil {
		c.reported = append(c.reported, reportedElement{pool, el})
		c.reported = c.reported[max(0, len(c.reported)-maxReported):]
		if c.count--; p.len() == 0 {
			c.drop(p)
		}
	}
}

// setAside keeps one element, which has said good-bye, for an outage alone.
func (c *cache) setAside(pool PoolHandle, id PEID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pools[pool]; p != nil {
		if el := p.remove(id); el != nil {
			p.older = append(p.older, el)
		}
	}
}

// drop forgets a pool.
func (c *cache) drop(p *knownPool) {
	delete(c.pools, p.handle)
	c.oldest.Remove(p.place)
	c.count -= p.len()
}

// known selects from all that is known of a pool, fresh or not; nil if there is nothing.
func (c *cache) known(now time.Time, pool PoolHandle) *Resolution {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pools[pool]; p != nil {
		return c.pickOld(now, p, 0)
	}
	return nil
}

// living selects from what the latest answer has told of a pool, in the order of its policy, without those that were
// reported where they are, and those whose registration life may be over: their addresses can be somebody else's by now.
func (c *cache) living(now time.Time, pool PoolHandle) []Element {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[pool]
	if p == nil || c.pick(now, p, 0) == nil {
		return nil
	}
	c.picked = slices.DeleteFunc(c.picked, func(el *knownElement) bool {
		return now.Sub(el.told) > el.Life || c.wasReported(now, pool, el.ID, el.User)
	})
	if r := p.resolution(now, c.picked); r != nil {
		return r.Elements
	}
	return nil
}

// reportedLast moves those that were reported where they are behind the others.
func (c *cache) reportedLast(now time.Time, pool PoolHandle, elements []Element) []Element {
	c.mu.Lock()
	defer c.mu.Unlock()
	var others, reported []Element
	for _, el := range elements {
		if c.wasReported(now, pool, el.ID, el.user) {
			reported = append(reported, el)
		} else {
			others = append(others, el)
		}
	}
	return append(others, reported...)
}

// wasReported reports whether an element was where it is, within the registration life that it had.
func (c *cache) wasReported(now time.Time, pool PoolHandle, id PEID, at protocol.TransportAddr) bool {
	return slices.ContainsFunc(c.reported, func(r reportedElement) bool {
		return r.pool == pool && r.ID == id && r.User.Equal(at) && now.Sub(r.told) <= r.Life
	})
}

// pickOld selects from all that is known of a pool, however old.
func (c *cache) pickOld(now time.Time, p *knownPool, n uint32) *Resolution {
	if len(p.older) > 0 {
		p.told, p.all = time.Time{}, false
		p.elements = append(p.elements, p.older...)
		if p.space != nil {
			p.enter(p.older)
		}
		p.older = nil
	}
	r := c.pick(now, p, n)
	if r != nil {
		r.Stale = true
	}
	return r
}

// pick selects up to n elements (0: all) by the pool's policy, or returns nil.
func (c *cache) pick(now time.Time, p *knownPool, n uint32) *Resolution {
	if p.space == nil {
		// "Then the head SHOULD be advanced by one element" (RFC 5356 section 4.1.2), as at the
		// registrar: a session uses one element of a list, and the next session the next one.
		p.space = handlespace.New[*knownElement](handlespace.Options{MaxIncrement: 1, Rules: c.rules})
		p.enter(p.elements)
		if p.given {
			p.space.Select(nil, p.handle, 1)
		}
	}
	if n == 0 || n > maxSelected {
		n = maxSelected
	}
	c.selected, _ = p.space.Select(c.selected[:0], p.handle, int(n))
	c.picked = c.picked[:0]
	for _, el := range c.selected {
		c.picked = append(c.picked, el.Value)
	}
	return p.resolution(now, c.picked)
}

// enter makes elements ones to select from.
func (p *knownPool) enter(elements []*knownElement) {
	for _, known := range elements {
		el, _, err := p.space.Put(p.handle, &known.PoolElement, handlespace.Synchronized)
		if err != nil {
			continue // of a pool before it was made anew
		}
		el.Value = known
	}
}

// covers reports whether asking for n elements (0: any) would bring no more than there are.
func (p *knownPool) covers(n uint32) bool {
	return len(p.elements) > 0 && (p.all || uint64(n) <= uint64(len(p.elements)))
}

// give takes up to n elements (0: all) in the answer's order. That is the registrar's own
// selection, who knows all elements and how often each was selected.
func (p *knownPool) give(now time.Time, n uint32) *Resolution {
	p.given = true
	elements := p.elements
	if n > 0 && uint64(n) < uint64(len(elements)) {
		elements = elements[:n]
	}
	return p.resolution(now, elements)
}

// resolution returns what a caller gets, who may keep it and write to it. It is nil if there
// are no elements.
func (p *knownPool) resolution(now time.Time, elements []*knownElement) *Resolution {
	if len(elements) == 0 {
		return nil
	}
	size := 0
	for _, el := range elements {
		size += len(el.User.Addrs)
	}
	addrs := make([]netip.AddrPort, 0, size) // of all elements, in one piece
	r := &Resolution{Pool: p.handle, Elements: make([]Element, len(elements))}
	for i, el := range elements {
		first := len(addrs)
		addrs = appendAddrPorts(addrs, el.User)
		r.Elements[i] = newElementAt(el.PoolElement, slices.Clip(addrs[first:]))
		r.Age = max(r.Age, now.Sub(el.told))
	}
	return r
}

// take makes an answer the latest one.
func (p *knownPool) take(now time.Time, q *question, told []protocol.PoolElement) {
	earlier := append(p.older, p.elements...)
	p.elements, p.older, p.space, p.given = nil, nil, nil, false
	p.told, p.all = now, uint64(len(told)) < uint64(q.items)
	for _, pe := range told {
		if !slices.Contains(q.reported, pe.ID) && indexOf(p.elements, pe.ID) < 0 {
			p.elements = append(p.elements, &knownElement{pe, now})
		}
	}
	if p.all {
		return // what it does not name is not there any more
	}
	p.older = slices.DeleteFunc(earlier, func(el *knownElement) bool { return indexOf(p.elements, el.ID) >= 0 })
	if n := len(p.older) - maxOlder; n > 0 {
		slices.SortStableFunc(p.older, func(a, b *knownElement) int { return a.told.Compare(b.told) })
		p.older = slices.Delete(p.older, 0, n)
	}
}

func (p *knownPool) len() int { return len(p.elements) + len(p.older) }

// remove takes an element out and returns it; nil if it is not known.
func (p *knownPool) remove(id PEID) *knownElement {
	for _, list := range []*[]*knownElement{&p.elements, &p.older} {
		i := indexOf(*list, id)
		if i < 0 {
			continue
		}
		el := (*list)[i]
		*list = slices.Delete(*list, i, i+1)
		p.given = p.given && i > 0 // else the next one's turn has come
		if p.space != nil {
			p.space.Remove(p.handle, id, handlespace.ReportedUnreachable)
		}
		return el
	}
	return nil
}

func indexOf(elements []*knownElement, id PEID) int {
	return slices.IndexFunc(elements, func(el *knownElement) bool { return el.ID == id })
}
