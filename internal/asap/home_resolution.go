package asap

import (
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

const (
	// maxItems is the most PEs that an answer lists, as with RSPLIB.
	maxItems = 128
	// maxAnswer is the most bytes of PE parameters in an answer, so that every
	// transport carries it.
	maxAnswer = 60 << 10
)

// handleResolution answers with PEs that the pool's policy selects (RFC 5352 section 3.3). The
// S bit, which asks for updates from then on, is ignored; the answer's A bit says so.
func (h *Home) handleResolution(now time.Time, a *homeAssoc, m *wire.HandleResolution) {
	h.stats.Resolutions++
	if !a.resolutions.allow(now, h.cfg.MaxHRRate) {
		h.stats.Refused++
		h.answerUnknownPool(a, m.Handle)
		return
	}
	n := h.cfg.MaxHResItems
	if m.Items != 0 {
		n = int(min(m.Items, maxItems))
	}
	h.selected, _ = h.space.Select(h.selected[:0], m.Handle, n)
	if len(h.selected) == 0 {
		// An answer without any PE cannot be written, so that a pool whose weights are
		// all 0 is as good as none.
		h.stats.UnknownPools++
		h.answerUnknownPool(a, m.Handle)
		return
	}
	for _, el := range h.selected {
		if len(el.Param) == 0 { // it has changed since the last answer
			h.encode(el)
		}
	}
	answer := &h.answers.resolution
	answer.fill(h.selected)
	h.effects.Send(a.id, protocol.PPIDASAP, answer)
}

func (h *Home) answerUnknownPool(a *homeAssoc, handle protocol.PoolHandle) {
	h.answers.unknownPool = wire.HandleResolutionResponse{Handle: handle, Causes: h.causes(protocol.CauseUnknownPoolHandle, nil)}
	h.effects.Send(a.id, protocol.PPIDASAP, &h.answers.unknownPool)
}

// resolution is an ASAP_HANDLE_RESOLUTION_RESPONSE of PE parameters that are encoded once
// for each change of a PE. Its policy is that of the first PE, with its values, as RSPLIB
// sends it and expects it.
type resolution struct {
	handle protocol.PoolHandle
	policy protocol.Policy
	params [][]byte
}

func (r *resolution) fill(selected []*Element) {
	r.handle, r.policy, r.params = selected[0].Handle, selected[0].Policy, r.params[:0]
	size := 0
	for _, el := range selected {
		if size += len(el.Param); size > maxAnswer {
			return
		}
		r.params = append(r.params, el.Param)
	}
}

func (r *resolution) AppendTo(b []byte) []byte {
	return wire.AppendResolution(b, r.handle, r.policy, r.params)
}

// encode sets the parameter with which el stands in answers. How registrars reach the
// PE, and who has registered it, is none of a PU's business.
func (h *Home) encode(el *Element) {
	pe := el.PoolElement
	pe.ASAP, pe.Owner = protocol.TransportAddr{}, ""
	h.param = wire.AppendElement(h.param[:0], &pe)
	el.Param = append(el.Param[:0], h.param...)
}
