package rsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
)

// Policy returns the policy that a registered pool element has told last, or is about to tell; the zero Policy
// if the Socket is none. A new load of it is told by
//
//	s.SetPolicy(ctx, s.Policy().WithLoad(load))
func (s *Socket) Policy() Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pe == nil || s.pe.pool == "" {
		return Policy{}
	}
	return s.pe.policy
}

// SetPolicy tells the registrar a new policy of a registered pool element, such as a new load or
// weight, and waits until it has taken it or ctx ends (RFC 5352 section 3.1, re-registration). It
// may be called as often as the load changes: while a registrar is being told, only the last of
// the policies set meanwhile goes out after it. When ctx ends first, the policy is told all the
// same, as soon as there is a registrar. The type must be that of the registration, else the error is
// ErrPolicyType.
func (s *Socket) SetPolicy(ctx context.Context, policy Policy) error {
	if err := s.setPolicy(ctx, policy); err != nil {
		return s.peError("set policy", err)
	}
	return nil
}

func (s *Socket) setPolicy(ctx context.Context, policy Policy) error {
	s.mu.Lock()
	pe, err := s.registered()
	if err == nil && pe.policy.Type() != policy.Type() {
		err = fmt.Errorf("%w: %v, not %v", ErrPolicyType, policy, pe.policy)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	pe.policy = policy
	s.mu.Unlock()
	u, err := s.endpoint.updateElement(s.member)
	if u == nil {
		return err
	}
	return s.endpoint.waitUpdate(ctx, u)
}

// SetHealthy(false) takes a pool element that cannot serve new sessions well out of its pool:
// pool users select others, while its sessions go on. SetHealthy(true) brings it back under the
// same identifier, with the policy that was set last. Either waits until the registrar has
// answered or ctx ends. After an error from SetHealthy(false) it counts as unhealthy all the same, and
// the registrar may find out only by itself; after one from SetHealthy(true) it still is.
func (s *Socket) SetHealthy(ctx context.Context, healthy bool) error {
	if err := s.setHealthy(ctx, healthy); err != nil {
		return s.peError("set healthy", err)
	}
	return nil
}

func (s *Socket) setHealthy(ctx context.Context, healthy bool) error {
	s.mu.Lock()
	pe, err := s.registered()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := pe.health.acquire(ctx); err != nil {
		return err
	}
	defer pe.health.release()
	s.mu.Lock()
	changed := pe.unhealthy == healthy
	pe.unhealthy = !healthy
	s.mu.Unlock()
	pool, element := s.member()
	switch {
	case !changed:
		return nil
	case !healthy:
		return s.endpoint.deregister(ctx, pool, element.ID)
	}
	err = s.endpoint.register(ctx, pool, element, s)
	s.mu.Lock()
	pe.unhealthy = err != nil
	left := s.closed || pe.pool == ""
	s.mu.Unlock()
	if err == nil && left { // meanwhile: it must not stay in the pool
		return errors.Join(net.ErrClosed, s.endpoint.deregister(ctx, pool, element.ID))
	}
	if _, now := s.member(); err == nil && now.Policy != element.Policy {
		_, err = s.endpoint.updateElement(s.member)
	}
	return err
}

// setLoad tells the load that load returns, if the policy has one, and does not wait for a
// registrar. A PE that has left its pool has none to tell.
func (s *Socket) setLoad(load func() float64) {
	s.mu.Lock()
	pe, err := s.registered()
	if err != nil {
		s.mu.Unlock()
		return
	}
	policy := pe.policy.WithLoad(load())
	changed := policy != pe.policy
	pe.policy = policy
	s.mu.Unlock()
	if changed {
		_, _ = s.endpoint.updateElement(s.member) // a closed Endpoint tells nobody
	}
}

// registered returns the Socket's role if that is a registered PE, healthy or not; s.mu is
// held.
func (s *Socket) registered() (*poolElement, error) {
	switch {
	case s.closed:
		return nil, net.ErrClosed
	case s.pe == nil || s.pe.pool == "":
		return nil, ErrNoRole
	case s.pe.ctx.Err() != nil:
		return nil, context.Cause(s.pe.ctx) // the registrar's refusal
	}
	return s.pe, nil
}

// member is what the Socket, a PE, tells a registrar of itself.
func (s *Socket) member() (PoolHandle, protocol.PoolElement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pe.pool, protocol.PoolElement{
		ID: s.pe.id, User: userTransport(s.pe.listener), Policy: s.pe.policy.wire(),
	}
}

func (s *Socket) peError(op string, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pe == nil {
		return &OpError{Op: op, Err: err}
	}
	return &OpError{Op: op, Pool: s.pe.pool, PE: s.pe.id, Err: err}
}

// update is what those wait for who have changed a pool element of ours.
type update struct {
	done chan struct{} // closed when a registrar has taken the change, or never will
	err  error
}

func (u *update) end(err error) {
	if u != nil {
		u.err = err
		close(u.done)
	}
}

// waitUpdate waits until a registrar has taken a change. When ctx ends first, it is told all the same.
func (e *Endpoint) waitUpdate(ctx context.Context, u *update) error {
	select {
	case <-u.done:
		return u.err
	case <-e.ctx.Done():
		return errEndpointClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// updateElement tells a registrar, at once or as soon as there is one, what a pool element of ours is
// by then. It returns nil if that is no member now.
func (e *Endpoint) updateElement(member func() (PoolHandle, protocol.PoolElement)) (*update, error) {
	var u *update
	if !e.loop.Do(func(now time.Time, c *asap.Client) {
		pool, pe := member()
		el := e.elements[elementKey{pool, pe.ID}]
		if el == nil || el.deregistered != nil {
			return
		}
		if el.updated == nil {
			el.updated = &update{done: make(chan struct{})}
		}
		u = el.updated
		c.Register(now, pool, pe)
	}) {
		return nil, errEndpointClosed
	}
	return u, nil
}
