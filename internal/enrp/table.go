package enrp

import (
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// page is how far a peer has come in its download from us. It is a place in the order of the
// handlespace, not a number, so that the handlespace may change between two pages: a PE that is
// there all the time is sent exactly once, one that goes before its turn is not sent, and of
// one that comes behind its turn the peer has heard by HANDLE_UPDATE, on the same association
// and in order.
type page struct {
	handle  protocol.PoolHandle // of the last PE sent; "": the next page is the first one
	id      protocol.PEID
	own     bool
	expires time.Time // when the session is over for want of another request
}

// maxPage is the most bytes of PEs in a page. RSPLIB sends 1400 bytes at most, but reads messages
// of 64 KiB, and it is the number of pages that a download takes its time for.
const maxPage = 60 << 10

// handleTableRequest sends the next page of a peer's download (RFC 5353 section 3.2.3), of our own
// PEs alone if W is set. A registrar that has not got the table itself can only tell of its own
// ones. Like RSPLIB, strangers get nothing.
func (e *Engine[V]) handleTableRequest(now time.Time, l *link[V], p *peer[V], m *wire.HandleTableRequest) {
	if p == nil || !e.start.serving && !m.OwnChildrenOnly {
		e.sent.tableResponse = wire.HandleTableResponse{Reject: true, Sender: e.cfg.ID, Receiver: m.Sender}
		e.send(l, &e.sent.tableResponse)
		return
	}
	if p.page.own != m.OwnChildrenOnly || due(p.page.expires, now) {
		p.page = page{own: m.OwnChildrenOnly}
	}
	answer := &e.sent.tableResponse
	*answer = wire.HandleTableResponse{Sender: e.cfg.ID, Receiver: p.id, Entries: e.pageEntries[:0]}
	answer.MoreToSend = e.fillPage(&p.page, answer)
	e.pageEntries = answer.Entries
	if answer.MoreToSend {
		// Half the time, so that a peer that starts again, having waited in vain, does not
		// get the middle for the beginning.
		p.page.expires = now.Add(e.cfg.PeerMaxTimeNoResponse / 2)
	} else {
		p.page = page{}
	}
	e.stats.TablesServed++
	e.send(l, answer)
}

// fillPage adds to answer what comes after at, and reports whether anything is left.
func (e *Engine[V]) fillPage(at *page, answer *wire.HandleTableResponse) (more bool) {
	size, elements := 0, e.pageElements[:0]
	for el := range e.space.After(at.handle, at.id) {
		if at.own && el.Home != e.cfg.ID {
			continue
		}
		e.param = wire.AppendElement(e.param[:0], &el.PoolElement)
		size += len(e.param) + 4 + protocol.MaxPoolHandle
		if len(elements) == cap(elements) || size > maxPage {
			return true
		}
		elements = append(elements, el.PoolElement) // never grows: Entries point into it
		if last := len(answer.Entries) - 1; last >= 0 && answer.Entries[last].Handle == el.Handle {
			answer.Entries[last].Elements = elements[len(elements)-1-len(answer.Entries[last].Elements):]
		} else {
			answer.Entries = append(answer.Entries, wire.PoolEntry{Handle: el.Handle, Elements: elements[len(elements)-1:]})
		}
		at.handle, at.id = el.Handle, el.ID
	}
	return false
}

// sync is a download from a peer: of everything from the mentor, of its own PEs in an audit. The
// RFC gives each request a time for its answer.
type sync struct {
	own      bool
	deadline time.Time // of the next page; zero: nothing is downloaded
}

func (s sync) running() bool { return !s.deadline.IsZero() }

// requestTable asks p for the first or next page.
func (e *Engine[V]) requestTable(now time.Time, p *peer[V], own bool) {
	p.sync = sync{own: own, deadline: now.Add(e.cfg.PeerMaxTimeNoResponse)}
	e.sent.tableRequest = wire.HandleTableRequest{OwnChildrenOnly: own, Sender: e.cfg.ID, Receiver: p.id}
	e.send(p.link, &e.sent.tableRequest)
}

// handleTableResponse takes a page in and asks for the next one at once. A page that
// promises more, but has nothing, is the last one: nobody shall keep us busy for nothing.
func (e *Engine[V]) handleTableResponse(now time.Time, p *peer[V], m *wire.HandleTableResponse) {
	if p == nil || !p.sync.running() {
		e.stats.Ignored++
		return
	}
	if m.Reject {
		e.failSync(now, p)
		return
	}
	for _, entry := range m.Entries {
		for i := range entry.Elements {
			e.takeEntry(now, p, entry.Handle, &entry.Elements[i])
		}
	}
	if m.MoreToSend && len(m.Entries) > 0 && p.linked() {
		e.requestTable(now, p, p.sync.own)
		return
	}
	own := p.sync.own
	p.sync = sync{}
	switch {
	case own:
		e.removeMarked(p.id)
	case e.start.mentor == p:
		e.becomeServing(now, p.id)
	}
}

// takeEntry takes in a PE that p lists. What p says of its own PEs replaces what we have; of those of
// others it may know less than we, who may have heard their homes meanwhile.
func (e *Engine[V]) takeEntry(now time.Time, p *peer[V], handle protocol.PoolHandle, pe *protocol.PoolElement) {
	isOwn := pe.Home == p.id
	if p.sync.own && !isOwn || !isOwn && e.space.Get(handle, pe.ID) != nil {
		return
	}
	e.take(now, p, handle, pe, handlespace.Synchronized)
}

// failSync ends a download that p has refused or not continued.
func (e *Engine[V]) failSync(now time.Time, p *peer[V]) {
	p.sync = sync{}
	if e.start.mentor == p {
		e.failMentor(now)
	}
}
