package rsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/registrar"
	"github.com/rserpool/rsp/internal/transport"
)

// AddressScope orders addresses by how far they reach.
type AddressScope = protocol.Scope

// Scopes for RegistrarConfig.MinAddressScope.
const (
	ScopeLoopback  = protocol.ScopeLoopback
	ScopeSiteLocal = protocol.ScopeSiteLocal // private addresses (RFC 1918) and farther ones
	ScopeGlobal    = protocol.ScopeGlobal
)

// RegistrarConfig is where a Registrar serves, and how patient and how generous it
// is. The zero value of each field means its default.
type RegistrarConfig struct {
	// ID is the registrar's identifier in its operation scope. Default: random.
	ID RegistrarID
	// Address is where PEs and PUs find the registrar, "host:port"; with SCTP, further
	// hosts may follow behind commas. An empty host is all addresses of the machine, port 0 one
	// of the system's choice. Default: all addresses at the well-known port 3863 or, if that is
	// taken, at one of the system's choice.
	Address string
	// Network carries all associations. Default: Auto, all that this machine has,
	// under one port number.
	Network Network
	// Logger takes what happens. Default: nothing is logged.
	Logger *slog.Logger

	// EndpointKeepAliveTransmissionInterval is how long a PE is quiet before it is
	// asked for a sign of life, give or take an eighth. Default: 5 s.
	EndpointKeepAliveTransmissionInterval time.Duration
	// EndpointKeepAliveTimeoutInterval is how long a PE has to answer, before its
	// association is aborted and all PEs of it are removed. Default: 5 s.
	EndpointKeepAliveTimeoutInterval time.Duration
	// MaxBadPEReports is which report of a PE as unreachable removes it. Default: 3.
	MaxBadPEReports int
	// MaxHResItems is how many PEs a resolution gives if the PU does not say how
	// many it wants. Default: 3.
	MaxHResItems int
	// MaxIncrement is how many PEs of a resolution count as selected, so that the
	// next one starts behind them; policies that draw PEs at random have no use for it. Default: 1.
	MaxIncrement int
	// MaxHRRate and MaxEURate are how many handle resolutions and how many failure
	// reports a second one PU may send. A resolution beyond that is answered as if the pool were
	// unknown, a report is passed over. Default: unlimited.
	MaxHRRate, MaxEURate float64
	// MinAddressScope is how far a PE's addresses must reach; others are not
	// registered. Default: ScopeLoopback.
	MinAddressScope AddressScope
	// MaxElements is how many PEs may be registered at a time. Default: 1<<20.
	MaxElements int
	// AutoClose is the silence after which an association without a PE is closed.
	// Default: 300 s.
	AutoClose time.Duration

	// Association tunes the associations with PEs and PUs.
	Association AssociationConfig
}

// withDefaults returns a copy of c with its zero fields filled.
func (c *RegistrarConfig) withDefaults() RegistrarConfig {
	var d RegistrarConfig
	if c != nil {
		d = *c
	}
	if d.ID == 0 {
		d.ID = RegistrarID(randomID())
	}
	d.Logger = loggerOr(d.Logger)
	orDefault(&d.EndpointKeepAliveTransmissionInterval, 5*time.Second)
	orDefault(&d.EndpointKeepAliveTimeoutInterval, 5*time.Second)
	orDefault(&d.MaxBadPEReports, 3)
	orDefault(&d.MaxHResItems, 3)
	orDefault(&d.MaxIncrement, 1)
	orDefault(&d.MinAddressScope, ScopeLoopback)
	orDefault(&d.MaxElements, 1<<20)
	orDefault(&d.AutoClose, 300*time.Second)
	return d
}

func (c *RegistrarConfig) validate() error {
	for name, interval := range map[string]time.Duration{
		"EndpointKeepAliveTransmissionInterval": c.EndpointKeepAliveTransmissionInterval,
		"EndpointKeepAliveTimeoutInterval":      c.EndpointKeepAliveTimeoutInterval,
		"AutoClose":                             c.AutoClose,
	} {
		if interval < 0 {
			return fmt.Errorf("%s must not be negative, as %v is", name, interval)
		}
	}
	for name, rate := range map[string]float64{"MaxHRRate": c.MaxHRRate, "MaxEURate": c.MaxEURate} {
		if !(rate >= 0) {
			return fmt.Errorf("%s must not be negative, as %v is", name, rate)
		}
	}
	for name, limit := range map[string]int{
		"MaxBadPEReports": c.MaxBadPEReports,
		"MaxHResItems":    c.MaxHResItems,
		"MaxIncrement":    c.MaxIncrement,
		"MaxElements":     c.MaxElements,
	} {
		if limit < 0 {
			return fmt.Errorf("%s must not be negative, as %d is", name, limit)
		}
	}
	return nil
}

