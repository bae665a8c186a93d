package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// MaxMessage is the size of the largest message: its Length field has 16 bits,
// and it ends with its last parameter's padding.
const MaxMessage = 0xffff &^ 3

// paramType is the type of a parameter: 14 bits of number, and above them what a
// receiver does that does not know it (RFC 5354 section 3).
type paramType uint16

const (
	paramIPv4            paramType = 0x0001
	paramIPv6            paramType = 0x0002
	paramDCCP                      = paramType(protocol.DCCP)
	paramSCTP                      = paramType(protocol.SCTP)
	paramTCP                       = paramType(protocol.TCP)
	paramUDP                       = paramType(protocol.UDP)
	paramUDPLite                   = paramType(protocol.UDPLite)
	paramPolicy          paramType = 0x0008
	paramPoolHandle      paramType = 0x0009
	paramPoolElement     paramType = 0x000a
	paramServerInfo      paramType = 0x000b
	paramOperationError  paramType = 0x000c
	paramCookie          paramType = 0x000d
	paramPEIdentifier    paramType = 0x000e
	paramPEChecksum      paramType = 0x000f
	paramOpaqueTransport           = paramType(protocol.OpaqueTransport)
	// paramItems is RSPLIB's own: how many PEs a handle resolution asks for. It is
	// sent with the action bits 10, so that other registrars skip it.
	paramItems paramType = 0x003f
	// paramOwner is our own: whose certificate a PE was registered with. It is sent likewise.
	paramOwner paramType = 0x003e
)

const (
	actionMask   paramType = 0xc000
	actionStop   paramType = 0x0000 // discard the message
	actionReport paramType = 0x4000 // discard the message and report the parameter
	actionSkip   paramType = 0x8000
	// 0xc000: skip and report.
)

// typeSet is a set of parameter numbers; all of ours are below 64.
type typeSet uint64

