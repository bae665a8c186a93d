package wire

import (
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// enrpType is the type of an ENRP message (RFC 5353 section 2).
type enrpType uint8

const (
	enrpPresence            enrpType = 0x01
	enrpHandleTableRequest  enrpType = 0x02
	enrpHandleTableResponse enrpType = 0x03
	enrpHandleUpdate        enrpType = 0x04
	enrpListRequest         enrpType = 0x05
	enrpListResponse        enrpType = 0x06
	enrpInitTakeover        enrpType = 0x07
	enrpInitTakeoverAck     enrpType = 0x08
	enrpTakeoverServer      enrpType = 0x09
	enrpError               enrpType = 0x0a
)

var enrpNames = [...]string{
	enrpPresence:            "ENRP_PRESENCE",
	enrpHandleTableRequest:  "ENRP_HANDLE_TABLE_REQUEST",
	enrpHandleTableResponse: "ENRP_HANDLE_TABLE_RESPONSE",
	enrpHandleUpdate:        "ENRP_HANDLE_UPDATE",
	enrpListRequest:         "ENRP_LIST_REQUEST",
	enrpListResponse:        "ENRP_LIST_RESPONSE",
	enrpInitTakeover:        "ENRP_INIT_TAKEOVER",
	enrpInitTakeoverAck:     "ENRP_INIT_TAKEOVER_ACK",
	enrpTakeoverServer:      "ENRP_TAKEOVER_SERVER",
	enrpError:               "ENRP_ERROR",
}

func (t enrpType) String() string {
	if int(t) < len(enrpNames) && enrpNames[t] != "" {
		return enrpNames[t]
	}
	return "ENRP message of unknown type"
}

// enrpMessages holds the message of each type that a Decoder returns.
type enrpMessages struct {
	presence            Presence
	handleTableRequest  HandleTableRequest
	handleTableResponse HandleTableResponse
	handleUpdate        HandleUpdate
	listRequest         ListRequest
	listResponse        ListResponse
	initTakeover        InitTakeover
	initTakeoverAck     InitTakeoverAck
	takeoverServer      TakeoverServer
	enrpError           ENRPError
}

// ofType returns the message of type t, nil if there is no such type.
func (m *enrpMessages) ofType(t enrpType) decodable {
	switch t {
	case enrpPresence:
		return &m.presence
	case enrpHandleTableRequest:
		return &m.handleTableRequest
	case enrpHandleTableResponse:
		return &m.handleTableResponse
	case enrpHandleUpdate:
		return &m.handleUpdate
	case enrpListRequest:
		return &m.listRequest
	case enrpListResponse:
		return &m.listResponse
	case enrpInitTakeover:
		return &m.initTakeover
	case enrpInitTakeoverAck:
		return &m.initTakeoverAck
	case enrpTakeoverServer:
		return &m.takeoverServer
	case enrpError:
		return &m.enrpError
	}
	return nil
}

// newENRP starts a message with the identifiers that every ENRP message has. The receiver
// is 0 in messages to all, and may be 0 in others (RFC 5353 section 2.1).
func newENRP(b []byte, t enrpType, flags uint8, sender, receiver protocol.RegistrarID) writer {
	w := newMessage(b, uint8(t), flags)
	w.uint32(uint32(sender))
	w.uint32(uint32(receiver))
	return w
}

// servers reads the identifiers that every ENRP message starts with.
func (r *reader) servers() (sender, receiver protocol.RegistrarID) {
	sender = protocol.RegistrarID(r.uint32())
	receiver = protocol.RegistrarID(r.uint32())
	return sender, receiver
}

func enrpText(t enrpType, flags string, sender, receiver protocol.RegistrarID) string {
	return fmt.Sprintf("%v%s %v to %v", t, flags, sender, receiver)
}

// ENRPError is ENRP_ERROR (RFC 5353 section 2.10), of one cause at least. RSPLIB reads the
// first one alone.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0a |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Operational Error Parameter                  :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ENRPError struct {
	Sender   protocol.RegistrarID
	Receiver protocol.RegistrarID
	Causes   []ErrorCause
}

func (m *ENRPError) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpError, 0, m.Sender, m.Receiver)
	w.operationError(m.Causes)
	return w.message()
}

func (m *ENRPError) decode(_ uint8, r *reader) {
	*m = ENRPError{}
	m.Sender, m.Receiver = r.servers()
	if p, ok := r.need(errorTypes, "operation error"); ok {
		m.Causes = r.operationError(p)
	}
}

func (m *ENRPError) String() string {
	return enrpText(enrpError, "", m.Sender, m.Receiver) + causesText(m.Causes)
}