// Registrar keeps the handlespace of an operation scope: PEs register with it, it
// watches them, and PUs resolve pool handles with it (the ENRP server of RFC 5352). Its methods may be
// called by several goroutines at once.
type Registrar struct {
	cfg      RegistrarConfig
	log      *slog.Logger
	networks []transport.Network
	loop     *loop.Loop[*registrar.Engine]
	events   *eventLog
	watchers map[*watcher]struct{} // owned by the loop
	ended    chan struct{}         // closed when the loop has ended

	mu        sync.Mutex
	started   bool
	closed    bool
	listeners []transport.Listener
}

var errRegistrarClosed = fmt.Errorf("registrar is closed: %w", net.ErrClosed)

// NewRegistrar returns a Registrar that does not serve yet. nil stands for the zero
// RegistrarConfig, which the Registrar does not keep.
func NewRegistrar(cfg *RegistrarConfig) (*Registrar, error) {
	c := cfg.withDefaults()
	if err := c.validate(); err != nil {
		return nil, &OpError{Op: "new registrar", Err: err}
	}
	networks, err := c.Network.transports(c.Logger)
	if err != nil {
		return nil, &OpError{Op: "new registrar", Err: err}
	}
	return newRegistrar(c, networks), nil
}

func newRegistrar(c RegistrarConfig, networks []transport.Network) *Registrar {
	log := c.Logger.With("registrar", c.ID)
	r := &Registrar{cfg: c, log: log, networks: networks, events: newEventLog(log), watchers: make(map[*watcher]struct{}), ended: make(chan struct{})}
	engine := registrar.New(registrar.Config{
		Home: asap.HomeConfig{
			ID:                                    c.ID,
			Rand:                                  newRand(),
			EndpointKeepAliveTransmissionInterval: c.EndpointKeepAliveTransmissionInterval,
			EndpointKeepAliveTimeoutInterval:      c.EndpointKeepAliveTimeoutInterval,
			MaxBadPEReports:                       c.MaxBadPEReports,
			MaxHResItems:                          c.MaxHResItems,
			MaxHRRate:                             c.MaxHRRate,
			MaxEURate:                             c.MaxEURate,
			MinAddressScope:                       c.MinAddressScope,
			MaxElements:                           c.MaxElements,
			AutoClose:                             c.AutoClose,
		},
		MaxIncrement: c.MaxIncrement,
	})
	r.loop = loop.New(engine, loop.Config{
		Networks: networks,
		Options:  c.Association.registrarOptions(),
		Logger:   r.log,
		Tell:     r.handleEvent,
	})
	return r
}

// handleEvent takes what the engine tells; the loop's lock is held.
func (r *Registrar) handleEvent(event any) {
	c := event.(registrar.Change)
	r.feed(c)
	level, text := describe(c)
	if !r.events.enabled(level) {
		return
	}
	pe := &c.Element.PoolElement
	args := []any{"pool", string(c.Element.Handle), "pe", pe.ID}
	if c.Kind == handlespace.Removed {
		args = append(args, "reason", c.Reason)
	} else {
		args = append(args, "at", pe.User.String(), "policy", pe.Policy)
	}
	r.events.tell(level, text, args...)
}

// describe says in an operator's words what has happened.
func describe(c registrar.Change) (slog.Level, string) {
	switch c.Kind {
	case handlespace.Added:
		return slog.LevelInfo, "pool element registered"
	case handlespace.Removed:
		if c.Reason == handlespace.Deregistered {
			return slog.LevelInfo, "pool element deregistered"
		}
		return slog.LevelWarn, "pool element lost"
	}
	return slog.LevelDebug, "pool element changed"
}

// Start opens the registrar's port and serves until Shutdown or Abort. It does not
// wait, except for names to be looked up, which ctx bounds.
func (r *Registrar) Start(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return &OpError{Op: "start registrar", Err: err}
	}
	return nil
}

