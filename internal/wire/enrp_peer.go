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
	*m = Presence{ReplyRequired: flags&flag != 0}
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

// HandleTableRequest is ENRP_HANDLE_TABLE_REQUEST (RFC 5353 section 2.2).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x02 |0|0|0|0|0|0|0|W|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type HandleTableRequest struct {
	OwnChildrenOnly bool
	Sender          protocol.RegistrarID
	Receiver        protocol.RegistrarID
}

func (m *HandleTableRequest) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpHandleTableRequest, flagIf(m.OwnChildrenOnly), m.Sender, m.Receiver)
	return w.message()
}

func (m *HandleTableRequest) decode(flags uint8, r *reader) {
	m.OwnChildrenOnly = flags&flag != 0
	m.Sender, m.Receiver = r.servers()
}

func (m *HandleTableRequest) String() string {
	return enrpText(enrpHandleTableRequest, flagText(m.OwnChildrenOnly, "own-children-only"), m.Sender, m.Receiver)
}

// PoolEntry is one pool in a HandleTableResponse, with one element at least.
type PoolEntry struct {
	Handle   protocol.PoolHandle
	Elements []protocol.PoolElement
}

// flagMoreToSend is the second flag of a HandleTableResponse.
const flagMoreToSend = 0x02

// HandleTableResponse is ENRP_HANDLE_TABLE_RESPONSE (RFC 5353 section 2.3). An entry
// starts with a Pool Handle parameter, and Pool Element parameters follow, each with
// its home registrar and its ASAP transport. A handle may occur
// again. Elements that do not fit in MaxMessage are left out.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x03 |0|0|0|0|0|0|M|R|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Pool Entries 1..n (optional)                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type HandleTableResponse struct {
	Reject     bool
	MoreToSend bool
	Sender     protocol.RegistrarID
	Receiver   protocol.RegistrarID
	Entries    []PoolEntry
}

func (m *HandleTableResponse) AppendTo(b []byte) []byte {
	flags := flagIf(m.Reject)
	if m.MoreToSend {
		flags |= flagMoreToSend
	}
	w := newENRP(b, enrpHandleTableResponse, flags, m.Sender, m.Receiver)
	for _, entry := range m.Entries {
		mark := len(w.b)
		w.poolHandle(entry.Handle)
		n := w.elements(entry.Elements)
		if n == 0 {
			w.b = w.b[:mark]
		}
		if n < len(entry.Elements) {
			break
		}
	}
	return w.message()
}

func (m *HandleTableResponse) decode(flags uint8, r *reader) {
	*m = HandleTableResponse{Reject: flags&flag != 0, MoreToSend: flags&flagMoreToSend != 0}
	m.Sender, m.Receiver = r.servers()
	for p, ok := r.next(handleTypes); ok; p, ok = r.next(handleTypes) {
		entry := PoolEntry{Handle: r.handle(p), Elements: r.elements((*reader).peerElement)}
		if entry.Elements == nil {
			r.d.failParam(protocol.CauseInvalidValue, p, "has no pool element behind it")
		}
		r.d.entries = append(r.d.entries, entry)
	}
	if len(r.d.entries) > 0 {
		m.Entries = r.d.entries
	}
}

func (m *HandleTableResponse) String() string {
	s := enrpText(enrpHandleTableResponse, flagText(m.Reject, "reject")+flagText(m.MoreToSend, "more-to-send"), m.Sender, m.Receiver)
	for _, entry := range m.Entries {
		s += fmt.Sprintf("; pool %q%v", entry.Handle, elementsText(entry.Elements))
	}
	return s
}

// UpdateAction is what a HandleUpdate does with its PE.
type UpdateAction uint16

const (
	AddPE    UpdateAction = 0 // or update it
	DeletePE UpdateAction = 1
)

func (a UpdateAction) String() string {
	if a == AddPE {
		return "add"
	}
	return "delete"
}

// HandleUpdate is ENRP_HANDLE_UPDATE (RFC 5353 section 2.4). The flag is RSPLIB's, from a
// draft. A deletion carries the whole PE too.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x04 |0|0|0|0|0|0|0|T|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sending Server's ID                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Receiving Server's ID                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|        Update Action          |        (reserved)             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Element Parameter                    :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type HandleUpdate struct {
	TakeoverSuggested bool
	Sender            protocol.RegistrarID
	Receiver          protocol.RegistrarID
	Action            UpdateAction
	Handle            protocol.PoolHandle
	Element           protocol.PoolElement // with its home registrar and its ASAP transport
}

func (m *HandleUpdate) AppendTo(b []byte) []byte {
	w := newENRP(b, enrpHandleUpdate, flagIf(m.TakeoverSuggested), m.Sender, m.Receiver)
	w.uint16(uint16(m.Action))
	w.uint16(0)
	w.poolHandle(m.Handle)
	w.element(&m.Element)
	return w.message()
}

func (m *HandleUpdate) decode(flags uint8, r *reader) {
	m.TakeoverSuggested = flags&flag != 0
	m.Sender, m.Receiver = r.servers()
	m.Action = UpdateAction(r.uint16())
	if m.Action > DeletePE {
		r.d.fail(protocol.CauseInvalidValue, r.pos-2, "has an unknown update action")
	}
	r.uint16() // reserved: "ignored by the receiver"
	m.Handle = r.poolHandle()
	if p, ok := r.need(elementTypes, "pool element"); ok {
		r.peerElement(p, &m.Element)
	}
}

func (m *HandleUpdate) String() string {
	s := enrpText(enrpHandleUpdate, flagText(m.TakeoverSuggested, "takeover-suggested"), m.Sender, m.Receiver)
	return fmt.Sprintf("%s, %v pool %q, %v", s, m.Action, m.Handle, m.Element)
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
	*m = ListResponse{Reject: flags&flag != 0}
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
