package wire

import (
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// InitTakeover is ENRP_INIT_TAKEOVER (RFC 5353 section 2.7): the sender wants to take
// over the PEs of Target.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x07 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Targeting Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type InitTakeover struct {
	Sender   protocol.RegistrarID
	Receiver protocol.RegistrarID
	Target   protocol.RegistrarID
}

func (m *InitTakeover) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpInitTakeover, 0, m.Sender, m.Receiver)
	w.uint32(uint32(m.Target))
	return w.message()
}

func (m *InitTakeover) decode(_ uint8, r *reader) {
	m.Sender, m.Receiver = r.servers()
	m.Target = protocol.RegistrarID(r.uint32())
}

func (m *InitTakeover) String() string {
	return fmt.Sprintf("%s, target %v", enrpText(enrpInitTakeover, "", m.Sender, m.Receiver), m.Target)
}

// InitTakeoverAck is ENRP_INIT_TAKEOVER_ACK (RFC 5353 section 2.8): the sender does
// not object.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x08 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Targeting Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type InitTakeoverAck struct {
	Sender   protocol.RegistrarID
	Receiver protocol.RegistrarID
	Target   protocol.RegistrarID
}

func (m *InitTakeoverAck) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpInitTakeoverAck, 0, m.Sender, m.Receiver)
	w.uint32(uint32(m.Target))
	return w.message()
}

func (m *InitTakeoverAck) decode(_ uint8, r *reader) {
	m.Sender, m.Receiver = r.servers()
	m.Target = protocol.RegistrarID(r.uint32())
}

func (m *InitTakeoverAck) String() string {
	return fmt.Sprintf("%s, target %v", enrpText(enrpInitTakeoverAck, "", m.Sender, m.Receiver), m.Target)
}

// TakeoverServer is ENRP_TAKEOVER_SERVER (RFC 5353 section 2.9): the sender has taken
// over the PEs of Target.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x09 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Targeting Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type TakeoverServer struct {
	Sender   protocol.RegistrarID
	Receiver protocol.RegistrarID
	Target   protocol.RegistrarID
}

func (m *TakeoverServer) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpTakeoverServer, 0, m.Sender, m.Receiver)
	w.uint32(uint32(m.Target))
	return w.message()
}

func (m *TakeoverServer) decode(_ uint8, r *reader) {
	m.Sender, m.Receiver = r.servers()
	m.Target = protocol.RegistrarID(r.uint32())
}

func (m *TakeoverServer) String() string {
	return fmt.Sprintf("%s, target %v", enrpText(enrpTakeoverServer, "", m.Sender, m.Receiver), m.Target)
}