func (r *Registrar) start(ctx context.Context) error {
	listeners, err := r.listen(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.started {
		closeAll(listeners)
		if r.closed {
			return errRegistrarClosed
		}
		return errors.New("started already")
	}
	r.started = true
	r.listeners = listeners
	for _, ln := range listeners {
		r.loop.Serve(ln, protocol.PPIDASAP)
	}
	return nil
}

// listen opens a listener for each transport, all at one port.
func (r *Registrar) listen(ctx context.Context) ([]transport.Listener, error) {
	if r.cfg.Address == "" {
		listeners, err := r.listenAt(ctx, protocol.TransportAddr{Port: protocol.PortASAP})
		if err == nil {
			return listeners, nil
		}
		r.log.Info("cannot have the well-known port, taking another", "port", protocol.PortASAP, "reason", err)
		return r.listenAt(ctx, protocol.TransportAddr{})
	}
	first, others, _ := strings.Cut(r.cfg.Address, ",")
	local, err := lookupAddr(ctx, 0, first)
	if err != nil {
		return nil, err
	}
	for host := range strings.SplitSeq(others, ",") {
		if host == "" {
			continue
		}
		more, err := lookupAddr(ctx, 0, net.JoinHostPort(strings.Trim(host, "[]"), ""))
		if err != nil {
			return nil, err
		}
		local.Addrs = append(local.Addrs, more.Addrs...)
	}
	return r.listenAt(ctx, local)
}

// listenAt opens a listener for each transport at local's port or, if that is 0, at
// one that all transports have free.
func (r *Registrar) listenAt(ctx context.Context, local protocol.TransportAddr) (listeners []transport.Listener, err error) {
	const attempts = 10 // one transport's free port may be taken at the next
	for range attempts {
		if listeners, err = r.tryListen(ctx, local); err == nil || local.Port != 0 {
			break
		}
	}
	return listeners, err
}

func (r *Registrar) tryListen(ctx context.Context, local protocol.TransportAddr) ([]transport.Listener, error) {
	var listeners []transport.Listener
	for _, n := range r.networks {
		local.Protocol = n.Protocol()
		ln, err := n.Listen(ctx, local, r.cfg.Association.registrarOptions())
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		local.Port = ln.LocalAddr().Port
		listeners = append(listeners, ln)
	}
	return listeners, nil
}

// closeAll gives up listeners that nobody has used: an error says nothing.
func closeAll(listeners []transport.Listener) {
	for _, ln := range listeners {
		_ = ln.Close()
	}
}

// Shutdown ends all associations gracefully and stops serving. PEs and PUs look for
// another registrar at once. When ctx ends first, Shutdown returns its error, and the rest ends by
// itself within about a second.
func (r *Registrar) Shutdown(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- r.end(r.loop.Close) }()
	select {
	case err := <-done:
		if err != nil {
			return &OpError{Op: "shut registrar down", Err: err}
		}
		return nil
	case <-ctx.Done():
		return &OpError{Op: "shut registrar down", Err: ctx.Err()}
	}
}

// Abort stops the registrar as if its process had been killed: PEs and PUs see
// their associations lost.
func (r *Registrar) Abort() {
	_ = r.end(func() error { r.loop.Abort(); return nil })
}

// end stops the loop by stop, which waits for it, then all else.
func (r *Registrar) end(stop func() error) error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	r.mu.Unlock()
	err := stop()
	r.events.stop()
	if first {
		close(r.ended)
	}
	return err
}

// ID is the registrar's identifier.
func (r *Registrar) ID() RegistrarID { return r.cfg.ID }

// Addr is the first of Addrs; "" before Start.
func (r *Registrar) Addr() string {
	if addrs := r.Addrs(); len(addrs) > 0 {
		return addrs[0]
	}
	return ""
}

// Addrs lists where the registrar serves, each fit for Config.Registrars, those that
// reach farthest first. It is empty before Start.
func (r *Registrar) Addrs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []netip.AddrPort
	for _, ln := range r.listeners {
		for _, a := range addrPorts(ln.LocalAddr()) {
			a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
			if protocol.ScopeOf(a.Addr()) != protocol.ScopeLinkLocal && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b netip.AddrPort) int {
		return int(protocol.ScopeOf(b.Addr()) - protocol.ScopeOf(a.Addr()))
	})
	addrs := make([]string, len(all))
	for i, a := range all {
		addrs[i] = a.String()
	}
	return addrs
}

// Pool is a pool as a registrar knows it.
type Pool struct {
	Handle   PoolHandle
	Policy   string // the policy's name; each element has its own parameters
	Elements []RegisteredElement
}

// RegisteredElement is a pool element as a registrar knows it.
type RegisteredElement struct {
	Element
	Since time.Time // its first registration here
}

// Pools returns a copy of the handlespace: the pools by the length of their handles,
// then by the handles, with their elements by ID.
func (r *Registrar) Pools() []Pool {
	var pools []Pool
	r.loop.Do(func(_ time.Time, e *registrar.Engine) {
		for p := range e.Space().Pools() {
			pool := Pool{Handle: p.Handle, Policy: p.Policy.String()}
			for el := range e.Space().Elements(p.Handle) {
				pool.Elements = append(pool.Elements, RegisteredElement{newElement(el.PoolElement.Clone()), el.Value.Since})
			}
			pools = append(pools, pool)
		}
	})
	return pools
}
