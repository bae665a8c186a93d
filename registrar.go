package rsp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/enrp"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/registrar"
	"github.com/rserpool/rsp/internal/transport"
)

// Registrar keeps the handlespace of an operation scope: PEs register with it, it
// watches them, and PUs resolve pool handles with it (the ENRP server of RFC 5352). Its methods may be
// called by several goroutines at once.
type Registrar struct {
	cfg      RegistrarConfig
	log      *slog.Logger
	networks networks
	loop     *loop.Loop[*registrar.Engine]
	events   *eventLog
	tracer   *tracer               // nil: nobody wants a trace
	usage    usage                 // owned by the loop
	watchers map[*watcher]struct{} // owned by the loop
	ended    chan struct{}         // closed when the loop has ended

	reporter *csp.Reporter // nil: no status reports; set once, by Start

	handedOver chan struct{} // owned by the loop; closed when all PEs have another home

	directory *directory
	ctx       context.Context // ends with the Registrar
	cancel    context.CancelFunc
	wg        sync.WaitGroup // who looks peers up; started under mu

	mu        sync.Mutex
	started   bool
	closed    bool
	listeners []transport.Listener // for PEs and PUs
	peerAddr  protocol.TransportAddr
}

var errRegistrarClosed = fmt.Errorf("registrar is closed: %w", net.ErrClosed)

// NewRegistrar returns a Registrar that does not serve yet. nil stands for the zero
// RegistrarConfig, which the Registrar does not keep.
func NewRegistrar(cfg *RegistrarConfig) (*Registrar, error) {
	c := cfg.withDefaults()
	if err := c.validate(); err != nil {
		return nil, &OpError{Op: "new registrar", Err: err}
	}
	networks, err := c.Network.secured(c.Logger, c.TLS, c.RegistrarName)
	if err != nil {
		return nil, &OpError{Op: "new registrar", Err: err}
	}
	return newRegistrar(c, networks, net.DefaultResolver), nil
}

func newRegistrar(c RegistrarConfig, networks networks, resolver *net.Resolver) *Registrar {
	log := c.Logger.With("registrar", c.ID)
	r := &Registrar{cfg: c, log: log, networks: networks, events: newEventLog(log), watchers: make(map[*watcher]struct{}), ended: make(chan struct{})}
	r.directory = &directory{resolver: resolver, protocols: protocolsOf(networks.registrars), ipv4Only: c.IPv4Only, log: log}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	engine := registrar.New(c.engine(
		func(id effect.AssocID) time.Duration { return r.loop.RTT(id) },
		func(id effect.AssocID) string { return certificateName(r.loop.PeerCertificate(id)) }))
	if r.tracer = newTracer(c.ID, c.Trace); r.tracer != nil {
		engine.Trace = r.tracer.message
	}
	r.usage = newUsage(engine, c.ID)
	r.loop = loop.New(engine, loop.Config{
		Networks: networks.members,
		Options:  c.Association.registrarOptions(),
		Logger:   r.log,
		Tell:     r.handleEvent,
		NewGuard: c.newGuard(),
	})
	return r
}

// handleEvent takes what the engine tells; the loop's lock is held.
func (r *Registrar) handleEvent(now time.Time, event any) {
	switch ev := event.(type) {
	case registrar.Change:
		r.usage.handlespaceChanged(now)
		r.tracer.lost(ev)
		r.feed(ev)
		r.logChange(ev)
	case enrp.Serving:
		if ev.Mentor != 0 {
			r.events.tell(slog.LevelInfo, "serving with the handlespace of a peer", "peer", ev.Mentor)
		} else {
			r.events.tell(slog.LevelInfo, "serving with a handlespace of its own: no other registrar was found")
		}
	case enrp.PeerUp:
		r.usage.peersChanged(now)
		r.events.tell(slog.LevelInfo, "peer is there", "peer", ev.ID, "at", ev.Addr.String())
	case enrp.PeerLost:
		r.usage.peersChanged(now)
		r.events.tell(slog.LevelWarn, "peer is gone", "peer", ev.ID)
	case enrp.TakenOver:
		r.events.tell(slog.LevelWarn, "pool elements of a peer have a new home", "peer", ev.Target, "by", ev.By, "elements", ev.Elements)
	case enrp.HandedOver:
		if ev.Left > 0 {
			r.events.tell(slog.LevelWarn, "pool elements are left without a home", "elements", ev.Left)
		}
		if r.handedOver != nil {
			close(r.handedOver)
			r.handedOver = nil
		}
	}
}

