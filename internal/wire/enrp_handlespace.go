package wire

import (
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

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
	m.OwnChildrenOnly = flags&firstFlag != 0
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
	*m = HandleTableResponse{Reject: flags&firstFlag != 0, MoreToSend: flags&flagMoreToSend != 0}
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
	m.TakeoverSuggested = flags&firstFlag != 0
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
