package asap

import (
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// QueryID names a handle resolution until Resolved is told.
type QueryID uint64

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
	c.submit(now, &request{kind: resolve, key: elementKey{handle: handle}, items: items, query: c.nextQuery}, false)
	return c.nextQuery
}

// Cancel forgets a resolution that nobody waits for any more; nothing is told of it.
func (c *Client) Cancel(query QueryID) {
	for i, r := range c.waiting {
		if r.query == query {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return
		}
	}
	// One that was sent is answered all the same, in its turn.
}

func (c *Client) handleResolutionResponse(r *request, m *wire.HandleResolutionResponse) {
	if len(m.Causes) > 0 {
		c.q.Tell(Resolved{Query: r.query, Err: remoteError(m.Causes)})
		return
	}
	elements := make([]protocol.PoolElement, len(m.Elements))
	for i, e := range m.Elements {
		elements[i] = e.Clone()
	}
	c.q.Tell(Resolved{Query: r.query, Policy: m.Policy, Elements: elements})
}

// ReportUnreachable tells the registrar that a PE cannot be reached (RFC 5352 section
// 3.5). There is no answer; without a registrar in time it is dropped.
func (c *Client) ReportUnreachable(now time.Time, handle protocol.PoolHandle, id protocol.PEID) {
	c.submit(now, &request{kind: report, key: elementKey{handle, id}}, false)
}
