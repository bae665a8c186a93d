// Package csp holds RSPLIB's Component Status Protocol: each registrar, pool element and pool user tells a
// monitor from time to time, by one UDP datagram, where it is and what it is connected with. There is no answer.
package csp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// Port is where a monitor listens.
const Port = 2960

// Group is what a component is.
type Group uint8

const (
	Registrar   Group = 1
	PoolElement Group = 2
	PoolUser    Group = 3
)

func (g Group) String() string {
	switch g {
	case Registrar:
		return "PR"
	case PoolElement:
		return "PE"
	case PoolUser:
		return "PU"
	}
	return fmt.Sprintf("Group(%d)", uint8(g))
}

// ComponentID identifies a component: 8 bits of its group, 56 of its identifier in it.
type ComponentID uint64

// MaxIdentifier is the largest identifier that a component can have in its group.
const MaxIdentifier = 1<<56 - 1

// NewComponentID returns the ID of a component: registrars and PEs have their own identifiers, PUs random ones.
func NewComponentID(g Group, identifier uint64) ComponentID {
	return ComponentID(uint64(g)<<56 | identifier&MaxIdentifier)
}

func (id ComponentID) Group() Group { return Group(id >> 56) }

// Identifier is the component's in its group; 0: unknown.
func (id ComponentID) Identifier() uint64 { return uint64(id) & MaxIdentifier }

// String prints "PE $0abc1002", as RSPLIB's monitor does.
func (id ComponentID) String() string { return fmt.Sprintf("%v $%08x", id.Group(), id.Identifier()) }

// Workload is a fraction from 0, idle, to 0xfffe, fully used.
type Workload uint16

// NoWorkload is what a component has that does not tell one: all but PEs of adaptive policies.
const NoWorkload Workload = 0xffff

// WorkloadOf returns what stands for a load from 0 to 1.
func WorkloadOf(load float64) Workload {
	return Workload(math.RoundToEven(min(max(load, 0), 1) * 0xfffe))
}

// Load is a number from 0 to 1; it is not known of NoWorkload.
func (w Workload) Load() (load float64, known bool) {
	if w == NoWorkload {
		return 0, false
	}
	return float64(w) / 0xfffe, true
}

// Report is the status of one component:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 1    |   0x01=final  |            Length             |
//	|                      Version = 0x00000200                     |
//	|                       Sender ID (64 bits)                     |
//	|        Uptime in microseconds (64 bits)                       |
//	|                 Report interval in microseconds               |
//	|                  Location (128 bytes of text)                 |
//	|                   Status (128 bytes of text)                  |
//	|           Workload            |    Number of associations     |
//	|                  Associations (24 bytes each)                 |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Report struct {
	Sender       ComponentID
	Final        bool          // the component ends; the rest but Interval is empty then
	Uptime       time.Duration // since its first report
	Interval     time.Duration // of its reports
	Location     string        // "host: 10.0.0.1:3863, 10.0.1.1"; anything, if it comes from the network
	Status       string        // text; likewise
	Workload     Workload
	Associations []Association
}

// Association is one of a component's associations:
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiver ID (64 bits)                     |
//	|               Duration in microseconds (64 bits)              |
//	|           Flags = 0           |         IP protocol           |
//	|                              PPID                             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Association struct {
	Receiver ComponentID
	Duration time.Duration // negative: unknown
	Protocol uint16        // ProtocolSCTP or ProtocolTCP
	PPID     protocol.PPID // ASAP, ENRP, or that of the user's data
}

// IP protocols of associations.
const (
	ProtocolTCP  = 6
	ProtocolSCTP = 132
)

const (
	typeReport      = 1
	flagFinal       = 0x01
	version         = 0x00000200
	textSize        = 128
	headerSize      = 288
	associationSize = 24
	unknownDuration = math.MaxUint64
	// maxAssociations is how many fit in a datagram over IPv4.
	maxAssociations = (65507 - headerSize) / associationSize
)

// AppendTo appends the report as it is sent. Texts are cut to 127 bytes, associations to what fits in a
// datagram.
func (r *Report) AppendTo(b []byte) []byte {
	associations := r.Associations[:min(len(r.Associations), maxAssociations)]
	var flags byte
	if r.Final {
		flags = flagFinal
	}
	b = append(b, typeReport, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(headerSize+associationSize*len(associations)))
	b = binary.BigEndian.AppendUint32(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Sender))
	b = binary.BigEndian.AppendUint64(b, uint64(max(r.Uptime, 0).Microseconds()))
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(r.Interval, 0).Microseconds(), math.MaxUint32)))
	b = appendText(b, r.Location)
	b = appendText(b, r.Status)
	b = binary.BigEndian.AppendUint16(b, uint16(r.Workload))
	b = binary.BigEndian.AppendUint16(b, uint16(len(associations)))
	for _, a := range associations {
		duration := uint64(unknownDuration)
		if a.Duration >= 0 {
			duration = uint64(a.Duration.Microseconds())
		}
		b = binary.BigEndian.AppendUint64(b, uint64(a.Receiver))
		b = binary.BigEndian.AppendUint64(b, duration)
		b = binary.BigEndian.AppendUint16(b, 0)
		b = binary.BigEndian.AppendUint16(b, a.Protocol)
		b = binary.BigEndian.AppendUint32(b, uint32(a.PPID))
	}
	return b
}

// appendText appends a text that ends with at least one NUL.
func appendText(b []byte, text string) []byte {
	var field [textSize]byte
	copy(field[:textSize-1], strings.ToValidUTF8(text[:min(len(text), textSize-1)], ""))
	return append(b, field[:]...)
}

var errNoReport = errors.New("no status report of the Component Status Protocol")

// Parse reads a datagram. Its length field is not looked at, as RSPLIB's monitor does not; any flag means the end.
func Parse(b []byte) (*Report, error) {
	if len(b) < headerSize || b[0] != typeReport || binary.BigEndian.Uint32(b[4:]) != version {
		return nil, errNoReport
	}
	n := int(binary.BigEndian.Uint16(b[286:]))
	if len(b) != headerSize+associationSize*n {
		return nil, fmt.Errorf("status report of %d bytes with %d associations", len(b), n)
	}
	r := &Report{
		Sender:   ComponentID(binary.BigEndian.Uint64(b[8:])),
		Final:    b[1] != 0,
		Uptime:   microseconds(binary.BigEndian.Uint64(b[16:])),
		Interval: microseconds(uint64(binary.BigEndian.Uint32(b[24:]))),
		Location: text(b[28:156]),
		Status:   text(b[156:284]),
		Workload: Workload(binary.BigEndian.Uint16(b[284:])),
	}
	for b = b[headerSize:]; len(b) > 0; b = b[associationSize:] {
		a := Association{
			Receiver: ComponentID(binary.BigEndian.Uint64(b)),
			Duration: -1,
			Protocol: binary.BigEndian.Uint16(b[18:]),
			PPID:     protocol.PPID(binary.BigEndian.Uint32(b[20:])),
		}
		if d := binary.BigEndian.Uint64(b[8:]); d != unknownDuration {
			a.Duration = microseconds(d)
		}
		r.Associations = append(r.Associations, a)
	}
	return r, nil
}

// microseconds is the time that n stands for, or the longest there is.
func microseconds(n uint64) time.Duration {
	return time.Duration(min(n, math.MaxInt64/uint64(time.Microsecond))) * time.Microsecond
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
