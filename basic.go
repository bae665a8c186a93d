package rsp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
)

// ElementRegistration is a pool element of basic mode: a service that any server gives, in this
// process or in another one of this machine. PUs get its address by Resolve and go there by themselves.
type ElementRegistration struct {
	// ID is the pool element's. Default: random.
	ID PEID
	// Protocol is the service's: "tcp", "udp", "sctp", "udplite" or "dccp". All elements of a pool have
	// the same.
	Protocol string
	// Addrs are where the service is: one address, with "sctp" also several, which have the same port.
	// They must be this machine's, since a registrar takes only those that its association with this
	// program proves. An unspecified one, like that of a listener on ":80", stands for what the machine
	// has: 0.0.0.0 for its IPv4 addresses, [::] for all. RSPLIB's registrars take no loopback addresses.
	Addrs []netip.AddrPort
	// ServiceCode is the DCCP service code, with "dccp" alone.
	ServiceCode uint32
	// ControlChannel tells that the service speaks ASAP beside its data, with "sctp" and "tcp"
	// (REGF_CONTROLCHANNEL): PUs open sessions with it (Connect). It is what a listening Socket does, and
	// FromConn.
	ControlChannel bool
	// Policy is how the pool selects. Default: RoundRobin.
	Policy Policy
}

// RegisterElement makes a service a pool element, and waits until a registrar has taken it or ctx ends
// (rsp_pe_registration). From then on it stays registered, whatever becomes of the registrar, until
// DeregisterElement or Close; the Endpoint answers the registrar's keep-alives, so that the service seems to
// live as long as this program does. Called again with the identifier that it has returned, it changes the
// rest: policy, addresses. A refusal by the registrar gives an error with a Cause, see CauseOf; if one comes
// later, the element is registered no more, which Events tells.
func (e *Endpoint) RegisterElement(ctx context.Context, pool PoolHandle, r ElementRegistration) (PEID, error) {
	if r.ID == 0 {
		r.ID = PEID(randomID())
	}
	if err := e.registerElement(ctx, pool, &r); err != nil {
		return 0, &OpError{Op: "register", Pool: pool, PE: r.ID, Err: err}
	}
	return r.ID, nil
}

func (e *Endpoint) registerElement(ctx context.Context, pool PoolHandle, r *ElementRegistration) error {
	if err := pool.Validate(); err != nil {
		return err
	}
	if err := e.listen(); err != nil {
		return err
	}
	user, err := r.transport(e.addrs)
	if err != nil {
		return err
	}
	pe := protocol.PoolElement{ID: r.ID, User: user, Policy: r.Policy.wire()}
	if _, isSocket := e.lookupElement(pool, r.ID); isSocket {
		return errors.New("is a Socket's pool element")
	}
	u, err := e.updateElement(func() (PoolHandle, protocol.PoolElement) { return pool, pe })
	switch {
	case err != nil:
		return err
	case u == nil: // no member yet
		return e.register(ctx, pool, pe, nil)
	}
	return e.waitUpdate(ctx, u)
}

// lookupElement tells whether a pool element is registered here: in basic mode, or by a Socket.
func (e *Endpoint) lookupElement(pool PoolHandle, id PEID) (basic, socket bool) {
	e.loop.Do(func(time.Time, *asap.Client) {
		if el := e.elements[elementKey{pool, id}]; el != nil {
			basic, socket = el.socket == nil, el.socket != nil
		}
	})
	return basic, socket
}

// transport is where the service is (RFC 5354 sections 3.3 to 3.7), on a machine with the given addresses.
func (r *ElementRegistration) transport(machine []netip.Addr) (protocol.TransportAddr, error) {
	p, err := protocol.ParseTransportProtocol(r.Protocol)
	switch {
	case err != nil:
	case len(r.Addrs) == 0:
		err = errors.New("needs an address")
	case len(r.Addrs) > 1 && p != protocol.SCTP:
		err = fmt.Errorf("has one address over %v, not %d", p, len(r.Addrs))
	case r.ControlChannel && p != protocol.SCTP && p != protocol.TCP:
		err = fmt.Errorf("has no control channel over %v", p)
	case r.ServiceCode != 0 && p != protocol.DCCP:
		err = fmt.Errorf("has no service code over %v", p)
	}
	if err != nil {
		return protocol.TransportAddr{}, err
	}
	user := protocol.TransportAddr{Protocol: p, Port: r.Addrs[0].Port(), ServiceCode: r.ServiceCode}
	if r.ControlChannel {
		user.Use = protocol.DataAndControl
	}
	for _, at := range r.Addrs {
		if !at.Addr().IsValid() || at.Port() == 0 || at.Port() != user.Port {
			return user, fmt.Errorf("needs addresses with one port, not %v", r.Addrs)
		}
		user.Addrs = append(user.Addrs, specified(at.Addr(), machine)...)
	}
	return user, nil
}

// specified is the address itself, or those of the machine for which it stands.
func specified(a netip.Addr, machine []netip.Addr) []netip.Addr {
	if a = a.Unmap(); !a.IsUnspecified() {
		return []netip.Addr{a}
	}
	var addrs []netip.Addr
	for _, m := range machine {
		if a.Is6() || m.Is4() { // the IPv6 wildcard includes IPv4
			addrs = append(addrs, m)
		}
	}
	return addrs
}

// DeregisterElement takes a pool element that RegisterElement has registered out of its pool, and waits for
// the registrar's word or the end of ctx (rsp_pe_deregistration). An error means that the registrar may find
// out only by itself, but for ErrNotRegistered.
func (e *Endpoint) DeregisterElement(ctx context.Context, pool PoolHandle, id PEID) error {
	var err error
	basic, _ := e.lookupElement(pool, id)
	switch {
	case e.ctx.Err() != nil:
		err = errEndpointClosed
	case !basic:
		err = ErrNotRegistered
	default:
		err = e.deregister(ctx, pool, id)
	}
	if err != nil {
		return &OpError{Op: "deregister", Pool: pool, PE: id, Err: err}
	}
	return nil
}

// deregisterAll takes all pool elements that are left out of their pools, when the Endpoint is closed.
func (e *Endpoint) deregisterAll() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var keys []elementKey
	e.loop.Do(func(time.Time, *asap.Client) { keys = slices.Collect(maps.Keys(e.elements)) })
	var wg sync.WaitGroup
	for _, key := range keys {
		wg.Go(func() {
			if err := e.deregister(ctx, key.pool, key.id); err != nil {
				e.log.Warn("registrar does not know that a pool element is gone", "pool", key.pool, "pe", key.id, "err", err)
			}
		})
	}
	wg.Wait()
}
