package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// Presence is ENRP_PRESENCE (RFC 5353 section 2.1). RSPLIB wants both parameters. The RFC
// forgets to draw the flag R of its text, reply required.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x01 |0|0|0|0|0|0|0|R|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                       PE Checksum Param                       :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:              Server Information Param (optional)              :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Presence struct {
	ReplyRequired bool
	Sender        protocol.RegistrarID
	Receiver      protocol.RegistrarID // 0: everyone, or unknown
	HasChecksum   bool
	Checksum      uint16            // of the sender's own PEs; 0 without HasChecksum
	Server        ServerInformation // Transport zero: absent
}

func (m *Presence) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpPresence, flagIf(m.ReplyRequired), m.Sender, m.Receiver)
	if m.HasChecksum {
		start := w.open(paramPEChecksum)
		w.uint16(m.Checksum)
		w.close(start)
	}
	if !m.Server.Transport.IsZero() {
		w.server(&m.Server)
	}
	return w.message()
}

func (m *Presence) decode(flags uint8, r *reader) {
	*m = Presence{ReplyRequired: flags&firstFlag != 0}
	m.Sender, m.Receiver = r.servers()
	if p, ok := r.next(checksumTypes); ok {
		if m.HasChecksum = len(p.value()) == 2; m.HasChecksum {
			m.Checksum = binary.BigEndian.Uint16(p.value())
		} else {
			r.d.failParam(protocol.CauseInvalidValues, p, "has not the length of a checksum")
		}
	}
	if p, ok := r.next(serverTypes); ok {
		r.server(p, &m.Server)
	}
}

func (m *Presence) String() string {
	s := enrpText(enrpPresence, flagText(m.ReplyRequired, "reply-required"), m.Sender, m.Receiver)
	if m.HasChecksum {
		s += fmt.Sprintf(", checksum 0x%04x", m.Checksum)
	}
	if !m.Server.Transport.IsZero() {
		s += fmt.Sprintf(", %v", m.Server)
	}
	return s
}

// ListRequest is ENRP_LIST_REQUEST (RFC 5353 section 2.5).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x05 |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ListRequest struct {
	Sender   protocol.RegistrarID
	Receiver protocol.RegistrarID
}

func (m *ListRequest) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpListRequest, 0, m.Sender, m.Receiver)
	return w.message()
}

func (m *ListRequest) decode(_ uint8, r *reader) { m.Sender, m.Receiver = r.servers() }

func (m *ListRequest) String() string {
	return enrpText(enrpListRequest, "", m.Sender, m.Receiver)
}

// ListResponse is ENRP_LIST_RESPONSE (RFC 5353 section 2.6). Servers that do not
// fit in MaxMessage are left out.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x06 |0|0|0|0|0|0|0|R|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:          Server Information Parameters of Peers 1..n          :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ListResponse struct {
	Reject   bool
	Sender   protocol.RegistrarID
	Receiver protocol.RegistrarID
	Servers  []ServerInformation
}

func (m *ListResponse) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpListResponse, flagIf(m.Reject), m.Sender, m.Receiver)
	for i := range m.Servers {
		mark := len(w.b)
		w.server(&m.Servers[i])
		if w.takeBack(mark) {
			break
		}
	}
	return w.message()
}

func (m *ListResponse) decode(flags uint8, r *reader) {
	*m = ListResponse{Reject: flags&firstFlag != 0}
	m.Sender, m.Receiver = r.servers()
	for p, ok := r.next(serverTypes); ok; p, ok = r.next(serverTypes) {
		r.d.servers = append(r.d.servers, ServerInformation{})
		r.server(p, &r.d.servers[len(r.d.servers)-1])
	}
	if len(r.d.servers) > 0 {
		m.Servers = r.d.servers
	}
}

func (m *ListResponse) String() string {
	s := enrpText(enrpListResponse, flagText(m.Reject, "reject"), m.Sender, m.Receiver)
	for _, server := range m.Servers {
		s += fmt.Sprintf(", %v", server)
	}
	return s
}
