package rsp

import (
	"context"
	"net/netip"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
)

// AllElements asks Resolve for all pool elements that the registrar gives.
const AllElements = 1<<32 - 1

// Element is one pool element of a resolution.
type Element struct {
	ID        PEID
	Registrar RegistrarID // its home registrar
	Protocol  string      // of its service: "sctp", "tcp", "udp" ...
	Addrs     []netip.AddrPort
	Policy    Policy
	// ServiceCode is the DCCP service code of the service.
	ServiceCode uint32
	// ControlChannel tells that the service is for sessions (Connect). Without it, the way there is
	// net.Dial(Protocol, Addrs[0].String()), or what else speaks the protocol.
	ControlChannel bool

	user protocol.TransportAddr
}

// Resolution is what a pool handle stands for at the moment, best element first. It belongs to
// who has asked for it.
type Resolution struct {
	Pool     PoolHandle
	Elements []Element
	// Age is the time since a registrar has said so, of the oldest element; 0 unless it comes
	// from the cache.
	Age time.Duration
	// Stale: no registrar could be asked; the elements are from answers of up to Age ago, however
	// long that is.
	Stale bool
}

// Resolve asks for n pool elements of a pool, selected by its policy (RFC 5352 section 3.3): from
// the cache while it is fresh (Config.StaleCache), else from a registrar. n is at most AllElements; 0: as many
// as the registrar gives unasked. A pool without elements gives ErrUnknownPool.
//
// A registrar is asked once for all who want to know the same pool at the same time: each
// gets its own selection from the answer.
//
// While no registrar answers, what is known from earlier answers serves, see Resolution.Stale.
// The first to notice waits as long as a request may take (Config.RegistrarRequestTimeout and
// RegistrarResponseTimeout); from then until a registrar answers, Resolve does not wait, and each call makes
// the search for registrars go on. About a pool of which nothing is known it waits, and gives ErrNoRegistrar.
func (e *Endpoint) Resolve(ctx context.Context, pool PoolHandle, n uint32) (*Resolution, error) {
	e.usesPools.Store(true)
	r, err := e.resolve(ctx, pool, n)
	if err != nil {
		return nil, &OpError{Op: "resolve", Pool: pool, Err: err}
	}
	return r, nil
}

func (e *Endpoint) resolve(ctx context.Context, pool PoolHandle, n uint32) (*Resolution, error) {
	if err := pool.Validate(); err != nil {
		return nil, err
	}
	for items := n; ; {
		r, ask := e.cache.lookup(time.Now(), pool, n)
		switch {
		case r != nil && !ask:
			return r, nil
		case r != nil: // the question goes on without us
			return r, e.ask(pool, items, nil)
		}
		a := e.wait(ctx, pool, n, items)
		switch {
		case a.resolution != nil:
			return a.resolution, nil
		case a.err != nil:
			return nil, a.err
		}
		items = a.items
	}
}

func newElement(pe protocol.PoolElement) Element { return newElementAt(pe, addrPorts(pe.User)) }

// newElementAt describes pe, whose addresses are those of its service.
func newElementAt(pe protocol.PoolElement, addrs []netip.AddrPort) Element {
	return Element{
		ID: pe.ID, Registrar: pe.Home, Protocol: pe.User.Protocol.String(),
		Addrs: addrs, Policy: Policy{pe.Policy}, ServiceCode: pe.User.ServiceCode,
		ControlChannel: pe.User.Use == protocol.DataAndControl, user: pe.User,
	}
}

// ReportFailure tells the registrar, and the cache, that a pool element cannot be
// reached (RFC 5352 section 3.5). It does not wait: there is no answer.
func (e *Endpoint) ReportFailure(pool PoolHandle, id PEID) error {
	if err := pool.Validate(); err != nil {
		return &OpError{Op: "report failure", Pool: pool, PE: id, Err: err}
	}
	e.cache.remove(pool, id)
	e.hearAnnounces()
	if !e.loop.Do(func(now time.Time, c *asap.Client) { c.ReportUnreachable(now, pool, id) }) {
		return &OpError{Op: "report failure", Pool: pool, PE: id, Err: errEndpointClosed}
	}
	return nil
}