func (r *Registrar) logChange(c registrar.Change) {
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
	if c.OldHome != c.Element.Home {
		return slog.LevelInfo, "pool element has another home"
	}
	return slog.LevelDebug, "pool element changed"
}

// Shutdown hands the registrar's PEs to a peer, if there is one, ends all associations
// gracefully and stops serving. PEs and PUs look for another registrar at once. When ctx ends first, Shutdown
// returns its error, and the rest ends by itself within about a second.
func (r *Registrar) Shutdown(ctx context.Context) error {
	handedOver := make(chan struct{})
	if r.loop.Do(func(now time.Time, e *registrar.Engine) {
		r.handedOver = handedOver
		e.HandOver(now)
	}) {
		select {
		case <-handedOver:
		case <-r.ended:
		case <-ctx.Done():
		}
	}
	done := make(chan error, 1)
	go func() { done <- r.end((*csp.Reporter).Close, r.loop.Close) }()
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
	_ = r.end((*csp.Reporter).Abort, func() error { r.loop.Abort(); return nil })
}

// end stops the reports by stopReports and the loop by stop, which wait for them, then all else.
func (r *Registrar) end(stopReports func(*csp.Reporter), stop func() error) error {
	r.mu.Lock()
	first, reporter := !r.closed, r.reporter
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	stopReports(reporter)
	err := stop()
	r.events.stop()
	r.tracer.stop()
	if first {
		close(r.ended)
	}
	return err
}

// Serving reports whether the registrar has its handlespace: a peer's, or one of its own, since there was no
// peer. It answers before that too, by what it has so far, but is not announced.
func (r *Registrar) Serving() (serving bool) {
	r.loop.Do(func(_ time.Time, e *registrar.Engine) { serving = e.Serving() })
	return serving
}

// Peer is another registrar of the operation scope.
type Peer struct {
	ID        RegistrarID // 0: a configured one that has not been reached
	Addrs     []netip.AddrPort
	State     string    // "alive", "probed" ...
	Static    bool      // it is configured
	LastHeard time.Time // zero: never
}

// Peers lists the other registrars by their identifiers; those that are configured and cannot be reached
// come first.
func (r *Registrar) Peers() []Peer {
	var peers []Peer
	r.loop.Do(func(_ time.Time, e *registrar.Engine) {
		for _, p := range e.Peers() {
			peers = append(peers, Peer{p.ID, addrPorts(p.Addr), p.State, p.Static, p.LastHeard})
		}
	})
	return peers
}

// PeerAddr is where other registrars find this one, fit for RegistrarConfig.Peers; "" before
// Start.
func (r *Registrar) PeerAddr() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if addrs := reachable(r.peerAddr); len(addrs) > 0 {
		return addrs[0].String()
	}
	return ""
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
		for _, a := range reachable(ln.LocalAddr()) {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	addrs := make([]string, len(all))
	for i, a := range all {
		addrs[i] = a.String()
	}
	return addrs
}

// reachable lists the addresses that others can use, those that reach farthest first.
func reachable(t protocol.TransportAddr) []netip.AddrPort {
	var all []netip.AddrPort
	for _, a := range addrPorts(t) {
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		if protocol.ScopeOf(a.Addr()) != protocol.ScopeLinkLocal {
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b netip.AddrPort) int {
		return int(protocol.ScopeOf(b.Addr()) - protocol.ScopeOf(a.Addr()))
	})
	return all
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
