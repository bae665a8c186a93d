package wire

import "fmt"

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

// firstFlag is the bit of the only flag that most messages have.
const firstFlag = 0x01

func flagIf(on bool) uint8 {
	if on {
		return firstFlag
	}
	return 0
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
