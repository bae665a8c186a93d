package rsp

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// Socket is RSPLIB's socket: fresh, then either a pool element that listens (Listen,
// RegisterPE, AcceptSocket) or a session (connected, or accepted). A pool element is a
// net.Listener, a session a net.Conn. Its methods may be called by several goroutines at
// once; Close and Abort interrupt the others.
type Socket struct {
	endpoint *Endpoint

	mu        sync.Mutex
	local     string // of Bind
	session   *session
	pe        *poolElement
	component *component // that reports it; nil: none does
	closed    bool
}

var (
	_ net.Conn     = (*Socket)(nil)
	_ net.Listener = (*Socket)(nil)
)

// poolElement is a Socket's role as PE.
type poolElement struct {
	listener transport.Listener
	ctx      context.Context // ends with the Socket, or when the registrar rejects it
	cancel   context.CancelCauseFunc

	health semaphore // held by SetHealthy

	// Guarded by the Socket's mu.
	pool      PoolHandle // "" unless registered
	id        PEID
	policy    Policy
	unhealthy bool       // not registered until SetHealthy
	many      *oneToMany // nil unless it receives from all its sessions
}

// PE is what a pool element registers with. The zero value is ready to use.
type PE struct {
	ID     PEID   // default: random
	Policy Policy // default: RoundRobin
}

// Socket returns a fresh Socket (rsp_socket).
func (e *Endpoint) Socket() *Socket { return &Socket{endpoint: e} }

// Listen registers a pool element on all addresses of the machine, on a port of the
// system's choice, and returns its listening Socket.
func (e *Endpoint) Listen(ctx context.Context, pool PoolHandle, pe PE) (*Socket, error) {
	s := e.Socket()
	if err := s.RegisterPE(ctx, pool, pe); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Bind chooses where the Socket will listen (rsp_bind): "host:port", of which either part may be
// empty, or with more of this machine's addresses, for the same port, "host:port,host,...".
func (s *Socket) Bind(address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fresh(); err != nil {
		return &OpError{Op: "bind", Err: err}
	}
	first, _, _ := strings.Cut(address, ",")
	if _, _, err := net.SplitHostPort(first); err != nil {
		return &OpError{Op: "bind", Err: err}
	}
	s.local = address
	return nil
}

// fresh returns an error unless s has no role yet; s.mu is held.
func (s *Socket) fresh() error {
	if s.closed {
		return net.ErrClosed
	}
	if s.session != nil || s.pe != nil {
		return ErrNoRole
	}
	return nil
}

// Listen makes the Socket accept sessions, though nobody finds it until RegisterPE
// (rsp_listen).
func (s *Socket) Listen(ctx context.Context) error {
	if err := s.listen(ctx); err != nil {
		return &OpError{Op: "listen", Err: err}
	}
	return nil
}

func (s *Socket) listen(ctx context.Context) error {
	s.mu.Lock()
	err, local := s.fresh(), s.local
	s.mu.Unlock()
	if err != nil {
		return err
	}
	network := s.endpoint.networks.members[0]
	at, err := lookupHosts(ctx, local)
	if err != nil {
		return err
	}
	at.Protocol = network.Protocol()
	ln, err := network.Listen(ctx, at, s.endpoint.options)
	if err != nil {
		return err
	}
	s.mu.Lock()
	err = s.fresh()
	if err == nil {
		err = s.endpoint.add(s)
	}
	if err == nil {
		pe := &poolElement{listener: ln, health: newSemaphore()}
		pe.ctx, pe.cancel = context.WithCancelCause(context.Background())
		s.pe, s.component = pe, &component{}
	}
	s.mu.Unlock()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	return nil
}

// RegisterPE makes the Socket a pool element of a pool, after Listen if need be, and
// waits until a registrar has taken it or ctx ends (rsp_register). From then on it stays
// registered, whatever becomes of the registrar, until DeregisterPE or Close. Called again
// with the same pool it tells a new policy, such as a new load. A refusal by the registrar gives an error
// with a Cause, see CauseOf; if one comes later, AcceptSocket returns it.
func (s *Socket) RegisterPE(ctx context.Context, pool PoolHandle, pe PE) error {
	id, err := s.registerPE(ctx, pool, pe)
	if err != nil {
		return &OpError{Op: "register", Pool: pool, PE: id, Err: err}
	}
	return nil
}

func (s *Socket) registerPE(ctx context.Context, pool PoolHandle, pe PE) (PEID, error) {
	if err := pool.Validate(); err != nil {
		return pe.ID, err
	}
	s.mu.Lock()
	listening := s.pe != nil
	s.mu.Unlock()
	if !listening {
		if err := s.listen(ctx); err != nil {
			return pe.ID, err
		}
	}
	s.mu.Lock()
	role := s.pe
	first := role.pool == ""
	switch {
	case s.closed:
		s.mu.Unlock()
		return pe.ID, net.ErrClosed
	case first:
		role.pool, role.id = pool, pe.ID
		if role.id == 0 {
			role.id = PEID(randomID())
		}
	case role.pool != pool || pe.ID != 0 && pe.ID != role.id:
		s.mu.Unlock()
		return pe.ID, ErrNoRole
	}
	id := role.id
	unhealthy := role.unhealthy
	role.policy, role.unhealthy = pe.Policy, false
	s.mu.Unlock()

	err := s.endpoint.register(ctx, pool, protocol.PoolElement{
		ID: id, User: userTransport(role.listener), Policy: pe.Policy.wire(),
	}, s)
	if err != nil {
		s.mu.Lock()
		role.unhealthy = unhealthy
		if first {
			role.pool, role.id = "", 0
		}
		s.mu.Unlock()
	}
	return id, err
}

// userTransport is where a PE serves: data and control channel on one association.
func userTransport(ln transport.Listener) protocol.TransportAddr {
	user := ln.LocalAddr()
	user.Use = protocol.DataAndControl
	return user
}

// DeregisterPE takes the pool element out of its pool (rsp_deregister). It goes on
// accepting sessions, from those who know its address. An error means that the registrar may find
// out only by itself.
func (s *Socket) DeregisterPE(ctx context.Context) error {
	s.mu.Lock()
	pe := s.pe
	if pe == nil || pe.pool == "" {
		s.mu.Unlock()
		return &OpError{Op: "deregister", Err: ErrNoRole}
	}
	pool, id := pe.pool, pe.id
	pe.pool = ""
	s.mu.Unlock()
	if err := s.endpoint.deregister(ctx, pool, id); err != nil {
		return &OpError{Op: "deregister", Pool: pool, PE: id, Err: err}
	}
	return nil
}

// AcceptSocket waits for the next session with the pool element (rsp_accept). A Socket that has
// begun to receive from all its sessions, see RecvMsg, accepts them by itself.
func (s *Socket) AcceptSocket(ctx context.Context) (*Socket, error) {
	if !s.accepts() {
		return nil, &OpError{Op: "accept", Err: ErrNoRole}
	}
	return s.accept(ctx)
}

func (s *Socket) accepts() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pe != nil && s.pe.many == nil
}