func setOf(types ...paramType) typeSet {
	var s typeSet
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

func (s typeSet) has(t paramType) bool { return t < 64 && s&(1<<t) != 0 }

var (
	addressTypes   = setOf(paramIPv4, paramIPv6)
	transportTypes = setOf(paramDCCP, paramSCTP, paramTCP, paramUDP, paramUDPLite, paramOpaqueTransport)
	policyTypes    = setOf(paramPolicy)
	handleTypes    = setOf(paramPoolHandle)
	elementTypes   = setOf(paramPoolElement)
	serverTypes    = setOf(paramServerInfo)
	errorTypes     = setOf(paramOperationError)
	cookieTypes    = setOf(paramCookie)
	peIDTypes      = setOf(paramPEIdentifier)
	checksumTypes  = setOf(paramPEChecksum)
	itemsTypes     = setOf(paramItems)
	ownerTypes     = setOf(paramOwner)

	// standardTypes are those of RFC 5354 section 3, table 1.
	standardTypes = addressTypes | transportTypes | policyTypes | handleTypes | elementTypes |
		serverTypes | errorTypes | cookieTypes | peIDTypes | checksumTypes
)

// pad4 rounds n up to the 4 bytes on which parameters and messages end.
func pad4(n int) int { return (n + 3) &^ 3 }

// param is one parameter of the message under the Decoder's eyes.
type param struct {
	number paramType // without the action bits
	tlv    []byte    // header and value, without padding
	pos    int       // where tlv starts in the message
}

func (p param) value() []byte { return p.tlv[4:] }

// reader walks over the bytes [pos, end) of the Decoder's message: the message's body
// or the value of a parameter. After a failure it reads nothing but zeros; the
// failure is in the Decoder.
type reader struct {
	d        *Decoder
	pos, end int
}

// inside returns a reader for p's value, which must have n bytes at least.
func (r *reader) inside(p param, n int) reader {
	if len(p.value()) < n {
		r.d.failParam(protocol.CauseInvalidValues, p, "is too short")
	}
	return reader{d: r.d, pos: p.pos + 4, end: p.pos + len(p.tlv)}
}

// fixed returns the next n bytes, which are a field and not a parameter. It returns
// nil after a failure.
func (r *reader) fixed(n int) []byte {
	if r.d.err != nil {
		return nil
	}
	if r.end-r.pos < n {
		r.d.fail(protocol.CauseInvalidMessage, r.pos, "is too short")
		return nil
	}
	r.pos += n
	return r.d.message[r.pos-n : r.pos]
}

func (r *reader) uint16() uint16 {
	if b := r.fixed(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.fixed(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// next returns the next parameter if it is one of want. Parameters before it
// that nobody knows are dealt with here, and only here, as their action bits ask
// (RFC 5354 section 3). A standard parameter that is not one of want stays where it is:
// it may be the next one's turn. The action bits of a wanted parameter do not
// matter, because they speak to those who do not know it.
func (r *reader) next(want typeSet) (param, bool) {
	for r.d.err == nil && r.pos < r.end {
		p, typ, ok := r.peek()
		if !ok {
			return param{}, false
		}
		wanted := want.has(p.number)
		if !wanted && standardTypes.has(typ) {
			return param{}, false
		}
		// The last padding need not be counted by what is around the parameter.
		r.pos = min(r.pos+pad4(len(p.tlv)), r.end)
		if wanted {
			return p, true
		}
		r.d.unknownParam(p, typ&actionMask)
	}
	return param{}, false
}

// peek checks the header of the parameter at r.pos.
func (r *reader) peek() (p param, typ paramType, ok bool) {
	rest := r.d.message[r.pos:r.end]
	if len(rest) < 4 {
		r.d.fail(protocol.CauseInvalidMessage, r.pos, "ends within a parameter's header")
		return param{}, 0, false
	}
	typ = paramType(binary.BigEndian.Uint16(rest))
	length := int(binary.BigEndian.Uint16(rest[2:]))
	switch {
	case length < 4:
		r.d.fail(protocol.CauseInvalidValues, r.pos, "has a parameter without header")
		return param{}, 0, false
	case length > len(rest):
		r.d.fail(protocol.CauseInvalidValue, r.pos, "has a parameter that ends behind it")
		return param{}, 0, false
	}
	return param{number: typ &^ actionMask, tlv: rest[:length:length], pos: r.pos}, typ, true
}

// unknownParam does what a parameter's action bits ask (RFC 5354 section 3).
func (d *Decoder) unknownParam(p param, action paramType) {
	switch action {
	case actionStop:
		d.failParam(protocol.CauseUnrecognizedParameter, p, "is unknown")
		d.err.Silent = true
	case actionReport:
		d.failParam(protocol.CauseUnrecognizedParameter, p, "is unknown")
	case actionSkip:
	default:
		d.unrecognized = append(d.unrecognized, p.tlv)
	}
}

// need returns the next parameter, which must be one of want.
func (r *reader) need(want typeSet, what string) (param, bool) {
	p, ok := r.next(want)
	if !ok && r.d.err == nil {
		r.d.fail(protocol.CauseInvalidMessage, r.pos, "lacks its "+what)
	}
	return p, ok
}

// close checks that nothing is left but parameters that may be skipped.
func (r *reader) close() {
	r.next(0)
	if r.d.err == nil && r.pos < r.end {
		r.d.fail(protocol.CauseInvalidMessage, r.pos, "has a parameter too many")
	}
}

// writer appends one message or parameter to b.
type writer struct {
	b     []byte
	start int // of the message
}

func newMessage(b []byte, typ, flags uint8) writer {
	return writer{b: append(b, typ, flags, 0, 0), start: len(b)}
}

// message ends the message and returns it behind what was there before. Its
// Length counts the last padding, as RSPLIB's does, against RFC 5354 section 4.
func (w *writer) message() []byte {
	w.setLength(w.start)
	return w.b
}

func (w *writer) uint16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) uint32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

// open starts a parameter and returns where; close ends it.
func (w *writer) open(t paramType) (start int) {
	start = len(w.b)
	w.uint16(uint16(t))
	w.uint16(0)
	return start
}

// close sets the length of the parameter that starts at start, and pads it.
func (w *writer) close(start int) {
	w.setLength(start)
	w.pad(start)
}

// pad appends zeros until what starts at start ends on 4 bytes.
func (w *writer) pad(start int) {
	for n := (len(w.b) - start) & 3; n != 0 && n < 4; n++ {
		w.b = append(w.b, 0)
	}
}

// setLength fills in bytes 2 and 3 of a message or parameter. Lists stop where a
// message is full, so what is too long is a cookie over MaxCookie or opaque data of
// our own making, never something from the network.
func (w *writer) setLength(start int) {
	n := len(w.b) - start
	if n > MaxMessage+3 {
		panic(fmt.Sprintf("wire: %d bytes do not fit in a message", n))
	}
	binary.BigEndian.PutUint16(w.b[start+2:], uint16(n))
}

// takeBack drops what was written since mark, the last entry of a list, if the
// message has become too long by it, and reports whether it did.
func (w *writer) takeBack(mark int) bool {
	if len(w.b)-w.start <= MaxMessage {
		return false
	}
	w.b = w.b[:mark]
	return true
}
