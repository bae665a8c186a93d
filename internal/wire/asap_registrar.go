package wire

import (
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// Registration is ASAP_REGISTRATION (RFC 5352 section 2.2.1).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x01 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Element Parameter                    :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Registration struct {
	Handle  protocol.PoolHandle
	Element protocol.PoolElement
}

func (m *Registration) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapRegistration), 0)
	w.poolHandle(m.Handle)
	w.element(&m.Element)
	return w.message()
}

func (m *Registration) decode(_ uint8, r *reader) {
	m.Handle = r.poolHandle()
	if p, ok := r.need(elementTypes, "pool element"); ok {
		r.element(p, &m.Element)
	}
}

func (m *Registration) String() string {
	return fmt.Sprintf("%v pool %q, %v", asapRegistration, m.Handle, m.Element)
}

// Deregistration is ASAP_DEREGISTRATION (RFC 5352 section 2.2.2).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x02 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                    PE Identifier Parameter                    :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Deregistration struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

func (m *Deregistration) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapDeregistration), 0)
	w.poolHandle(m.Handle)
	w.peID(m.ID)
	return w.message()
}

func (m *Deregistration) decode(_ uint8, r *reader) {
	m.Handle = r.poolHandle()
	m.ID = r.peID()
}

func (m *Deregistration) String() string {
	return fmt.Sprintf("%v pool %q, PE %v", asapDeregistration, m.Handle, m.ID)
}

// RegistrationResponse is ASAP_REGISTRATION_RESPONSE (RFC 5352 section 2.2.3).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x03 |0|0|0|0|0|0|0|R|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                    PE Identifier Parameter                    :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Operational Error (optional)                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type RegistrationResponse struct {
	Reject bool
	Handle protocol.PoolHandle
	ID     protocol.PEID
	Causes []ErrorCause
}

func (m *RegistrationResponse) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapRegistrationResponse), flagIf(m.Reject))
	w.poolHandle(m.Handle)
	w.peID(m.ID)
	w.optionalError(m.Causes)
	return w.message()
}

func (m *RegistrationResponse) decode(flags uint8, r *reader) {
	m.Reject = flags&firstFlag != 0
	m.Handle = r.poolHandle()
	m.ID = r.peID()
	m.Causes = r.causes()
}

func (m *RegistrationResponse) String() string {
	return fmt.Sprintf("%v%v pool %q, PE %v%v", asapRegistrationResponse, flagText(m.Reject, "reject"), m.Handle, m.ID, causesText(m.Causes))
}

// DeregistrationResponse is ASAP_DEREGISTRATION_RESPONSE (RFC 5352 section 2.2.4).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x04 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                    PE Identifier Parameter                    :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Operational Error (optional)                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type DeregistrationResponse struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
	Causes []ErrorCause
}

func (m *DeregistrationResponse) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapDeregistrationResponse), 0)
	w.poolHandle(m.Handle)
	w.peID(m.ID)
	w.optionalError(m.Causes)
	return w.message()
}

func (m *DeregistrationResponse) decode(_ uint8, r *reader) {
	m.Handle = r.poolHandle()
	m.ID = r.peID()
	m.Causes = r.causes()
}

func (m *DeregistrationResponse) String() string {
	return fmt.Sprintf("%v pool %q, PE %v%v", asapDeregistrationResponse, m.Handle, m.ID, causesText(m.Causes))
}

// AllItems asks a HandleResolution for as many PEs as the registrar gives.
const AllItems = 0xffffffff

// HandleResolution is ASAP_HANDLE_RESOLUTION (RFC 5352 section 2.2.5).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x05 |0|0|0|0|0|0|0|S|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:               Items, 0x803f (optional, RSPLIB's)              :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type HandleResolution struct {
	Subscribe bool
	Handle    protocol.PoolHandle
	Items     uint32 // RSPLIB's parameter 0x803f; 0: absent, the registrar's own number
}

func (m *HandleResolution) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapHandleResolution), flagIf(m.Subscribe))
	w.poolHandle(m.Handle)
	if m.Items != 0 {
		start := w.open(paramItems | actionSkip)
		w.uint32(m.Items)
		w.close(start)
	}
	return w.message()
}

func (m *HandleResolution) decode(flags uint8, r *reader) {
	*m = HandleResolution{Subscribe: flags&firstFlag != 0, Handle: r.poolHandle()}
	if p, ok := r.next(itemsTypes); ok {
		m.Items = r.number(p)
	}
}

func (m *HandleResolution) String() string {
	s := fmt.Sprintf("%v%v pool %q", asapHandleResolution, flagText(m.Subscribe, "subscribe"), m.Handle)
	switch m.Items {
	case 0:
		return s
	case AllItems:
		return s + ", all items"
	}
	return fmt.Sprintf("%s, %d items", s, m.Items)
}

// HandleResolutionResponse is ASAP_HANDLE_RESOLUTION_RESPONSE (RFC 5352 section 2.2.6).
// It is positive with elements, negative with causes. RSPLIB's clients want the policy
// in each positive one, round robin too. Elements that do not fit in MaxMessage
// are left out.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x06 |0|0|0|0|0|0|0|A|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:             Overall PE Selection Policy (optional)            :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:            Pool Element Parameters 1..N (optional)            :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Operational Error (optional)                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type HandleResolutionResponse struct {
	AcceptUpdates bool
	Handle        protocol.PoolHandle
	Policy        protocol.Policy // Type 0: absent
	Elements      []protocol.PoolElement
	Causes        []ErrorCause
}

func (m *HandleResolutionResponse) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapHandleResolutionResponse), flagIf(m.AcceptUpdates))
	w.poolHandle(m.Handle)
	w.optionalPolicy(m.Policy)
	w.elements(m.Elements)
	w.optionalError(m.Causes)
	return w.message()
}

