package wire

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// AppendElement appends a Pool Element parameter as it stands in messages; e's ASAP
// transport is left out if it is absent.
func AppendElement(b []byte, e *protocol.PoolElement) []byte {
	w := writer{b: b, start: len(b)}
	w.element(e)
	return w.b
}

// Pool Member Selection Policy parameter (RFC 5354 section 3.8, RFC 5356 sections 4 and 5):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Type = 0x8            |      Length = variable        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Policy Type                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Policy-specific Data                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

func (w *writer) policy(p protocol.Policy) {
	start := w.open(paramPolicy)
	w.uint32(uint32(p.Type))
	fields, known := p.Type.Fields()
	for _, f := range fields {
		w.uint32(*p.Field(f))
	}
	if !known {
		w.b = append(w.b, p.Opaque...)
	}
	w.close(start)
}

// policy reads a policy of any type: whether it is supported is for the reader's
// user to say. Data beyond the type's fields is ignored, as RSPLIB does.
func (r *reader) policy(p param) (policy protocol.Policy) {
	v := p.value()
	if len(v) < 4 {
		r.d.failParam(protocol.CauseInvalidValue, p, "is too short")
		return policy
	}
	policy.Type = protocol.PolicyType(binary.BigEndian.Uint32(v))
	v = v[4:]
	fields, known := policy.Type.Fields()
	switch {
	case policy.Type == 0:
		// RFC 5356 section 7.1: "reserved, invalid value".
		r.d.failParam(protocol.CauseInvalidValue, p, "has no policy type")
	case !known:
		policy.Opaque = r.opaque(p, v)
	case len(v) < 4*len(fields):
		r.d.failParam(protocol.CauseInvalidValue, p, "is too short for its policy type")
	default:
		for i, f := range fields {
			*policy.Field(f) = binary.BigEndian.Uint32(v[4*i:])
		}
	}
	return policy
}

// optionalPolicy writes the policy of a whole pool, unless it is absent.
func (w *writer) optionalPolicy(p protocol.Policy) {
	if p.Type != 0 {
		w.policy(p)
	}
}

func (r *reader) optionalPolicy() protocol.Policy {
	if p, ok := r.next(policyTypes); ok {
		return r.policy(p)
	}
	return protocol.Policy{}
}

// Pool Element parameter (RFC 5354 section 3.10):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Type = 0xa            |       Length=variable         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         PE Identifier                         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                  Home ENRP Server Identifier                  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Registration Life                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                      User Transport param                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                 Member Selection Policy param                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                      ASAP Transport param                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Between registrars with TLS, our own Owner parameter follows: type 0x803e, and as its value the name.

func (w *writer) element(e *protocol.PoolElement) {
	start := w.open(paramPoolElement)
	w.uint32(uint32(e.ID))
	w.uint32(uint32(e.Home))
	// RSPLIB counts milliseconds, without sign; RFC 5354 has seconds.
	w.uint32(uint32(min(max(e.Life.Milliseconds(), 0), math.MaxUint32)))
	w.transport(&e.User)
	w.policy(e.Policy)
	if !e.ASAP.IsZero() {
		w.transport(&e.ASAP)
	}
	if e.Owner != "" {
		owner := w.open(paramOwner | actionSkip)
		w.b = append(w.b, e.Owner...)
		w.close(owner)
	}
	w.close(start)
}

func (r *reader) element(p param, e *protocol.PoolElement) {
	*e = protocol.PoolElement{}
	in := r.inside(p, 12)
	e.ID = protocol.PEID(in.uint32())
	e.Home = protocol.RegistrarID(in.uint32())
	e.Life = time.Duration(in.uint32()) * time.Millisecond
	if user, ok := in.need(transportTypes, "user transport"); ok {
		in.transport(user, &e.User)
	}
	if policy, ok := in.need(policyTypes, "policy"); ok {
		e.Policy = in.policy(policy)
	}
	if asap, ok := in.next(transportTypes); ok {
		in.transport(asap, &e.ASAP)
	}
	if owner, ok := in.next(ownerTypes); ok {
		e.Owner = r.d.strings.get(owner.value())
	}
	in.close()
}

// peerElement is element for a message from a registrar, which must say who
// owns the PE and how to reach it when it is taken over (RFC 5353 section 3.5).
func (r *reader) peerElement(p param, e *protocol.PoolElement) {
	r.element(p, e)
	if e.Home == 0 {
		r.d.failParam(protocol.CauseInvalidValue, p, "has no home registrar")
	}
	if e.ASAP.IsZero() {
		r.d.failParam(protocol.CauseInvalidRegistrarTransport, p, "has no ASAP transport")
	}
}

// elements reads pool elements, each by read, until something else comes.
func (r *reader) elements(read func(*reader, param, *protocol.PoolElement)) []protocol.PoolElement {
	start := len(r.d.elements)
	for p, ok := r.next(elementTypes); ok; p, ok = r.next(elementTypes) {
		r.d.elements = append(r.d.elements, protocol.PoolElement{})
		read(r, p, &r.d.elements[len(r.d.elements)-1])
	}
	if len(r.d.elements) == start {
		return nil
	}
	return r.d.elements[start:len(r.d.elements):len(r.d.elements)]
}

// elements writes as many elements as fit in the message, and returns how many.
func (w *writer) elements(elements []protocol.PoolElement) int {
	for i := range elements {
		mark := len(w.b)
		w.element(&elements[i])
		if w.takeBack(mark) {
			return i
		}
	}
	return len(elements)
}
