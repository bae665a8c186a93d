// Package calcapp is the CalcApp service of RSPLIB, by which server pools are measured: a job is a number of
// calculations, and a server's capacity, in calculations per second, is shared equally by the jobs that it
// runs. Nothing is calculated; time passes. A state cookie tells how far a job has come, so that another
// server goes on from there.
//
//	client                          server
//	  │ ── REQUEST: job 1, size ──────▶ │
//	  │ ◀───────────────────── ACCEPT ─ │  or REJECT, when it runs as many jobs as it may
//	  │ ◀────── cookie: job, how far ── │  every 5 s, every 5·10⁶ calculations
//	  │ ◀── KEEPALIVE, KEEPALIVE_ACK ─▶ │  from both sides
//	  │ ◀─────────────────── COMPLETE ─ │
//
// After a failover the cookie takes the place of the REQUEST.
package calcapp

import (
	"encoding/binary"
	"fmt"

	"github.com/rserpool/rsp"
)

// PPID is the payload protocol identifier of CalcApp's messages.
const PPID rsp.PPID = 34

// Pool is the pool that servers register in by default.
const Pool rsp.PoolHandle = "CalcAppPool"

// MessageType is the type of a Message.
type MessageType uint8

// The types of messages. Abort is never sent, and ignored by both sides.
const (
	Request MessageType = iota + 1
	Accept
	Reject
	Abort
	Complete
	KeepAlive
	KeepAliveAck
)

func (t MessageType) String() string {
	if t < Request || t > KeepAliveAck {
		return fmt.Sprintf("MessageType(%d)", uint8(t))
	}
	return [...]string{"Request", "Accept", "Reject", "Abort", "Complete", "KeepAlive", "KeepAliveAck"}[t-Request]
}

// Message is a message of the protocol, all of which have one layout:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|     Type      |   Flags = 0   |          Length = 24          |
//	+---------------+---------------+-------------------------------+
//	|                            Job ID                             |
//	+---------------------------------------------------------------+
//	|                 Job Size in calculations (64)                 |
//	+---------------------------------------------------------------+
//	|                 Completed calculations (64)                   |
//	+---------------------------------------------------------------+
//
// A Request has a job size, a Complete also what was completed; the rest is 0.
type Message struct {
	Type      MessageType
	JobID     uint32
	JobSize   uint64
	Completed uint64
}

const (
	messageSize = 24
	cookieSize  = 20
)

// AppendTo appends the message's bytes to b.
func (m *Message) AppendTo(b []byte) []byte {
	b = append(b, byte(m.Type), 0, 0, messageSize)
	b = binary.BigEndian.AppendUint32(b, m.JobID)
	b = binary.BigEndian.AppendUint64(b, m.JobSize)
	return binary.BigEndian.AppendUint64(b, m.Completed)
}

// ParseMessage reads a message. Flags are ignored.
func ParseMessage(b []byte) (Message, error) {
	if len(b) != messageSize {
		return Message{}, fmt.Errorf("CalcApp message of %d bytes, want %d", len(b), messageSize)
	}
	if length := binary.BigEndian.Uint16(b[2:]); length != messageSize {
		return Message{}, fmt.Errorf("CalcApp message says that it has %d bytes, but has %d", length, messageSize)
	}
	m := Message{
		Type:      MessageType(b[0]),
		JobID:     binary.BigEndian.Uint32(b[4:]),
		JobSize:   binary.BigEndian.Uint64(b[8:]),
		Completed: binary.BigEndian.Uint64(b[16:]),
	}
	if m.Type < Request || m.Type > KeepAliveAck {
		return Message{}, fmt.Errorf("CalcApp message of unknown type %d", b[0])
	}
	return m, nil
}

// Cookie is the state of a job, from which any server of the pool can go on: job ID (32 bits), job size (64) and
// completed calculations (64), without a header.
type Cookie struct {
	JobID     uint32
	JobSize   uint64
	Completed uint64
}

// AppendTo appends the cookie's bytes to b.
func (c *Cookie) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, c.JobID)
	b = binary.BigEndian.AppendUint64(b, c.JobSize)
	return binary.BigEndian.AppendUint64(b, c.Completed)
}

// ParseCookie reads a cookie. It comes from a client, which can have changed it.
func ParseCookie(b []byte) (Cookie, error) {
	if len(b) != cookieSize {
		return Cookie{}, fmt.Errorf("CalcApp cookie of %d bytes, want %d", len(b), cookieSize)
	}
	c := Cookie{
		JobID:     binary.BigEndian.Uint32(b),
		JobSize:   binary.BigEndian.Uint64(b[4:]),
		Completed: binary.BigEndian.Uint64(b[12:]),
	}
	if c.Completed > c.JobSize {
		return Cookie{}, fmt.Errorf("CalcApp cookie says that %d of %d calculations are completed", c.Completed, c.JobSize)
	}
	return c, nil
}
