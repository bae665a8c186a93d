package wire

import (
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// asapType is the type of an ASAP message (RFC 5352 section 2.2).
type asapType uint8

const (
	asapRegistration             asapType = 0x01
	asapDeregistration           asapType = 0x02
	asapRegistrationResponse     asapType = 0x03
	asapDeregistrationResponse   asapType = 0x04
	asapHandleResolution         asapType = 0x05
	asapHandleResolutionResponse asapType = 0x06
	asapEndpointKeepAlive        asapType = 0x07
	asapEndpointKeepAliveAck     asapType = 0x08
	asapEndpointUnreachable      asapType = 0x09
	asapServerAnnounce           asapType = 0x0a
	asapCookie                   asapType = 0x0b
	asapCookieEcho               asapType = 0x0c
	asapBusinessCard             asapType = 0x0d
	asapError                    asapType = 0x0e
)

var asapNames = [...]string{
	asapRegistration:             "ASAP_REGISTRATION",
	asapDeregistration:           "ASAP_DEREGISTRATION",
	asapRegistrationResponse:     "ASAP_REGISTRATION_RESPONSE",
	asapDeregistrationResponse:   "ASAP_DEREGISTRATION_RESPONSE",
	asapHandleResolution:         "ASAP_HANDLE_RESOLUTION",
	asapHandleResolutionResponse: "ASAP_HANDLE_RESOLUTION_RESPONSE",
	asapEndpointKeepAlive:        "ASAP_ENDPOINT_KEEP_ALIVE",
	asapEndpointKeepAliveAck:     "ASAP_ENDPOINT_KEEP_ALIVE_ACK",
	asapEndpointUnreachable:      "ASAP_ENDPOINT_UNREACHABLE",
	asapServerAnnounce:           "ASAP_SERVER_ANNOUNCE",
	asapCookie:                   "ASAP_COOKIE",
	asapCookieEcho:               "ASAP_COOKIE_ECHO",
	asapBusinessCard:             "ASAP_BUSINESS_CARD",
	asapError:                    "ASAP_ERROR",
}

func (t asapType) String() string {
	if int(t) < len(asapNames) && asapNames[t] != "" {
		return asapNames[t]
	}
	return "ASAP message of unknown type"
}

// asapMessages holds the message of each type that a Decoder returns.
type asapMessages struct {
	registration             Registration
	deregistration           Deregistration
	registrationResponse     RegistrationResponse
	deregistrationResponse   DeregistrationResponse
	handleResolution         HandleResolution
	handleResolutionResponse HandleResolutionResponse
	endpointKeepAlive        EndpointKeepAlive
	endpointKeepAliveAck     EndpointKeepAliveAck
	endpointUnreachable      EndpointUnreachable
	serverAnnounce           ServerAnnounce
	cookie                   Cookie
	cookieEcho               CookieEcho
	businessCard             BusinessCard
	asapError                ASAPError
}

// ofType returns the message of type t, nil if there is no such type.
func (m *asapMessages) ofType(t asapType) decodable {
	switch t {
	case asapRegistration:
		return &m.registration
	case asapDeregistration:
		return &m.deregistration
	case asapRegistrationResponse:
		return &m.registrationResponse
	case asapDeregistrationResponse:
		return &m.deregistrationResponse
	case asapHandleResolution:
		return &m.handleResolution
	case asapHandleResolutionResponse:
		return &m.handleResolutionResponse
	case asapEndpointKeepAlive:
		return &m.endpointKeepAlive
	case asapEndpointKeepAliveAck:
		return &m.endpointKeepAliveAck
	case asapEndpointUnreachable:
		return &m.endpointUnreachable
	case asapServerAnnounce:
		return &m.serverAnnounce
	case asapCookie:
		return &m.cookie
	case asapCookieEcho:
		return &m.cookieEcho
	case asapBusinessCard:
		return &m.businessCard
	case asapError:
		return &m.asapError
	}
	return nil
}

// flag is bit 0, where nearly every message has its only flag.
const flag = 0x01

func flagIf(on bool) uint8 {
	if on {
		return flag
	}
	return 0
}

// Cookie is ASAP_COOKIE (RFC 5352 section 2.2.11): 1 to MaxCookie bytes.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0b |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                        Cookie Parameter                       :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Cookie struct{ Cookie []byte }

func (m *Cookie) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapCookie), 0)
	w.cookie(m.Cookie)
	return w.message()
}

func (m *Cookie) decode(_ uint8, r *reader) { *m = Cookie{r.cookie()} }

func (m *Cookie) String() string { return fmt.Sprintf("%v %s", asapCookie, hexText(m.Cookie)) }

// CookieEcho is ASAP_COOKIE_ECHO (RFC 5352 section 2.2.12): 1 to MaxCookie bytes.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0c |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                        Cookie Parameter                       :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type CookieEcho struct{ Cookie []byte }

func (m *CookieEcho) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapCookieEcho), 0)
	w.cookie(m.Cookie)
	return w.message()
}

func (m *CookieEcho) decode(_ uint8, r *reader) { *m = CookieEcho{r.cookie()} }

func (m *CookieEcho) String() string { return fmt.Sprintf("%v %s", asapCookieEcho, hexText(m.Cookie)) }

// BusinessCard is ASAP_BUSINESS_CARD (RFC 5352 section 2.2.13). RSPLIB writes the policy
// that the RFC does not have there.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0d |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:        Overall PE Selection Policy (optional, RSPLIB's)       :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Pool Element Parameters 1..N                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type BusinessCard struct {
	Handle   protocol.PoolHandle
	Policy   protocol.Policy // Type 0: absent
	Elements []protocol.PoolElement
}

func (m *BusinessCard) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapBusinessCard), 0)
	w.poolHandle(m.Handle)
	w.optionalPolicy(m.Policy)
	w.elements(m.Elements)
	return w.message()
}

func (m *BusinessCard) decode(_ uint8, r *reader) {
	m.Handle = r.poolHandle()
	m.Policy = r.optionalPolicy()
	if m.Elements = r.elements((*reader).element); m.Elements == nil {
		r.need(elementTypes, "pool element")
	}
}

func (m *BusinessCard) String() string {
	return fmt.Sprintf("%v pool %q%v%v", asapBusinessCard, m.Handle, policyText(m.Policy), elementsText(m.Elements))
}

// ASAPError is ASAP_ERROR (RFC 5352 section 2.2.14), of one cause at least. RSPLIB reads
// the first one alone.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0e |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Operational Error Parameter                  :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ASAPError struct{ Causes []ErrorCause }

func (m *ASAPError) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapError), 0)
	w.operationError(m.Causes)
	return w.message()
}

func (m *ASAPError) decode(_ uint8, r *reader) {
	*m = ASAPError{}
	if p, ok := r.need(errorTypes, "operation error"); ok {
		m.Causes = r.operationError(p)
	}
}

func (m *ASAPError) String() string {
	return fmt.Sprintf("%v%v", asapError, causesText(m.Causes))
}