func (s *Socket) accept(ctx context.Context) (*Socket, error) {
	s.mu.Lock()
	pe, component := s.pe, s.component
	s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(pe.ctx, func() { cancel(context.Cause(pe.ctx)) })()
	assoc, err := pe.listener.Accept(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, &OpError{Op: "accept", Err: err}
	}
	accepted := s.endpoint.Socket()
	accepted.session, accepted.component = newAcceptedSession(s.endpoint, assoc), component
	component.join(accepted, true)
	if err := s.endpoint.add(accepted); err != nil {
		component.leave(accepted, accepted.session)
		assoc.Abort()
		return nil, &OpError{Op: "accept", Err: err}
	}
	return accepted, nil
}

// Accept is AcceptSocket for a net.Listener.
func (s *Socket) Accept() (net.Conn, error) {
	accepted, err := s.AcceptSocket(context.Background())
	if err != nil {
		return nil, err
	}
	return accepted, nil
}

// Addr is LocalAddr for a net.Listener.
func (s *Socket) Addr() net.Addr { return s.LocalAddr() }

// LocalPE returns the pool element's identifier; 0 unless the Socket is one and
// registered (rsp_getsockname).
func (s *Socket) LocalPE() PEID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pe == nil {
		return 0
	}
	return s.pe.id
}

// LocalAddr returns a PoolAddr: where the Socket listens, or the session's end here.
func (s *Socket) LocalAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.pe != nil:
		return poolAddr(s.pe.pool, s.pe.id, s.pe.listener.LocalAddr())
	case s.session != nil:
		return s.session.addr(transport.Assoc.LocalAddr, "", 0)
	}
	return PoolAddr{}
}

// closeTimeout bounds how long Close waits for a registrar.
const closeTimeout = time.Second

// Close ends the Socket. A pool element is deregistered first, which takes a second
// at most, and its sessions live on, unless it receives from them all; a session ends gracefully: what was written is still
// delivered.
func (s *Socket) Close() error { return s.end((*session).close, true) }

// Abort ends the Socket abruptly: the peer of a session sees a loss, and a pool element stays in its pool
// until the registrar finds out. It is there for tests of what happens then.
func (s *Socket) Abort() error { return s.end((*session).abort, false) }

func (s *Socket) end(endSession func(*session) error, deregister bool) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return &OpError{Op: "close", Err: net.ErrClosed}
	}
	s.closed = true
	session, pe, component := s.session, s.pe, s.component
	s.mu.Unlock()
	s.endpoint.remove(s)
	if component != nil {
		component.leave(s, session)
	}
	if session != nil {
		return endSession(session)
	}
	if pe == nil {
		return nil
	}
	var errs []error
	if pool, id := s.registeredAs(); deregister && pool != "" {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		errs = append(errs, s.endpoint.deregister(ctx, pool, id))
	}
	pe.cancel(net.ErrClosed)
	errs = append(errs, pe.listener.Close())
	if pe.many != nil { // nothing sets it once s is closed
		errs = append(errs, pe.many.stop(func(s *Socket) error { return s.end(endSession, false) }))
	}
	return errors.Join(errs...)
}

// reject ends the pool element, which a registrar has refused.
func (s *Socket) reject(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pe.cancel(cause)
}

func (s *Socket) registeredAs() (PoolHandle, PEID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pe.pool, s.pe.id
}
