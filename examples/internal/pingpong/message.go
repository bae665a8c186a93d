package pingpong

import (
	"encoding/binary"
	"errors"

	"github.com/rserpool/rsp"
)

// PPID is that of all messages.
const PPID rsp.PPID = 33

// Ping is a client's message:
//
//	0: type 1   1: flags   2: length of the message   4: Number   12: Payload
type Ping struct {
	Number  uint64 // 1, 2, ...
	Payload []byte
}

// Pong is the server's answer to a Ping:
//
//	0: type 2   1: flags   2: length of the message   4: Number   12: Reply   20: Payload
type Pong struct {
	Number  uint64 // the Ping's
	Reply   uint64 // 1, 2, ..., over all servers of the session
	Payload []byte // the Ping's
}

// Types of messages.
const (
	typePing = 1
	typePong = 2
)

const (
	pingHeader = 12
	pongHeader = 20
	maxMessage = 1<<16 - 1 // by the length field
	// MaxPayload is how long a Ping's may be, so that its Pong has room for it.
	MaxPayload = maxMessage - pongHeader
)

var errMessage = errors.New("no message of the Ping Pong protocol")

// Append appends p as it is sent. Its payload is at most MaxPayload long.
func (p Ping) Append(b []byte) []byte {
	b = appendHeader(b, typePing, pingHeader+len(p.Payload))
	b = binary.BigEndian.AppendUint64(b, p.Number)
	return append(b, p.Payload...)
}

// Append appends p as it is sent. Its payload is at most MaxPayload long.
func (p Pong) Append(b []byte) []byte {
	b = appendHeader(b, typePong, pongHeader+len(p.Payload))
	b = binary.BigEndian.AppendUint64(b, p.Number)
	b = binary.BigEndian.AppendUint64(b, p.Reply)
	return append(b, p.Payload...)
}

func appendHeader(b []byte, typ byte, length int) []byte {
	return binary.BigEndian.AppendUint16(append(b, typ, 0), uint16(length))
}

// ParsePing reads a Ping, whose payload is part of b.
func ParsePing(b []byte) (Ping, error) {
	if err := checkHeader(b, typePing, pingHeader); err != nil {
		return Ping{}, err
	}
	p := Ping{Number: binary.BigEndian.Uint64(b[4:]), Payload: b[pingHeader:]}
	if len(p.Payload) > MaxPayload {
		return Ping{}, errMessage
	}
	return p, nil
}

// ParsePong reads a Pong, whose payload is part of b.
func ParsePong(b []byte) (Pong, error) {
	if err := checkHeader(b, typePong, pongHeader); err != nil {
		return Pong{}, err
	}
	return Pong{
		Number:  binary.BigEndian.Uint64(b[4:]),
		Reply:   binary.BigEndian.Uint64(b[12:]),
		Payload: b[pongHeader:],
	}, nil
}

// checkHeader checks all but the flags, which have no meaning yet.
func checkHeader(b []byte, typ byte, least int) error {
	if len(b) < least || b[0] != typ || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return errMessage
	}
	return nil
}

// cookieMagic begins a cookie.
const cookieMagic = "<PP-TD1>"

// appendCookie appends the state of a session, the number of its next reply, as it is sent.
func appendCookie(b []byte, nextReply uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, cookieMagic...), nextReply)
}

func parseCookie(b []byte) (nextReply uint64, err error) {
	if len(b) != len(cookieMagic)+8 || string(b[:len(cookieMagic)]) != cookieMagic {
		return 0, errors.New("no cookie of the Ping Pong protocol")
	}
	return binary.BigEndian.Uint64(b[len(cookieMagic):]), nil
}
