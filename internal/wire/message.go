// Package wire turns the messages of ASAP (RFC 5352) and ENRP (RFC 5353) with their
// parameters (RFC 5354) into bytes and back. It sends what RSPLIB accepts and accepts both
// RSPLIB's form and the RFCs'.
package wire

import (
	"github.com/rserpool/rsp/internal/protocol"
)

// Message is any ASAP or ENRP message. AppendTo allocates nothing if b has room;
// String is one line.
type Message interface {
	AppendTo(b []byte) []byte
	String() string
}

// ErrorCause is one cause of an Operation Error parameter (RFC 5354 section
// 3.12).
type ErrorCause struct {
	Code protocol.Cause
	Data []byte
}
