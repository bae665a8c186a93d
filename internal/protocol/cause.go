package protocol

import "fmt"

// Cause is the code of an error cause (RFC 5354 section 3.12 and RSPLIB's own).
// It is not an error: whether it was sent or received makes the error.
type Cause uint16

const (
	CauseUnspecified               Cause = 0x0000
	CauseUnrecognizedParameter     Cause = 0x0001
	CauseUnrecognizedMessage       Cause = 0x0002
	CauseInvalidValues             Cause = 0x0003
	CauseNonUniquePEID             Cause = 0x0004
	CauseInconsistentPolicy        Cause = 0x0005
	CauseLackOfResources           Cause = 0x0006
	CauseInconsistentTransport     Cause = 0x0007
	CauseInconsistentDataControl   Cause = 0x0008
	CauseUnknownPoolHandle         Cause = 0x0009
	CauseSecurity                  Cause = 0x000a
	CauseInvalidMessage            Cause = 0x0010 // RSPLIB: structure or length of the message
	CauseInvalidValue              Cause = 0x0011 // RSPLIB: a parameter's value
	CauseWrongTransportProtocol    Cause = 0x100a // RSPLIB: not the pool's transport protocol
	CauseUnsupportedPolicy         Cause = 0x100b // RSPLIB: policy type it does not know
	CauseInvalidID                 Cause = 0xf000 // RSPLIB: PE identifier 0
	CauseInvalidPolicy             Cause = 0xf003 // RSPLIB
	CauseInvalidPoolHandle         Cause = 0xf004 // RSPLIB
	CauseInvalidAddresses          Cause = 0xf005 // RSPLIB: port 0 or no address
	CauseInvalidRegistrarTransport Cause = 0xf006 // RSPLIB: ASAP transport missing or unusable
	CauseNoUsableASAPAddresses     Cause = 0xf007 // RSPLIB: none is left after the filter
	CauseNoUsableUserAddresses     Cause = 0xf008 // RSPLIB: none is left after the filter
)

var causeNames = map[Cause]string{
	CauseUnspecified:               "unspecified error",
	CauseUnrecognizedParameter:     "unrecognized parameter",
	CauseUnrecognizedMessage:       "unrecognized message",
	CauseInvalidValues:             "invalid values",
	CauseNonUniquePEID:             "non-unique PE identifier",
	CauseInconsistentPolicy:        "inconsistent pooling policy",
	CauseLackOfResources:           "lack of resources",
	CauseInconsistentTransport:     "inconsistent transport type",
	CauseInconsistentDataControl:   "inconsistent data/control configuration",
	CauseUnknownPoolHandle:         "unknown pool handle",
	CauseSecurity:                  "rejected for security",
	CauseInvalidMessage:            "invalid message",
	CauseInvalidValue:              "invalid parameter value",
	CauseWrongTransportProtocol:    "wrong transport protocol for the pool",
	CauseUnsupportedPolicy:         "unsupported policy type",
	CauseInvalidID:                 "invalid identifier",
	CauseInvalidPolicy:             "invalid pool policy",
	CauseInvalidPoolHandle:         "invalid pool handle",
	CauseInvalidAddresses:          "invalid addresses",
	CauseInvalidRegistrarTransport: "invalid ASAP transport",
	CauseNoUsableASAPAddresses:     "no usable ASAP addresses",
	CauseNoUsableUserAddresses:     "no usable user addresses",
}

func (c Cause) String() string {
	if name, ok := causeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("cause 0x%04x", uint16(c))
}
