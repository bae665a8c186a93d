package wire

import (
	"encoding/binary"

	"github.com/rserpool/rsp/internal/protocol"
)

// MaxCookie is what MaxMessage leaves for a cookie.
const MaxCookie = MaxMessage - 8

// Pool Handle parameter (RFC 5354 section 3.9).

func (w *writer) poolHandle(h protocol.PoolHandle) {
	start := w.open(paramPoolHandle)
	w.b = append(w.b, h...)
	w.close(start)
}

func (r *reader) poolHandle() protocol.PoolHandle {
	p, _ := r.need(handleTypes, "pool handle")
	return r.handle(p)
}

func (r *reader) handle(p param) protocol.PoolHandle {
	if r.d.err != nil {
		return ""
	}
	if n := len(p.value()); n == 0 || n > protocol.MaxPoolHandle {
		r.d.failParam(protocol.CauseInvalidValue, p, "has a wrong size")
		r.d.err.Err = protocol.ErrPoolHandle
		return ""
	}
	return protocol.PoolHandle(r.d.strings.get(p.value()))
}

// ServerInformation is a Server Information parameter (RFC 5354 section 3.11).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Type = 0xb            |       Length=variable         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           Server ID                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                       Server Transport                        :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ServerInformation struct {
	ID        protocol.RegistrarID
	Transport protocol.TransportAddr
}

func (w *writer) server(s *ServerInformation) {
	start := w.open(paramServerInfo)
	w.uint32(uint32(s.ID))
	w.transport(&s.Transport)
	w.close(start)
}

func (r *reader) server(p param, s *ServerInformation) {
	*s = ServerInformation{}
	in := r.inside(p, 4)
	s.ID = protocol.RegistrarID(in.uint32())
	if transport, ok := in.need(transportTypes, "server transport"); ok {
		in.transport(transport, &s.Transport)
	}
	in.close()
}

// Operation Error parameter (RFC 5354 section 3.12) of error causes:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           Cause Code          |       Cause Length            |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                    Cause-Specific Information                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

// operationError writes as many of the causes as fit; the first one without its
// data if it must be, as when it quotes a message that has no room around.
func (w *writer) operationError(causes []ErrorCause) {
	start := w.open(paramOperationError)
	for i, c := range causes {
		mark := len(w.b)
		w.pad(start)
		w.cause(c.Code, c.Data)
		if !w.takeBack(mark) {
			continue
		}
		if i == 0 {
			w.cause(c.Code, nil)
		}
		break
	}
	// The last cause's padding is not counted: it comes with the parameter's own.
	w.close(start)
}

func (w *writer) cause(code protocol.Cause, data []byte) {
	start := w.open(paramType(code))
	w.b = append(w.b, data...)
	if len(w.b)-w.start <= MaxMessage {
		w.setLength(start)
	}
}

func (r *reader) operationError(p param) []ErrorCause {
	start := len(r.d.causes)
	in := r.inside(p, 0)
	for in.pos < in.end && r.d.err == nil {
		rest := r.d.message[in.pos:in.end]
		if len(rest) < 4 {
			r.d.failParam(protocol.CauseInvalidValues, p, "ends within a cause")
			break
		}
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if length < 4 || length > len(rest) {
			r.d.failParam(protocol.CauseInvalidValues, p, "has a cause of a wrong length")
			break
		}
		c := ErrorCause{Code: protocol.Cause(binary.BigEndian.Uint16(rest))}
		if length > 4 {
			c.Data = rest[4:length:length]
		}
		r.d.causes = append(r.d.causes, c)
		in.pos = min(in.pos+pad4(length), in.end)
	}
	if len(r.d.causes) == start {
		r.d.failParam(protocol.CauseInvalidValue, p, "has no cause")
	}
	return r.d.causes[start:len(r.d.causes):len(r.d.causes)]
}

// causes reads an Operation Error that may be absent.
func (r *reader) causes() []ErrorCause {
	if p, ok := r.next(errorTypes); ok {
		return r.operationError(p)
	}
	return nil
}

// optionalError writes an Operation Error if there are causes.
func (w *writer) optionalError(causes []ErrorCause) {
	if len(causes) > 0 {
		w.operationError(causes)
	}
}

// Cookie parameter (RFC 5354 section 3.13).

func (w *writer) cookie(c []byte) {
	start := w.open(paramCookie)
	w.b = append(w.b, c...)
	w.close(start)
}

func (r *reader) cookie() []byte {
	p, ok := r.need(cookieTypes, "cookie")
	if !ok {
		return nil
	}
	if len(p.value()) == 0 {
		r.d.failParam(protocol.CauseInvalidValue, p, "is empty")
	}
	return p.value()
}

// PE Identifier parameter (RFC 5354 section 3.14).

func (w *writer) peID(id protocol.PEID) {
	start := w.open(paramPEIdentifier)
	w.uint32(uint32(id))
	w.close(start)
}

func (r *reader) peID() protocol.PEID {
	p, _ := r.need(peIDTypes, "PE identifier")
	return protocol.PEID(r.number(p))
}

// number reads the value of a parameter that is one 32-bit number.
func (r *reader) number(p param) uint32 {
	if r.d.err != nil {
		return 0
	}
	if len(p.value()) != 4 {
		r.d.failParam(protocol.CauseInvalidValues, p, "has not the length of a number")
		return 0
	}
	return binary.BigEndian.Uint32(p.value())
}
