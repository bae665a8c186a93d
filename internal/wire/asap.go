package wire

import "github.com/rserpool/rsp/internal/protocol"

// Registration is ASAP_REGISTRATION (RFC 5352 section 2.2.1).
type Registration struct {
	Handle  protocol.PoolHandle
	Element protocol.PoolElement
}

// Deregistration is ASAP_DEREGISTRATION (RFC 5352 section 2.2.2).
type Deregistration struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

// RegistrationResponse is ASAP_REGISTRATION_RESPONSE (RFC 5352 section 2.2.3).
type RegistrationResponse struct {
	Reject bool
	Handle protocol.PoolHandle
	ID     protocol.PEID
	Causes []ErrorCause
}

// DeregistrationResponse is ASAP_DEREGISTRATION_RESPONSE (RFC 5352 section 2.2.4).
type DeregistrationResponse struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
	Causes []ErrorCause
}

// AllItems asks a HandleResolution for as many PEs as the registrar gives.
const AllItems = 0xffffffff

// HandleResolution is ASAP_HANDLE_RESOLUTION (RFC 5352 section 2.2.5).
type HandleResolution struct {
	Subscribe bool
	Handle    protocol.PoolHandle
	Items     uint32 // RSPLIB's parameter 0x803f; 0: absent, the registrar's own number
}

// HandleResolutionResponse is ASAP_HANDLE_RESOLUTION_RESPONSE (RFC 5352 section 2.2.6).
type HandleResolutionResponse struct {
	AcceptUpdates bool
	Handle        protocol.PoolHandle
	Policy        protocol.Policy // Type 0: absent
	Elements      []protocol.PoolElement
	Causes        []ErrorCause
}

// EndpointKeepAlive is ASAP_ENDPOINT_KEEP_ALIVE (RFC 5352 section 2.2.7).
type EndpointKeepAlive struct {
	Home      bool
	Registrar protocol.RegistrarID
	Handle    protocol.PoolHandle
	ID        protocol.PEID // RSPLIB's extension; 0: absent
}

// EndpointKeepAliveAck is ASAP_ENDPOINT_KEEP_ALIVE_ACK (RFC 5352 section 2.2.8).
type EndpointKeepAliveAck struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

// EndpointUnreachable is ASAP_ENDPOINT_UNREACHABLE (RFC 5352 section 2.2.9).
type EndpointUnreachable struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

// ServerAnnounce is ASAP_SERVER_ANNOUNCE (RFC 5352 section 2.2.10).
type ServerAnnounce struct {
	Registrar  protocol.RegistrarID
	Transports []protocol.TransportAddr
}

// Cookie is ASAP_COOKIE (RFC 5352 section 2.2.11).
type Cookie struct{ Cookie []byte }

// CookieEcho is ASAP_COOKIE_ECHO (RFC 5352 section 2.2.12).
type CookieEcho struct{ Cookie []byte }

// BusinessCard is ASAP_BUSINESS_CARD (RFC 5352 section 2.2.13).
type BusinessCard struct {
	Handle   protocol.PoolHandle
	Policy   protocol.Policy
	Elements []protocol.PoolElement
}

// ASAPError is ASAP_ERROR (RFC 5352 section 2.2.14).
type ASAPError struct{ Causes []ErrorCause }
