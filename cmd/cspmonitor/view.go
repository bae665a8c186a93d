package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/protocol"
)

// view is what the page shows: what components report, and the handlespace of a registrar.
type view struct {
	Time       string      `json:"time"`
	Source     sourceView  `json:"source"`
	Registrars []partView  `json:"registrars"`
	Pools      []poolView  `json:"pools"`
	Users      []partView  `json:"users"`
	History    []happening `json:"history"`
}

// sourceView is where the pools come from.
type sourceView struct {
	Registrar string  `json:"registrar"` // its address; "": none has answered yet
	Age       float64 `json:"age"`       // seconds since it has answered
	Error     string  `json:"error"`     // why it does not answer now; "": it does
}

// partView is a registrar, a pool user, or what a pool element has in common with them.
type partView struct {
	ID       string        `json:"id"`
	Reports  bool          `json:"reports"` // else it is known from others only
	Location string        `json:"location"`
	Status   string        `json:"status"`
	Up       float64       `json:"up"`     // seconds
	Silent   float64       `json:"silent"` // seconds, if reports are missing
	Sessions []sessionView `json:"sessions"`
}

// sessionView is a session of a pool user, or of a pool element that is one.
type sessionView struct {
	Element string  `json:"element"`
	Seconds float64 `json:"seconds"`
}

// poolView is a pool.
type poolView struct {
	Handle   string        `json:"handle"` // "": pool elements that report, but are in no pool that is known
	Policy   string        `json:"policy"`
	Elements []elementView `json:"elements"`
}

// elementView is a pool element.
type elementView struct {
	partView
	Home string   `json:"home"` // registrar; "" unless it is known
	Load *float64 `json:"load"` // 0 to 1; nil: its policy has none, or it is not known
}

// newView joins what is known.
func newView(now time.Time, all []component, p poolsState, h *history) *view {
	v := &view{
		Time: now.Format(time.RFC3339), Source: newSource(now, p), History: h.latest(),
		Registrars: []partView{}, Pools: []poolView{}, Users: []partView{}, // not null in JSON
	}
	elements := make(map[csp.ComponentID]component)
	for _, c := range all {
		switch c.Sender.Group() {
		case csp.Registrar:
			v.Registrars = append(v.Registrars, newPart(now, c))
		case csp.PoolElement:
			elements[c.Sender] = c
		case csp.PoolUser:
			v.Users = append(v.Users, newPart(now, c))
		}
	}
	v.addPools(now, p, elements)
	v.addUnpooled(now, all, elements)
	v.addSilentRegistrars(p)
	return v
}

func newSource(now time.Time, p poolsState) sourceView {
	s := sourceView{Registrar: p.from}
	if p.dump != nil {
		s.Age = now.Sub(p.when).Seconds()
	}
	if p.err != nil {
		s.Error = p.err.Error()
	}
	return s
}

// missing is how many intervals without a report are a silence.
const missing = 3

func newPart(now time.Time, c component) partView {
	part := partView{
		ID: name(c.Sender), Reports: true, Location: c.Location, Status: c.Status,
		Up: c.Uptime.Seconds(), Sessions: []sessionView{},
	}
	if silent := now.Sub(c.heard); silent > missing*c.Interval && c.Interval > 0 {
		part.Silent = silent.Seconds()
	}
	for _, a := range c.Associations {
		if a.Receiver.Group() == csp.PoolElement {
			part.Sessions = append(part.Sessions, sessionView{name(a.Receiver), a.Duration.Seconds()})
		}
	}
	return part
}

// name is a component's identifier as the page has it.
func name(id csp.ComponentID) string { return fmt.Sprintf("%08x", id.Identifier()) }

// addPools adds the handlespace, and takes those of its elements that report out of elements.
func (v *view) addPools(now time.Time, p poolsState, elements map[csp.ComponentID]component) {
	if p.dump == nil {
		return
	}
	used := make(map[csp.ComponentID]bool)
	for _, pool := range p.dump.Pools {
		pv := poolView{Handle: printable(string(pool.Handle)), Policy: pool.Elements[0].Policy.Type.String(), Elements: []elementView{}}
		for _, pe := range pool.Elements {
			id := csp.NewComponentID(csp.PoolElement, uint64(pe.ID))
			el := elementView{Home: name(csp.ComponentID(pe.Home)), partView: partView{ID: name(id), Location: pe.User.String(), Sessions: []sessionView{}}}
			if c, reports := elements[id]; reports {
				el.partView, used[id] = newPart(now, c), true
				el.Load = loadOf(c)
			}
			if fields, _ := pe.Policy.Type.Fields(); el.Load == nil && slices.Contains(fields, protocol.FieldLoad) {
				load := float64(pe.Policy.Load) / protocol.MaxLoad
				el.Load = &load
			}
			pv.Elements = append(pv.Elements, el)
		}
		v.Pools = append(v.Pools, pv)
	}
	for id := range used {
		delete(elements, id)
	}
}

// addUnpooled adds those that are left in elements.
func (v *view) addUnpooled(now time.Time, all []component, elements map[csp.ComponentID]component) {
	if len(elements) == 0 {
		return
	}
	pool := poolView{}
	for _, c := range all {
		if _, left := elements[c.Sender]; !left {
			continue
		}
		el := elementView{partView: newPart(now, c), Load: loadOf(c)}
		for _, a := range c.Associations {
			if a.Receiver.Group() == csp.Registrar && a.Receiver.Identifier() != 0 {
				el.Home = name(a.Receiver)
			}
		}
		pool.Elements = append(pool.Elements, el)
	}
	v.Pools = append(v.Pools, pool)
}

// addSilentRegistrars adds the registrars that do not report.
func (v *view) addSilentRegistrars(p poolsState) {
	if p.dump == nil {
		return
	}
	ids := map[protocol.RegistrarID]string{p.dump.Registrar: "peers' port " + p.from}
	for _, peer := range p.dump.Peers {
		ids[peer.ID] = "peers' port " + peer.Transport.String()
	}
	for id, location := range ids {
		text := name(csp.ComponentID(id))
		if id != 0 && !slices.ContainsFunc(v.Registrars, func(r partView) bool { return r.ID == text }) {
			v.Registrars = append(v.Registrars, partView{ID: text, Location: location, Sessions: []sessionView{}})
		}
	}
	slices.SortFunc(v.Registrars, func(a, b partView) int { return strings.Compare(a.ID, b.ID) })
}

func loadOf(c component) *float64 {
	if load, known := c.Workload.Load(); known {
		return &load
	}
	return nil
}
