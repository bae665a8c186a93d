package protocol

import "testing"

// RFC 5354 section 3.12 lists causes 0x0 to 0xa; RSPLIB has the others.
func TestCause(t *testing.T) {
	tests := []struct {
		cause Cause
		value uint16
		name  string
	}{
		{CauseUnspecified, 0x0, "unspecified error"},
		{CauseUnrecognizedParameter, 0x1, "unrecognized parameter"},
		{CauseUnrecognizedMessage, 0x2, "unrecognized message"},
		{CauseInvalidValues, 0x3, "invalid values"},
		{CauseNonUniquePEID, 0x4, "non-unique PE identifier"},
		{CauseInconsistentPolicy, 0x5, "inconsistent pooling policy"},
		{CauseLackOfResources, 0x6, "lack of resources"},
		{CauseInconsistentTransport, 0x7, "inconsistent transport type"},
		{CauseInconsistentDataControl, 0x8, "inconsistent data/control configuration"},
		{CauseUnknownPoolHandle, 0x9, "unknown pool handle"},
		{CauseSecurity, 0xa, "rejected for security"},
		{CauseInvalidMessage, 0x10, "invalid message"},
		{CauseInvalidValue, 0x11, "invalid parameter value"},
		{CauseWrongTransportProtocol, 0x100a, "wrong transport protocol for the pool"},
		{CauseUnsupportedPolicy, 0x100b, "unsupported policy type"},
		{CauseInvalidID, 0xf000, "invalid identifier"},
		{CauseInvalidPolicy, 0xf003, "invalid pool policy"},
		{CauseInvalidPoolHandle, 0xf004, "invalid pool handle"},
		{CauseInvalidAddresses, 0xf005, "invalid addresses"},
		{CauseInvalidRegistrarTransport, 0xf006, "invalid ASAP transport"},
		{CauseNoUsableASAPAddresses, 0xf007, "no usable ASAP addresses"},
		{CauseNoUsableUserAddresses, 0xf008, "no usable user addresses"},
		{0xabcd, 0xabcd, "cause 0xabcd"},
	}
	for _, tt := range tests {
		if uint16(tt.cause) != tt.value || tt.cause.String() != tt.name {
			t.Errorf("%q has the value %#x, want %q, %#x", tt.cause, uint16(tt.cause), tt.name, tt.value)
		}
	}
	if got, want := len(causeNames), len(tests)-1; got != want {
		t.Errorf("%d causes have a name, %d are tested", got, want)
	}
}
