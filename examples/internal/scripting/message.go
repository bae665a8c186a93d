package scripting

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rserpool/rsp"
)

// PPID tells the Scripting Service Protocol from others.
const PPID rsp.PPID = 35

// MessageType is what a Message is about.
type MessageType uint8

// Types of messages.
const (
	NotReady     MessageType = iota // PE to PU, instead of Ready: go to another PE
	Ready                           // PE to PU, the first message of a session: the PU can upload
	Upload                          // PU to PE: a part of the work package, or of the environment; without data: its end
	Download                        // PE to PU: a part of the results; without data: their end
	KeepAlive                       // asks the other side for a sign of life
	KeepAliveAck                    // the sign of life
	Status                          // PE to PU: first that the work has begun, then its exit status
	Environment                     // the hash of an environment; from the PE, with whether it needs it
)

func (t MessageType) String() string {
	names := [...]string{"NOTREADY", "READY", "UPLOAD", "DOWNLOAD", "KEEPALIVE", "KEEPALIVE_ACK", "STATUS", "ENVIRONMENT"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Reasons of NotReady.
const (
	FullyLoaded    uint32 = 1
	OutOfResources uint32 = 2
)

const (
	headerSize = 4
	// MaxData is how many bytes Upload and Download carry at most.
	MaxData = 16384
	// MaxInfo is how many bytes the info of Ready and NotReady has at most.
	MaxInfo = 64
	// MaxMessage is the size of the longest message.
	MaxMessage = headerSize + MaxData
	// uploadNeeded is Environment's flag.
	uploadNeeded = 0x01
)

// Hash is the SHA-1 hash of an environment, which is its name.
type Hash [20]byte

func (h Hash) String() string { return fmt.Sprintf("%x", h[:]) }

// Message is a message of the Scripting Service Protocol. Fields that its type does not have are zero.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     type      |     flags     |     length, header and all    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  NotReady: reason (32 bits), info      Ready: info            |
//	|  Upload, Download: data                Status: status (32)    |
//	|  KeepAliveAck of a PE: status (32)     Environment: hash      |
type Message struct {
	Type         MessageType
	Reason       uint32 // NotReady
	Info         string // NotReady, Ready: the PE's name
	Data         []byte // Upload, Download; empty: the end
	Status       uint32 // Status, KeepAliveAck with HasStatus
	HasStatus    bool   // KeepAliveAck: it is a PE's
	Hash         Hash   // Environment
	UploadNeeded bool   // Environment of a PE
}

func (m Message) String() string {
	switch m.Type {
	case NotReady:
		return fmt.Sprintf("%v reason=%d info=%q", m.Type, m.Reason, m.Info)
	case Ready:
		return fmt.Sprintf("%v info=%q", m.Type, m.Info)
	case Upload, Download:
		return fmt.Sprintf("%v %d bytes", m.Type, len(m.Data))
	case Status:
		return fmt.Sprintf("%v %d", m.Type, m.Status)
	case Environment:
		return fmt.Sprintf("%v %v needed=%t", m.Type, m.Hash, m.UploadNeeded)
	}
	return m.Type.String()
}

// AppendTo appends the message to b. Info and Data must be no longer than MaxInfo and MaxData.
func (m *Message) AppendTo(b []byte) []byte {
	start := len(b)
	b = append(b, byte(m.Type), 0, 0, 0)
	switch m.Type {
	case NotReady:
		b = append(binary.BigEndian.AppendUint32(b, m.Reason), m.Info...)
	case Ready:
		b = append(b, m.Info...)
	case Upload, Download:
		b = append(b, m.Data...)
	case KeepAliveAck:
		if m.HasStatus {
			b = binary.BigEndian.AppendUint32(b, m.Status)
		}
	case Status:
		b = binary.BigEndian.AppendUint32(b, m.Status)
	case Environment:
		b = append(b, m.Hash[:]...)
		if m.UploadNeeded {
			b[start+1] |= uploadNeeded
		}
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// ErrMalformed is the error of Parse.
var ErrMalformed = errors.New("malformed message of the Scripting Service Protocol")

// Parse reads a message. Its Data is a part of b.
func Parse(b []byte) (Message, error) {
	if len(b) < headerSize {
		return Message{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	m := Message{Type: MessageType(b[0])}
	if length := binary.BigEndian.Uint16(b[2:]); int(length) != len(b) {
		return Message{}, fmt.Errorf("%w: %v of %d bytes has the length %d", ErrMalformed, m.Type, len(b), length)
	}
	if !m.parseBody(b[1], b[headerSize:]) {
		return Message{}, fmt.Errorf("%w: %v of %d bytes", ErrMalformed, m.Type, len(b))
	}
	return m, nil
}

func (m *Message) parseBody(flags byte, body []byte) bool {
	switch m.Type {
	case NotReady:
		if len(body) < 4 || len(body) > 4+MaxInfo {
			return false
		}
		m.Reason, m.Info = binary.BigEndian.Uint32(body), string(body[4:])
	case Ready:
		m.Info = string(body)
		return len(body) <= MaxInfo
	case Upload, Download:
		m.Data = body
		return len(body) <= MaxData
	case KeepAlive:
		return len(body) == 0
	case KeepAliveAck:
		if m.HasStatus = len(body) == 4; m.HasStatus {
			m.Status = binary.BigEndian.Uint32(body)
		}
		return len(body) == 0 || m.HasStatus
	case Status:
		if len(body) != 4 {
			return false
		}
		m.Status = binary.BigEndian.Uint32(body)
	case Environment:
		m.UploadNeeded = flags&uploadNeeded != 0
		return copy(m.Hash[:], body) == len(m.Hash) && len(body) == len(m.Hash)
	default:
		return false
	}
	return true
}
