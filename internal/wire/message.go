// Package wire turns the messages of ASAP (RFC 5352) and ENRP (RFC 5353) with their
// parameters (RFC 5354) into bytes and back. It sends what RSPLIB accepts and accepts both
// RSPLIB's form and the RFCs'.
package wire

import "github.com/rserpool/rsp/internal/protocol"

// Message is any ASAP or ENRP message. AppendTo appends its bytes to b, allocates
// nothing if b has room, and panics if a cookie is longer than MaxCookie. String is one
// line, for traces and failing tests.
type Message interface {
	AppendTo(b []byte) []byte
	String() string
}

// ErrorCause is one cause of an Operation Error parameter (RFC 5354 section
// 3.12). What Data holds depends on the code; it is left out of a message that it does
// not fit in.
type ErrorCause struct {
	Code protocol.Cause
	Data []byte
}
