package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// ErrUnknownMessage is matched by the error about a message whose type is not
// known.
var ErrUnknownMessage = errors.New("unknown message type")

// ParseError is why a message was not decoded. It says what to report to its
// sender, if anything.
type ParseError struct {
	Message string         // the message's name
	Offset  int            // where in the message
	What    string         // what is wrong there
	Cause   protocol.Cause // for the Operation Error to send back
	Data    []byte         // the cause's data: the offending TLV, nil if none can be blamed; a part of the message
	Silent  bool           // discard the message, send nothing back
	Err     error          // the error below, or nil
}

func (e *ParseError) Error() string {
	s := fmt.Sprintf("%s at byte %d: %s (%v)", e.Message, e.Offset, e.What, e.Cause)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ParseError) Unwrap() error { return e.Err }

// fail records why the message cannot be decoded, unless that is known already.
func (d *Decoder) fail(cause protocol.Cause, pos int, what string) {
	if d.err == nil {
		d.err = &ParseError{Message: d.name, Offset: pos, What: "message " + what, Cause: cause}
	}
}

// failParam is fail for a parameter that is to blame.
func (d *Decoder) failParam(cause protocol.Cause, p param, what string) {
	if d.err == nil {
		what = fmt.Sprintf("parameter 0x%04x %s", binary.BigEndian.Uint16(p.tlv), what)
		d.err = &ParseError{Message: d.name, Offset: p.pos, What: what, Cause: cause, Data: p.tlv}
	}
}