// AppendResolution appends a positive HandleResolutionResponse of elements that
// AppendElement wrote. Those that do not fit in MaxMessage are left out.
func AppendResolution(b []byte, handle protocol.PoolHandle, policy protocol.Policy, elements [][]byte) []byte {
	w := newMessage(b, uint8(asapHandleResolutionResponse), 0)
	w.poolHandle(handle)
	w.policy(policy)
	for _, e := range elements {
		mark := len(w.b)
		w.b = append(w.b, e...)
		if w.takeBack(mark) {
			break
		}
	}
	return w.message()
}

func (m *HandleResolutionResponse) decode(flags uint8, r *reader) {
	m.AcceptUpdates = flags&firstFlag != 0
	m.Handle = r.poolHandle()
	m.Policy = r.optionalPolicy()
	m.Elements = r.elements((*reader).element)
	m.Causes = r.causes()
	// "At least one PE parameter MUST be present" in a positive response.
	if m.Elements == nil && m.Causes == nil {
		r.need(elementTypes, "pool element")
	}
}

func (m *HandleResolutionResponse) String() string {
	return fmt.Sprintf("%v%v pool %q%v%v%v", asapHandleResolutionResponse, flagText(m.AcceptUpdates, "accept-updates"),
		m.Handle, policyText(m.Policy), elementsText(m.Elements), causesText(m.Causes))
}

// EndpointKeepAlive is ASAP_ENDPOINT_KEEP_ALIVE (RFC 5352 section 2.2.7).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x07 |0|0|0|0|0|0|0|H|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Server Identifier                       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:          PE Identifier Parameter (optional, RSPLIB's)         :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type EndpointKeepAlive struct {
	Home      bool
	Registrar protocol.RegistrarID
	Handle    protocol.PoolHandle
	ID        protocol.PEID // RSPLIB's extension; 0: absent
}

func (m *EndpointKeepAlive) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapEndpointKeepAlive), flagIf(m.Home))
	w.uint32(uint32(m.Registrar))
	w.poolHandle(m.Handle)
	if m.ID != 0 {
		w.peID(m.ID)
	}
	return w.message()
}

func (m *EndpointKeepAlive) decode(flags uint8, r *reader) {
	*m = EndpointKeepAlive{Home: flags&firstFlag != 0}
	m.Registrar = protocol.RegistrarID(r.uint32())
	m.Handle = r.poolHandle()
	if p, ok := r.next(peIDTypes); ok {
		m.ID = protocol.PEID(r.number(p))
	}
}

func (m *EndpointKeepAlive) String() string {
	s := fmt.Sprintf("%v%v registrar %v, pool %q", asapEndpointKeepAlive, flagText(m.Home, "home"), m.Registrar, m.Handle)
	if m.ID != 0 {
		s += fmt.Sprintf(", PE %v", m.ID)
	}
	return s
}

// EndpointKeepAliveAck is ASAP_ENDPOINT_KEEP_ALIVE_ACK (RFC 5352 section 2.2.8).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x08 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                    PE Identifier Parameter                    :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type EndpointKeepAliveAck struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

func (m *EndpointKeepAliveAck) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapEndpointKeepAliveAck), 0)
	w.poolHandle(m.Handle)
	w.peID(m.ID)
	return w.message()
}

func (m *EndpointKeepAliveAck) decode(_ uint8, r *reader) {
	m.Handle = r.poolHandle()
	m.ID = r.peID()
}

func (m *EndpointKeepAliveAck) String() string {
	return fmt.Sprintf("%v pool %q, PE %v", asapEndpointKeepAliveAck, m.Handle, m.ID)
}

// EndpointUnreachable is ASAP_ENDPOINT_UNREACHABLE (RFC 5352 section 2.2.9).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x09 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                    PE Identifier Parameter                    :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type EndpointUnreachable struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

func (m *EndpointUnreachable) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapEndpointUnreachable), 0)
	w.poolHandle(m.Handle)
	w.peID(m.ID)
	return w.message()
}

func (m *EndpointUnreachable) decode(_ uint8, r *reader) {
	m.Handle = r.poolHandle()
	m.ID = r.peID()
}

func (m *EndpointUnreachable) String() string {
	return fmt.Sprintf("%v pool %q, PE %v", asapEndpointUnreachable, m.Handle, m.ID)
}

// ServerAnnounce is ASAP_SERVER_ANNOUNCE (RFC 5352 section 2.2.10). RSPLIB sends it
// without transports: the receiver takes the datagram's source address and port.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0a |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Server Identifier                       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                Transport Params 1..n (optional)               :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ServerAnnounce struct {
	Registrar  protocol.RegistrarID
	Transports []protocol.TransportAddr
}

func (m *ServerAnnounce) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapServerAnnounce), 0)
	w.uint32(uint32(m.Registrar))
	for i := range m.Transports {
		mark := len(w.b)
		w.transport(&m.Transports[i])
		if w.takeBack(mark) {
			break
		}
	}
	return w.message()
}

func (m *ServerAnnounce) decode(_ uint8, r *reader) {
	*m = ServerAnnounce{Registrar: protocol.RegistrarID(r.uint32())}
	for p, ok := r.next(transportTypes); ok; p, ok = r.next(transportTypes) {
		r.d.transports = append(r.d.transports, protocol.TransportAddr{})
		r.transport(p, &r.d.transports[len(r.d.transports)-1])
	}
	if len(r.d.transports) > 0 {
		m.Transports = r.d.transports
	}
}

func (m *ServerAnnounce) String() string {
	s := fmt.Sprintf("%v registrar %v", asapServerAnnounce, m.Registrar)
	for _, t := range m.Transports {
		s += fmt.Sprintf(", %v", t)
	}
	return s
}
