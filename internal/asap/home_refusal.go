package asap

import (
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// HandleRefused answers a message that its sender has no right to, with the cause that RFC 5354 section
// 3.12 has for that.
func (h *Home) HandleRefused(now time.Time, id effect.AssocID, data []byte) {
	a := h.assocs[id]
	if a == nil {
		return
	}
	h.heard(now, a)
	m, err := h.decoder.ASAP(data)
	if err != nil {
		h.handleMalformed(a, data, err)
		return
	}
	switch m := m.(type) {
	case *wire.Registration:
		h.refuseRegistration(a, m)
	case *wire.Deregistration:
		h.refuseDeregistration(a, m)
	case *wire.HandleResolution:
		h.stats.Unauthorized++
		h.answers.unknownPool = wire.HandleResolutionResponse{Handle: m.Handle, Causes: h.causes(protocol.CauseSecurity, nil)}
		h.effects.Send(a.id, protocol.PPIDASAP, &h.answers.unknownPool)
	default: // has no answer
		h.stats.Unauthorized++
	}
}

// refuseRegistration also ends the registration of a PE that may be in the pool no more.
func (h *Home) refuseRegistration(a *homeAssoc, m *wire.Registration) {
	h.stats.Rejections++
	h.stats.Unauthorized++
	if el := h.space.Get(m.Handle, m.Element.ID); el != nil && el.Value.assoc == a {
		h.lose(el, handlespace.Deregistered)
	}
	h.answers.registration = wire.RegistrationResponse{
		Reject: true, Handle: m.Handle, ID: m.Element.ID, Causes: h.causes(protocol.CauseSecurity, nil),
	}
	h.effects.Send(a.id, protocol.PPIDASAP, &h.answers.registration)
}
