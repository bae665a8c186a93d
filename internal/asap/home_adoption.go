package asap

import (
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// adoption is the visit to the PEs of one ASAP transport that have become ours without
// having registered here (RFC 5353 section 3.5.2):
//
//	Adopt ──▶ dial the PE's ASAP transport ──▶ up: ENDPOINT_KEEP_ALIVE with H for each PE ──▶ watchAsked
//	                       │
//	                       └──▶ not reached, or the timeout interval is over: the PEs are removed
//
// A PE that registers here by itself meanwhile needs no visit any more. One that does so when it has
// been asked already follows the visit: it ends the association that it has registered over.
type adoption struct {
	at       protocol.TransportAddr
	elements []*Element
}

// Adopt makes the registrar known to el as its new home. The caller has made it el's
// home in the handlespace.
func (h *Home) Adopt(now time.Time, el *Element) {
	el.Value.adopted = true
	if el.Value.assoc != nil {
		h.askAdopted(now, el)
		return
	}
	if el.Value.Since.IsZero() {
		el.Value.Since = now
	}
	el.Value.state = watchAsked
	h.watches.set(el, now.Add(h.cfg.EndpointKeepAliveTimeoutInterval))
	for _, a := range h.adoptions {
		if a.at.Equal(el.ASAP) {
			a.elements = append(a.elements, el)
			return
		}
	}
	id := h.effects.Dial(el.ASAP, protocol.PPIDASAP)
	h.adoptions[id] = &adoption{at: el.ASAP, elements: []*Element{el}}
}

// visit tells the PEs of an adoption over its association who their home is now.
func (h *Home) visit(now time.Time, a *homeAssoc, visited *adoption) {
	delete(h.adoptions, a.id)
	for _, el := range visited.elements {
		switch {
		case !h.adopting(el):
		case el.Owner != a.owner: // another one is where it was
			h.stats.Unauthorized++
			h.lose(el, handlespace.KeepAliveLost)
		default:
			h.attach(el, a)
			h.askAdopted(now, el)
		}
	}
	if len(a.elements) == 0 {
		h.forget(a)
		h.effects.Close(a.id)
	}
}

// adopting reports whether el still waits for a visit.
func (h *Home) adopting(el *Element) bool {
	return el.Value.assoc == nil && h.space.Get(el.Handle, el.ID) == el && el.Home == h.cfg.ID
}

// askAdopted asks el for a sign of life, with the H bit: "adopt me".
func (h *Home) askAdopted(now time.Time, el *Element) {
	el.Value.state, el.Value.visited = watchAsked, el.Value.assoc
	h.watches.set(el, now.Add(h.cfg.EndpointKeepAliveTimeoutInterval))
	h.stats.KeepAlives++
	h.answers.keepAlive = wire.EndpointKeepAlive{Home: true, Registrar: h.cfg.ID, Handle: el.Handle, ID: el.ID}
	h.effects.Send(el.Value.assoc.id, protocol.PPIDASAP, &h.answers.keepAlive)
}

// failVisit removes the PEs that could not be visited.
func (h *Home) failVisit(id effect.AssocID) {
	failed := h.adoptions[id]
	delete(h.adoptions, id)
	for _, el := range failed.elements {
		if h.adopting(el) {
			h.lose(el, handlespace.KeepAliveLost)
		}
	}
}

// Release stops watching a PE that has got another home, or is gone from the
// handlespace by another's word.
func (h *Home) Release(el *Element) {
	if el.Value.assoc != nil {
		h.detach(el)
	}
	el.Value.visited = nil
	h.watches.remove(el)
}
