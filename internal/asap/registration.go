package asap

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// registrationState is where a PE stands with its pool (RFC 5352 sections 3.1
// and 3.2).
//
//	Register              response                      Deregister                response
//	────────▶ registering ────────▶ registered ───────────────────▶ deregistering ────────▶ gone
//	           │      ▲                │  ▲ │
//	           │      └────────────────┘  └─┘ T4-reregistration, new policy:
//	           │ rejected   home lost          registers anew, stays registered
//	           ▼
//	          gone
type registrationState uint8

const (
	registering registrationState = iota
	registered
	deregistering
)

// registration is one PE of ours.
type registration struct {
	pe    protocol.PoolElement
	state registrationState
	// pending: a REGISTRATION is waiting or sent; changed: pe has changed since.
	pending, changed bool
	untold           bool      // a change that no registrar has taken yet
	t4Reregistration time.Time // zero while one is pending
}

// elements lists our PEs in order, so that the same inputs have the same effects.
func (c *Client) elements() []elementKey {
	return slices.SortedFunc(maps.Keys(c.registrations), func(a, b elementKey) int {
		return cmp.Or(cmp.Compare(a.handle, b.handle), cmp.Compare(a.id, b.id))
	})
}

// Registered is told when a PE has become a member of its pool, first or again
// after its registrar was lost.
type Registered struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

// Updated is told when a registrar has taken the latest that Register said of a PE which was a
// member already. Changes that come soon after each other are told, and taken, as one.
type Updated struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
}

// Rejected is told when a registrar has refused a PE, which is gone then.
type Rejected struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
	Err    error
}

// Deregistered is told when a PE has left its pool; with an error, the registrar may
// find out by itself only.
type Deregistered struct {
	Handle protocol.PoolHandle
	ID     protocol.PEID
	Err    error
}

// Register makes pe a member of a pool, or updates what is known of it: its policy
// or its addresses. It goes on until Rejected or Deregistered is told; while the PE is being
// deregistered, Register does nothing.
func (c *Client) Register(now time.Time, handle protocol.PoolHandle, pe protocol.PoolElement) {
	key := elementKey{handle, pe.ID}
	pe.Life = 3 * c.cfg.ReregistrationTimeout
	reg := c.registrations[key]
	if reg == nil {
		reg = &registration{pe: pe.Clone()}
		c.registrations[key] = reg
		c.becomeRegistering(now, key, reg)
		return
	}
	pe.Home = reg.pe.Home
	reg.pe, reg.changed, reg.untold = pe.Clone(), true, true
	if !reg.pending && reg.state == registered {
		c.reregister(now, key, reg)
	}
}

func (c *Client) becomeRegistering(now time.Time, key elementKey, reg *registration) {
	reg.state = registering
	c.reregister(now, key, reg)
}

// reregister sends the registration (R1 to R4) as soon as there is a registrar.
func (c *Client) reregister(now time.Time, key elementKey, reg *registration) {
	reg.t4Reregistration = time.Time{}
	reg.pending = true
	c.submit(now, &request{kind: register, key: key})
}

// element is what we say of a PE.
func (c *Client) element(reg *registration) protocol.PoolElement {
	pe := reg.pe
	if addrs := c.reachable(pe.User.Addrs); len(addrs) > 0 { // else the registrar says what is wrong with it
		pe.User.Addrs = addrs
	}
	if pe.User.Protocol != protocol.SCTP && len(pe.User.Addrs) > 1 {
		pe.User.Addrs = c.hunt.single(pe.User.Addrs)
	}
	return pe
}

