package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/hsdump"
	"github.com/rserpool/rsp/internal/protocol"
)

// history is what has happened, as the differences between reports and between handlespaces tell. A session that a
// pool user ends and one that it begins with another pool element soon after look like a failover.
type history struct {
	happenings []happening // oldest first
	count      int         // of all that there were

	there    map[csp.ComponentID]bool // who reported the last time
	sessions map[csp.ComponentID]*partners
	dump     *hsdump.Dump // the latest that was looked at
}

// happening is one thing that has happened.
type happening struct {
	Number int    `json:"number"`
	Time   string `json:"time"`
	Kind   string `json:"kind"` // "component", "session", "failover", "pool" or "home"
	Text   string `json:"text"`
	User   string `json:"user"` // a failover's; and from and to which pool element
	From   string `json:"from"`
	To     string `json:"to"`
}

// partners are the pool elements that a component has sessions with.
type partners struct {
	now    map[csp.ComponentID]bool
	left   csp.ComponentID // that it had last, when it has none in its place; 0: none
	leftAt time.Time
}

const (
	// maxHappenings is how many are kept.
	maxHappenings = 100
	// maxFailover is how long after the end of a session another one may be its failover: as long as sessions
	// look for another pool element by default.
	maxFailover = 30 * time.Second
)

func newHistory() *history {
	return &history{there: make(map[csp.ComponentID]bool), sessions: make(map[csp.ComponentID]*partners)}
}

// latest returns a copy of what is kept, newest first.
func (h *history) latest() []happening {
	list := append([]happening{}, h.happenings...) // not null in JSON
	slices.Reverse(list)
	return list
}

func (h *history) add(now time.Time, e happening) {
	h.count++
	e.Number, e.Time = h.count, now.Format("15:04:05")
	h.happenings = append(h.happenings, e)
	if len(h.happenings) > maxHappenings {
		h.happenings = slices.Delete(h.happenings, 0, 1)
	}
}

// update compares with the last time.
func (h *history) update(now time.Time, all []component, dump *hsdump.Dump) {
	there := make(map[csp.ComponentID]bool, len(all))
	for _, c := range all {
		there[c.Sender] = true
		if !h.there[c.Sender] {
			h.add(now, happening{Kind: "component", Text: fmt.Sprintf("%v reports, from %s", c.Sender, c.Location)})
		}
		h.updateSessions(now, c)
	}
	for id := range h.there {
		if !there[id] {
			h.add(now, happening{Kind: "component", Text: fmt.Sprintf("%v reports no more", id)})
			delete(h.sessions, id)
		}
	}
	h.there = there
	if dump != nil && dump != h.dump {
		if h.dump != nil {
			h.updatePools(now, h.dump, dump)
		}
		h.dump = dump
	}
}

// updateSessions tells the sessions that a component has begun, left and moved.
func (h *history) updateSessions(now time.Time, c component) {
	p := h.sessions[c.Sender]
	if p == nil {
		p = &partners{}
		h.sessions[c.Sender] = p
	}
	before := p.now
	p.now = make(map[csp.ComponentID]bool)
	for _, a := range c.Associations {
		if a.Receiver.Group() == csp.PoolElement {
			p.now[a.Receiver] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if !p.now[id] {
			p.left, p.leftAt = id, now
			h.add(now, happening{Kind: "session", Text: fmt.Sprintf("%v has left %v", c.Sender, id)})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.now)) {
		switch {
		case before[id]:
		case p.left != 0 && p.left != id && now.Sub(p.leftAt) < maxFailover:
			h.add(now, happening{
				Kind: "failover", Text: fmt.Sprintf("%v goes on with %v after %v", c.Sender, id, p.left),
				User: name(c.Sender), From: name(p.left), To: name(id),
			})
			p.left = 0
		default:
			h.add(now, happening{Kind: "session", Text: fmt.Sprintf("%v has a session with %v", c.Sender, id)})
		}
	}
}

// elementKey is a pool element in its pool.
type elementKey struct {
	pool protocol.PoolHandle
	id   protocol.PEID
}

// updatePools tells the pool elements that have come, gone and changed their home.
func (h *history) updatePools(now time.Time, before, after *hsdump.Dump) {
	was, is := homes(before), homes(after)
	for _, key := range keys(after) {
		id := csp.NewComponentID(csp.PoolElement, uint64(key.id))
		old, known := was[key]
		switch {
		case !known:
			h.add(now, happening{Kind: "pool", Text: fmt.Sprintf("%v has joined %s", id, printable(string(key.pool)))})
		case old != is[key]:
			h.add(now, happening{Kind: "home", Text: fmt.Sprintf("%v has the home PR $%08x after PR $%08x", id, uint32(is[key]), uint32(old))})
		}
	}
	for _, key := range keys(before) {
		if _, still := is[key]; !still {
			id := csp.NewComponentID(csp.PoolElement, uint64(key.id))
			h.add(now, happening{Kind: "pool", Text: fmt.Sprintf("%v has left %s", id, printable(string(key.pool)))})
		}
	}
}

// keys lists all pool elements in order.
func keys(d *hsdump.Dump) (list []elementKey) {
	for _, pool := range d.Pools {
		for _, pe := range pool.Elements {
			list = append(list, elementKey{pool.Handle, pe.ID})
		}
	}
	return list
}

// homes are the home registrars of all pool elements.
func homes(d *hsdump.Dump) map[elementKey]protocol.RegistrarID {
	m := make(map[elementKey]protocol.RegistrarID)
	for _, pool := range d.Pools {
		for _, pe := range pool.Elements {
			m[elementKey{pool.Handle, pe.ID}] = pe.Home
		}
	}
	return m
}
