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

	user protocol.TransportAddr
}

// Resolution is what a pool handle stands for at the moment, best element first.
type Resolution struct {
	Pool     PoolHandle
	Elements []Element
	Age      time.Duration // since the registrar said so; 0 unless it comes from the cache
}

// Resolve asks for n pool elements of a pool, selected by its policy (RFC 5352
// section 3.3): from the cache while it is fresh (Config.StaleCache), else from a registrar. n is at most
// AllElements; 0: as many as the registrar gives unasked. A pool without elements gives ErrUnknownPool.
func (e *Endpoint) Resolve(ctx context.Context, pool PoolHandle, n uint32) (*Resolution, error) {
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
	if r := e.cache.lookup(time.Now(), pool, n); r != nil {
		return r, nil
	}
	answer, err := e.query(ctx, pool, n)
	if err != nil {
		return nil, err
	}
	if cause, ok := CauseOf(answer.Err); ok && cause == protocol.CauseUnknownPoolHandle {
		e.cache.purge(pool)
		return nil, &unknownPoolError{answer.Err}
	}
	if answer.Err != nil {
		return nil, answer.Err
	}
	if len(answer.Elements) == 0 {
		return nil, ErrUnknownPool
	}
	e.cache.store(time.Now(), pool, answer.Elements)
	r := &Resolution{Pool: pool}
	for _, pe := range answer.Elements {
		r.Elements = append(r.Elements, newElement(pe))
	}
	return r, nil
}

// unknownPoolError is a registrar's word that it does not know a pool.
type unknownPoolError struct{ cause error }

func (e *unknownPoolError) Error() string        { return ErrUnknownPool.Error() }
func (e *unknownPoolError) Unwrap() error        { return e.cause }
func (e *unknownPoolError) Is(target error) bool { return target == ErrUnknownPool }

// query sends one handle resolution and waits for its end.
func (e *Endpoint) query(ctx context.Context, pool PoolHandle, n uint32) (asap.Resolved, error) {
	e.hearAnnounces()
	answer := make(chan asap.Resolved, 1)
	var id asap.QueryID
	if !e.loop.Do(func(now time.Time, c *asap.Client) {
		id = c.Resolve(now, pool, n)
		e.queries[id] = answer
	}) {
		return asap.Resolved{}, errEndpointClosed
	}
	select {
	case a := <-answer:
		return a, nil
	case <-e.ctx.Done():
		return asap.Resolved{}, errEndpointClosed
	case <-ctx.Done():
		e.loop.Do(func(_ time.Time, c *asap.Client) {
			c.Cancel(id)
			delete(e.queries, id)
		})
		return asap.Resolved{}, ctx.Err()
	}
}

func newElement(pe protocol.PoolElement) Element {
	return Element{
		ID: pe.ID, Registrar: pe.Home, Protocol: pe.User.Protocol.String(),
		Addrs: addrPorts(pe.User), Policy: Policy{pe.Policy}, user: pe.User,
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
