package asap

import (
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// QueryID names a handle resolution until Resolved is told.
type QueryID uint64

const cancelled QueryID = 0

// Resolved is told when a handle resolution has ended. Its elements are the
// receiver's to keep.
type Resolved struct {
	Query    QueryID
	Policy   protocol.Policy
	Elements []protocol.PoolElement
	Err      error // *RemoteError, ErrNoRegistrar or ErrNoResponse
}

// Resolve asks the registrar for PEs of a pool (RFC 5352 section 3.3). items: how many;
// 0: as many as the registrar gives unasked; wire.AllItems: all that it gives.
func (c *Client) Resolve(now time.Time, handle protocol.PoolHandle, items uint32) QueryID {
	c.nextQuery++
	c.submit(now, &request{kind: resolve, key: elementKey{handle: handle}, items: items, query: c.nextQuery})
	return c.nextQuery
}

// Cancel forgets a resolution that nobody waits for any more; nothing is told of it.
func (c *Client) Cancel(query QueryID) {
	is := func(r *request) bool { return r.kind == resolve && r.query == query }
	c.waiting = slices.DeleteFunc(c.waiting, is)
	if i := slices.IndexFunc(c.sent, is); i >= 0 {
		c.sent[i].query = cancelled // it is answered all the same, in its turn
	}
	c.stopHunt()
}

func (c *Client) handleResolutionResponse(r *request, m *wire.HandleResolutionResponse) {
	if len(m.Causes) > 0 {
		c.becomeResolved(r, Resolved{Err: remoteError(m.Causes)})
		return
	}
	elements := make([]protocol.PoolElement, len(m.Elements))
	for i, e := range m.Elements {
		elements[i] = e.Clone()
	}
	c.becomeResolved(r, Resolved{Policy: m.Policy, Elements: elements})
}

func (c *Client) becomeResolved(r *request, answer Resolved) {
	if r.query != cancelled {
		answer.Query = r.query
		c.q.Tell(answer)
	}
}

// ReportUnreachable tells the registrar that a PE cannot be reached (RFC 5352 section
// 3.5). There is no answer; without a registrar in time it is dropped.
func (c *Client) ReportUnreachable(now time.Time, handle protocol.PoolHandle, id protocol.PEID) {
	c.submit(now, &request{kind: report, key: elementKey{handle, id}})
}