// reachable leaves out addresses that only this machine or link can use, unless the registrar is on
// this machine itself.
func (c *Client) reachable(all []netip.Addr) []netip.Addr {
	if addrs := c.hunt.remote.Addrs; len(addrs) > 0 && addrs[0].IsLoopback() {
		return all
	}
	var addrs []netip.Addr
	for _, a := range all {
		if protocol.ScopeOf(a) > protocol.ScopeLinkLocal {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// single chooses the one address that a transport other than SCTP has (RFC 5354 sections 3.3 and 3.5
// to 3.7): one that the association with the registrar proves to be ours.
func (h *hunt) single(addrs []netip.Addr) []netip.Addr {
	registrar := h.remote.AddrPort().Addr()
	i := slices.IndexFunc(addrs, func(a netip.Addr) bool {
		return a.Is4() == registrar.Is4() && slices.Contains(h.local.Addrs, a)
	})
	i = max(i, 0)
	return addrs[i : i+1]
}

func (c *Client) handleRegistrationResponse(now time.Time, m *wire.RegistrationResponse) {
	key := elementKey{m.Handle, m.ID}
	reg := c.registrations[key]
	if reg == nil || reg.state == deregistering {
		return
	}
	if m.Reject {
		c.handleReject(now, key, reg, remoteError(m.Causes))
		return
	}
	c.becomeRegistered(now, key, reg)
}

// handleReject takes a refusal. That our addresses do not fit this association can be
// cured by another one; everything else must be corrected by the upper layer (RFC 5352
// section 3.1).
func (c *Client) handleReject(now time.Time, key elementKey, reg *registration, err error) {
	if remote, ok := errors.AsType[*RemoteError](err); ok && reg.state == registered &&
		(remote.Cause == protocol.CauseNoUsableASAPAddresses || remote.Cause == protocol.CauseNoUsableUserAddresses) {
		c.dropHome(now, err)
		return
	}
	c.becomeRejected(key, err)
}

func (c *Client) becomeRegistered(now time.Time, key elementKey, reg *registration) {
	reg.pending = false
	reg.t4Reregistration = now.Add(c.cfg.ReregistrationTimeout)
	c.nextT4 = effect.Earliest(c.nextT4, reg.t4Reregistration)
	if reg.state == registering {
		reg.state = registered
		c.q.Tell(Registered{key.handle, key.id})
	}
	switch {
	case reg.changed:
		c.reregister(now, key, reg)
	case reg.untold:
		reg.untold = false
		c.q.Tell(Updated{key.handle, key.id})
	}
}

func (c *Client) becomeRejected(key elementKey, err error) {
	if reg := c.registrations[key]; reg == nil || reg.state == deregistering {
		return
	}
	delete(c.registrations, key)
	c.q.Tell(Rejected{key.handle, key.id, err})
}

// Deregister takes a PE out of its pool. Deregistered is told in any case, at the latest when
// no registrar has answered.
func (c *Client) Deregister(now time.Time, handle protocol.PoolHandle, id protocol.PEID) {
	key := elementKey{handle, id}
	reg := c.registrations[key]
	if reg == nil {
		c.q.Tell(Deregistered{Handle: handle, ID: id})
		return
	}
	if reg.state == deregistering {
		return
	}
	reg.state = deregistering
	reg.t4Reregistration = time.Time{}
	c.waiting = slices.DeleteFunc(c.waiting, func(r *request) bool { return r.kind == register && r.key == key })
	c.submit(now, &request{kind: deregister, key: key})
}

func (c *Client) handleDeregistrationResponse(m *wire.DeregistrationResponse) {
	var err error
	if len(m.Causes) > 0 { // "If the de-registration is rejected" (RFC 5352 section 3.2)
		err = remoteError(m.Causes)
	}
	c.becomeDeregistered(elementKey{m.Handle, m.ID}, err)
}

func (c *Client) becomeDeregistered(key elementKey, err error) {
	delete(c.registrations, key)
	c.q.Tell(Deregistered{key.handle, key.id, err})
}

// advanceRegistrations registers anew every PE whose T4-reregistration has expired.
func (c *Client) advanceRegistrations(now time.Time) {
	if c.nextT4.IsZero() || c.nextT4.After(now) {
		return
	}
	c.nextT4 = time.Time{}
	for _, key := range c.elements() {
		reg := c.registrations[key]
		if !reg.t4Reregistration.IsZero() && !reg.t4Reregistration.After(now) {
			c.reregister(now, key, reg)
		}
		c.nextT4 = effect.Earliest(c.nextT4, reg.t4Reregistration)
	}
}

// reregisterAll registers with a registrar that we have adopted: the old one, if it lives, takes
// our PEs out of their pools when our association with it ends.
func (c *Client) reregisterAll(now time.Time) {
	for _, key := range c.elements() {
		if reg := c.registrations[key]; reg.state == registered && !reg.pending {
			c.reregister(now, key, reg)
		}
	}
}

// handleKeepAlive answers a registrar that asks whether a PE lives (RFC 5352
// section 3.4). KA1: one about a PE that we do not have is discarded.
func (c *Client) handleKeepAlive(now time.Time, id effect.AssocID, m *wire.EndpointKeepAlive) {
	asked := c.asked(m)
	if len(asked) == 0 {
		return
	}
	adopts := id != c.hunt.home && (m.Home || c.hunt.state != connected)
	if adopts {
		c.adopt(now, id)
	}
	for _, key := range asked {
		if id == c.hunt.home {
			c.hunt.id = m.Registrar
			c.registrations[key].pe.Home = m.Registrar
		}
		c.q.Send(c.hunt.home, protocol.PPIDASAP, &wire.EndpointKeepAliveAck{Handle: key.handle, ID: key.id})
	}
	if adopts {
		c.reregisterAll(now)
	}
}

// asked returns those of our PEs that a keep-alive is about. Without RSPLIB's PE
// Identifier, it is about every PE of the pool.
func (c *Client) asked(m *wire.EndpointKeepAlive) []elementKey {
	if m.ID != 0 {
		key := elementKey{m.Handle, m.ID}
		if c.registrations[key] == nil {
			return nil
		}
		return []elementKey{key}
	}
	var keys []elementKey
	for _, key := range c.elements() {
		if key.handle == m.Handle {
			keys = append(keys, key)
		}
	}
	return keys
}
