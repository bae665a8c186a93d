package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/rserpool/rsp/internal/protocol"
)

// Decoder turns bytes into messages. Its zero value is ready. It reuses its memory:
// a message that it returned, and every slice in it, is valid until the next call;
// cookies and the data of causes are parts of the bytes that were decoded. Pool
// handles are strings and stay valid. A Decoder is not for concurrent use.
type Decoder struct {
	message      []byte
	name         string
	err          *ParseError
	unrecognized [][]byte
	body         reader
	strings      interned

	// What the slices of the last message are cut from.
	addrs      []netip.Addr
	transports []protocol.TransportAddr
	elements   []protocol.PoolElement
	entries    []PoolEntry
	servers    []ServerInformation
	causes     []ErrorCause

	asap asapMessages
	enrp enrpMessages
}

// decodable is a message that reads itself from its flags and its body, setting
// every field. A failure is in the reader's Decoder.
type decodable interface {
	Message
	decode(flags uint8, r *reader)
}

// ASAP decodes a message of PPID 11 or of the ASAP announce group. The error is a
// *ParseError.
func (d *Decoder) ASAP(b []byte) (Message, error) {
	if len(b) == 0 {
		return d.decode(b, nil, "ASAP message")
	}
	return d.decode(b, d.asap.ofType(asapType(b[0])), asapType(b[0]).String())
}

// ENRP decodes a message of PPID 12 or of the ENRP presence group. The error is a
// *ParseError.
func (d *Decoder) ENRP(b []byte) (Message, error) {
	if len(b) == 0 {
		return d.decode(b, nil, "ENRP message")
	}
	return d.decode(b, d.enrp.ofType(enrpType(b[0])), enrpType(b[0]).String())
}

// Unrecognized returns the parameters of the last message that were skipped, but
// ask to be reported (RFC 5354 section 3, action 11). They are parts of the message.
func (d *Decoder) Unrecognized() [][]byte { return d.unrecognized }

// decode reads b into m, which is nil if the type of b is unknown.
func (d *Decoder) decode(b []byte, m decodable, name string) (Message, error) {
	d.reset(b, name)
	length := d.header()
	if d.err == nil && m == nil {
		d.failUnknown()
	}
	if d.err != nil {
		return nil, d.err
	}
	d.body = reader{d: d, pos: 4, end: length}
	m.decode(b[1], &d.body)
	d.body.close()
	if d.err != nil {
		return nil, d.err
	}
	return m, nil
}

func (d *Decoder) reset(b []byte, name string) {
	d.message, d.name, d.err = b, name, nil
	d.unrecognized = d.unrecognized[:0]
	d.addrs = d.addrs[:0]
	d.transports = d.transports[:0]
	d.elements = d.elements[:0]
	d.entries = d.entries[:0]
	d.servers = d.servers[:0]
	d.causes = d.causes[:0]
}

// header checks the message's header and returns its Length. RFC 5354 section 4 does
// not count the last padding there, RSPLIB does; either way the bytes are there.
func (d *Decoder) header() int {
	if len(d.message) < 4 {
		d.fail(protocol.CauseInvalidMessage, 0, "ends within its header")
		return 0
	}
	length := int(binary.BigEndian.Uint16(d.message[2:]))
	switch size := len(d.message); {
	case length < 4:
		d.fail(protocol.CauseInvalidMessage, 2, "has a length below its header's")
	case length > MaxMessage:
		d.fail(protocol.CauseInvalidMessage, 2, "cannot be padded to 4 bytes")
	case size < length:
		d.fail(protocol.CauseInvalidMessage, 2, fmt.Sprintf("has %d bytes of %d", size, length))
	case size < pad4(length):
		d.fail(protocol.CauseInvalidValues, 2, "lacks its last padding")
	case size > pad4(length):
		d.fail(protocol.CauseInvalidMessage, 2, fmt.Sprintf("of %d bytes has %d behind it", length, size-length))
	}
	return length
}

// failUnknown says what becomes of a message of unknown type: with the two highest
// bits 01 it is reported, else discarded (RFC 5354 section 4; 10 and 11 are
// reserved).
func (d *Decoder) failUnknown() {
	d.fail(protocol.CauseUnrecognizedMessage, 0, fmt.Sprintf("has type 0x%02x", d.message[0]))
	d.err.Data = d.message
	d.err.Silent = d.message[0]>>6 != 1
	d.err.Err = ErrUnknownMessage
}

// interned keeps the strings that were met lately, so that decoding the same pool
// handles again allocates nothing. Two strings that share a place take turns.
type interned [256]string

func (t *interned) get(b []byte) string {
	h := uint32(2166136261) // FNV-1a
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	s := &t[h%uint32(len(t))]
	if *s != string(b) {
		*s = string(b)
	}
	return *s
}
