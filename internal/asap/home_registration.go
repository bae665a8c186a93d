package asap

import (
	"errors"
	"net/netip"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// answers is one of each message that a Home sends, so that sending allocates nothing.
type answers struct {
	registration   wire.RegistrationResponse
	deregistration wire.DeregistrationResponse
	resolution     resolution
	unknownPool    wire.HandleResolutionResponse
	keepAlive      wire.EndpointKeepAlive
	err            wire.ASAPError
	cause          [1]wire.ErrorCause
}

// handleRegistration follows RFC 5352 section 3.1: whatever can be read is answered by an
// ASAP_REGISTRATION_RESPONSE.
func (h *Home) handleRegistration(now time.Time, a *homeAssoc, m *wire.Registration) {
	cause := h.register(now, a, m.Handle, m.Element)
	answer := &h.answers.registration
	*answer = wire.RegistrationResponse{Handle: m.Handle, ID: m.Element.ID}
	if cause != 0 {
		h.stats.Rejections++
		answer.Reject = true
		answer.Causes = h.causes(cause, nil)
	}
	h.effects.Send(a.id, protocol.PPIDASAP, answer)
}

// register enters a PE into the handlespace as one of our own, or says why not.
func (h *Home) register(now time.Time, a *homeAssoc, handle protocol.PoolHandle, pe protocol.PoolElement) protocol.Cause {
	if pe.ID == 0 {
		return protocol.CauseInvalidID
	}
	if pe.User.Port == 0 || len(pe.User.Addrs) == 0 {
		return protocol.CauseInvalidAddresses
	}
	if pe.User.Addrs = h.usable(pe.User, a.remote.Addrs); len(pe.User.Addrs) == 0 {
		return protocol.CauseNoUsableUserAddresses
	}
	switch el := h.space.Get(handle, pe.ID); {
	case el != nil && el.Owner != a.owner:
		h.stats.Unauthorized++
		return protocol.CauseSecurity
	case el == nil && (h.space.Len() >= h.cfg.MaxElements || h.full(a.client)):
		return protocol.CauseLackOfResources
	}
	if pe.Policy.Type.HasDistance() {
		pe.Policy.Distance = h.cfg.Distance(a.id) // whatever the PE has written there
	}
	pe.Home, pe.Owner = h.cfg.ID, a.owner
	pe.ASAP = a.remote
	pe.ASAP.Use = protocol.DataOnly
	el, change, err := h.space.Put(handle, &pe, handlespace.Registered)
	if refused, ok := errors.AsType[*handlespace.InconsistentError](err); ok {
		return refused.Cause
	}
	if change == handlespace.Added {
		h.stats.Registrations++
		el.Value.Since = now
	} else {
		h.stats.Reregistrations++
	}
	h.attach(el, a)
	h.becomeQuiet(now, el)
	h.confirm(now, el)
	return 0
}

// confirm tells of a PE that has said itself that it is ours.
func (h *Home) confirm(now time.Time, el *Element) {
	el.Value.adopted = false
	if h.Registered != nil {
		h.Registered(now, el)
	}
}

// usable returns the addresses at which PUs reach a user transport of the PE whose association
// proves the given ones. The result is valid until the next call.
func (h *Home) usable(user protocol.TransportAddr, proven []netip.Addr) []netip.Addr {
	h.addrs = protocol.AppendUsable(h.addrs[:0], user.Addrs, proven, h.cfg.MinAddressScope)
	if user.Protocol != protocol.SCTP && len(h.addrs) > 1 {
		return h.addrs[:1] // RFC 5354 sections 3.3 to 3.7 have a single one
	}
	return h.addrs
}

// attach makes a the association that vouches for el: the latest that has registered
// it.
func (h *Home) attach(el *Element, a *homeAssoc) {
	w := &el.Value
	if w.visited == a {
		w.visited = nil
	}
	if w.assoc == a {
		return
	}
	if w.assoc != nil {
		h.detach(el)
	}
	w.assoc, w.slot = a, len(a.elements)
	a.client.elements++
	a.elements = append(a.elements, el)
}

// detach takes el from its association; the last one there takes its slot.
func (h *Home) detach(el *Element) {
	w := &el.Value
	w.assoc.client.elements--
	list := w.assoc.elements
	last := list[len(list)-1]
	list[w.slot], last.Value.slot = last, w.slot
	list[len(list)-1] = nil
	w.assoc.elements = list[:len(list)-1]
	w.assoc = nil
}

// remove ends the registration of el.
func (h *Home) remove(el *Element, reason handlespace.Reason) {
	h.Release(el)
	h.space.Remove(el.Handle, el.ID, reason)
}

// lose removes el because it is gone, or seems to be.
func (h *Home) lose(el *Element, reason handlespace.Reason) {
	h.stats.Lost++
	h.remove(el, reason)
}

// handleDeregistration follows RFC 5352 section 3.2: what is not there is gone, and that
// is success. As with RSPLIB any association may ask; handle and identifier are the
// proof of identity, and with TLS the certificate.
func (h *Home) handleDeregistration(now time.Time, a *homeAssoc, m *wire.Deregistration) {
	h.stats.Deregistrations++
	el := h.space.Get(m.Handle, m.ID)
	if el != nil && el.Owner != a.owner {
		h.refuseDeregistration(a, m)
		return
	}
	if el != nil {
		if el.Home != h.cfg.ID {
			// Peers believe in its end only from its home.
			h.space.SetHome(el, h.cfg.ID, handlespace.Registered)
			h.confirm(now, el)
		}
		h.remove(el, handlespace.Deregistered)
	}
	h.answers.deregistration = wire.DeregistrationResponse{Handle: m.Handle, ID: m.ID}
	h.effects.Send(a.id, protocol.PPIDASAP, &h.answers.deregistration)
}

func (h *Home) refuseDeregistration(a *homeAssoc, m *wire.Deregistration) {
	h.stats.Unauthorized++
	h.answers.deregistration = wire.DeregistrationResponse{Handle: m.Handle, ID: m.ID, Causes: h.causes(protocol.CauseSecurity, nil)}
	h.effects.Send(a.id, protocol.PPIDASAP, &h.answers.deregistration)
}

// causes returns the one cause of an answer, in memory that the next answer uses
// again.
func (h *Home) causes(code protocol.Cause, data []byte) []wire.ErrorCause {
	h.answers.cause[0] = wire.ErrorCause{Code: code, Data: data}
	return h.answers.cause[:]
}
