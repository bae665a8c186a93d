package rsp

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/mcast"
)

// Endpoint is a program's part in one operation scope: its association with a
// registrar, its pool elements and its sessions. Its methods may be called by several
// goroutines at once.
type Endpoint struct {
	cfg      Config
	log      *slog.Logger
	events   *eventLog
	reporter *csp.Reporter // nil: no status reports
	hub      eventHub
	networks networks
	group    netip.AddrPort // of the registrars' announces; not valid: they are not heard
	options  transport.Options
	loop     *loop.Loop[*asap.Client]
	cache    *cache

	user      component   // what its sessions are as PU
	userID    uint64      // in status reports
	usesPools atomic.Bool // it is a PU

	hear   sync.Once       // done when announces are heard
	ctx    context.Context // ends with the Endpoint
	cancel context.CancelFunc
	wg     sync.WaitGroup // what sessions do by themselves

	// Owned by the loop: used only in its Do and Tell.
	questions  map[asap.QueryID]*question
	elements   map[elementKey]*element
	registrars *registrarTable

	listening sync.Once // done when the loop accepts registrars
	listenErr error
	addrs     []netip.Addr // of the machine, as the first network tells

	mu      sync.Mutex
	closed  bool
	sockets map[*Socket]struct{}
}

type elementKey struct {
	pool PoolHandle
	id   PEID
}

// element is a pool element of ours, and who waits for its registration to change.
type element struct {
	registered   chan error // buffered; nil: nobody waits
	deregistered chan error // buffered; nil: it is not leaving
	updated      *update    // nil: nobody waits
	gone         chan struct{}
	socket       *Socket // nil: of basic mode
}

var errEndpointClosed = fmt.Errorf("endpoint is closed: %w", net.ErrClosed)

// NewEndpoint returns an Endpoint. A registrar is sought, and names are looked up, only when one
// is needed. nil stands for the zero Config, which the Endpoint does
// not keep.
func NewEndpoint(cfg *Config) (*Endpoint, error) {
	c := cfg.withDefaults()
	if err := c.validate(); err != nil {
		return nil, &OpError{Op: "new endpoint", Err: err}
	}
	networks, err := c.Network.secured(c.Logger, c.TLS, c.RegistrarName)
	if err != nil {
		return nil, &OpError{Op: "new endpoint", Err: err}
	}
	return newEndpoint(c, networks, net.DefaultResolver)
}

func newEndpoint(c Config, networks networks, resolver *net.Resolver) (*Endpoint, error) {
	group, err := parseGroup(c.Announce, asapAnnounces)
	if err != nil {
		return nil, &OpError{Op: "new endpoint", Err: err}
	}
	remotes, err := parseRemotes(c.Registrars, c.service())
	if err != nil {
		return nil, &OpError{Op: "new endpoint", Err: err}
	}
	table := newRegistrarTable(protocolsOf(networks.registrars), c.RegistrarAnnounceTimeout)
	ctx, cancel := context.WithCancel(context.Background())
	e := &Endpoint{
		cfg:        c,
		log:        c.Logger,
		events:     newEventLog(c.Logger),
		networks:   networks,
		group:      group,
		options:    c.Association.options(),
		cache:      newCache(c.StaleCache, rulesByType(c.Rules)),
		ctx:        ctx,
		cancel:     cancel,
		questions:  make(map[asap.QueryID]*question),
		elements:   make(map[elementKey]*element),
		registrars: table,
		userID:     cmp.Or(c.CSPIdentifier, mathrand.Uint64N(csp.MaxIdentifier)+1),
		sockets:    make(map[*Socket]struct{}),
	}
	client := asap.NewClient(asap.ClientConfig{
		Registrars:            table.candidates,
		Announced:             table.handleAnnounce,
		Rand:                  newRand(),
		RequestTimeout:        c.RegistrarRequestTimeout,
		ResponseTimeout:       c.RegistrarResponseTimeout,
		MaxRequestAttempts:    c.RegistrarRequestAttempts,
		ReregistrationTimeout: c.ReregistrationInterval,
		HuntTimeout:           c.RegistrarConnectTimeout,
		MaxHuntTimeout:        max(c.RegistrarConnectTimeout, retranMax),
	})
	e.loop = loop.New(client, loop.Config{
		Networks: networks.registrars, Options: c.Association.registrarOptions(), Logger: c.Logger, Tell: e.handleEvent,
	})
	reports, err := cspSettings{c.CSPServer, c.CSPInterval}.withEnvironment()
	if err == nil {
		e.reporter, err = reports.start(ctx, c.Logger, e.statusReports)
	}
	if err != nil {
		e.Abort()
		return nil, &OpError{Op: "new endpoint", Err: err}
	}
	e.knowRegistrars(remotes, resolver)
	return e, nil
}

// knowRegistrars fills the table with the configured registrars. Those that are names follow, and change, when
// they are looked up.
func (e *Endpoint) knowRegistrars(remotes []remote, resolver *net.Resolver) {
	table := e.registrars
	d := &directory{resolver: resolver, protocols: table.protocols, log: e.log}
	e.loop.Do(func(time.Time, *asap.Client) {
		for _, r := range remotes {
			if at, ok := r.literal(); ok {
				table.static = append(table.static, overEach(table.protocols, at)...)
				continue
			}
			wanted := make(chan struct{}, 1)
			table.wanted = append(table.wanted, wanted)
			w := &watched{remote: r}
			e.spawn(func() {
				w.watch(e.ctx, d, wanted, lookupInterval, e.handleLookup)
			})
		}
	})
}

// handleLookup takes what the lookup of a name has changed, and reports whether a registrar is still sought.
func (e *Endpoint) handleLookup(change lookupChange) (hunting bool) {
	e.loop.Do(func(now time.Time, c *asap.Client) {
		isNew, isGone := e.registrars.handleLookup(change.added, change.gone)
		c.HandleLookup(now, isNew, isGone, change.err)
		hunting = c.Hunting()
	})
	return hunting
}

// retranMax is RETRAN-MAX (RFC 5352 section 7.3).
const retranMax = 60 * time.Second

func newRand() *mathrand.Rand {
	var seed [32]byte
	rand.Read(seed[:]) // never fails
	return mathrand.New(mathrand.NewChaCha8(seed))
}

// randomID draws a non-zero identifier (RFC 5352 section 3.1 R2.2).
func randomID() uint32 {
	var b [4]byte
	for {
		rand.Read(b[:]) // never fails
		if id := binary.BigEndian.Uint32(b[:]); id != 0 {
			return id
		}
	}
}

// handleEvent takes what the engine tells; the loop's lock is held.
func (e *Endpoint) handleEvent(_ time.Time, event any) {
	e.publish(event)
	switch ev := event.(type) {
	case asap.Resolved:
		e.handleResolved(ev)
	case asap.Registered:
		e.setOutage(false, nil)
		e.events.tell(slog.LevelInfo, "registered", "pool", ev.Handle, "pe", ev.ID)
		if el := e.elements[elementKey{ev.Handle, ev.ID}]; el != nil {
			el.tell(&el.registered, nil)
		}
	case asap.Updated:
		if el := e.elements[elementKey{ev.Handle, ev.ID}]; el != nil {
			el.updated.end(nil)
			el.updated = nil
		}
	case asap.Rejected:
		e.events.tell(slog.LevelError, "registration rejected", "pool", ev.Handle, "pe", ev.ID, "err", ev.Err)
		if el := e.elements[elementKey{ev.Handle, ev.ID}]; el != nil {
			if el.registered == nil && el.socket != nil {
				el.socket.reject(ev.Err) // not who registers, who accepts is told
			}
			el.tell(&el.registered, ev.Err)
			el.tell(&el.deregistered, nil)
			el.updated.end(ev.Err)
			e.forget(elementKey{ev.Handle, ev.ID}, el)
		}
	case asap.Deregistered:
		e.events.tell(slog.LevelInfo, "deregistered", "pool", ev.Handle, "pe", ev.ID, "err", ev.Err)
		if el := e.elements[elementKey{ev.Handle, ev.ID}]; el != nil {
			el.tell(&el.registered, net.ErrClosed)
			el.tell(&el.deregistered, ev.Err)
			el.updated.end(nil) // nobody is to be told
			e.forget(elementKey{ev.Handle, ev.ID}, el)
		}
	case asap.HomeFound:
		e.events.tell(slog.LevelInfo, "registrar found", "addr", ev.Addr)
	case asap.HomeLost:
		e.events.tell(slog.LevelWarn, "registrar lost", "err", ev.Err)
	}
}

// tell wakes who waits, if anybody does.
func (el *element) tell(waiter *chan error, err error) {
	if *waiter != nil {
		*waiter <- err
		*waiter = nil
	}
}

// forget ends an element of ours, which is a member no more; the loop's lock is held.
func (e *Endpoint) forget(key elementKey, el *element) {
	delete(e.elements, key)
	close(el.gone)
}

// register makes pe a member of a pool and waits for the registrar's word. If a registrar
// rejects it, then or later, its Socket ends with the reason; that is nil in basic mode.
func (e *Endpoint) register(ctx context.Context, pool PoolHandle, pe protocol.PoolElement, socket *Socket) error {
	if err := e.listen(); err != nil {
		return err
	}
	e.hearAnnounces()
	key := elementKey{pool, pe.ID}
	if err := e.awaitLeaving(ctx, key); err != nil {
		return err
	}
	done := make(chan error, 1)
	busy := false
	if !e.loop.Do(func(now time.Time, c *asap.Client) {
		el := e.elements[key]
		if el == nil {
			e.elements[key] = &element{registered: done, gone: make(chan struct{}), socket: socket}
			c.Register(now, pool, pe)
			return
		}
		if busy = el.registered != nil || el.deregistered != nil; busy {
			return
		}
		// It is a member already: the new policy goes out by itself.
		c.Register(now, pool, pe)
		done <- nil
	}) {
		return errEndpointClosed
	}
	if busy {
		return fmt.Errorf("registration of %v is under way", pe.ID)
	}
	select {
	case err := <-done:
		return err
	case <-e.ctx.Done():
		return errEndpointClosed
	case <-ctx.Done():
		var cause error
		e.loop.Do(func(now time.Time, c *asap.Client) {
			cause = c.HuntError()
			if el := e.elements[key]; el != nil && el.deregistered == nil {
				el.deregistered = make(chan error, 1)
				c.Deregister(now, pool, pe.ID)
			}
		})
		if cause != nil {
			return fmt.Errorf("%w: %w: %w", ctx.Err(), ErrNoRegistrar, cause)
		}
		return ctx.Err()
	}
}

// awaitLeaving waits until a pool element of ours that is being deregistered has left its
// pool: before that it cannot be registered again.
func (e *Endpoint) awaitLeaving(ctx context.Context, key elementKey) error {
	var gone chan struct{}
	e.loop.Do(func(time.Time, *asap.Client) {
		if el := e.elements[key]; el != nil && el.deregistered != nil {
			gone = el.gone
		}
	})
	if gone == nil {
		return nil
	}
	select {
	case <-gone:
		return nil
	case <-e.ctx.Done():
		return errEndpointClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deregister takes a pool element out of its pool and waits for the registrar's
// word.
func (e *Endpoint) deregister(ctx context.Context, pool PoolHandle, id PEID) error {
	done := make(chan error, 1)
	if !e.loop.Do(func(now time.Time, c *asap.Client) {
		el := e.elements[elementKey{pool, id}]
		if el == nil || el.deregistered != nil {
			done <- nil
			return
		}
		el.deregistered = done
		c.Deregister(now, pool, id)
	}) {
		return errEndpointClosed
	}
	select {
	case err := <-done:
		return err
	case <-e.ctx.Done():
		return errEndpointClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listen opens the port from which PEs talk to their registrar, and where a registrar
// that takes them over reaches them (RFC 5352 section 3.4), at the first registration.
func (e *Endpoint) listen() error {
	if e.ctx.Err() != nil {
		return errEndpointClosed
	}
	e.listening.Do(func() {
		for _, n := range e.networks.registrars {
			ln, err := n.Listen(e.ctx, protocol.TransportAddr{Protocol: n.Protocol()}, e.cfg.Association.registrarOptions())
			if err != nil {
				e.listenErr = fmt.Errorf("cannot listen for registrars: %w", err)
				return
			}
			if len(e.addrs) == 0 {
				e.addrs = ln.LocalAddr().Addrs
			}
			e.loop.Serve(ln, protocol.PPIDASAP)
		}
		e.loop.Do(func(now time.Time, c *asap.Client) { c.Rehome(now) })
	})
	return e.listenErr
}

// hearAnnounces joins the registrars' multicast group when a registrar is needed first. Without it,
// the configured registrars are left.
func (e *Endpoint) hearAnnounces() {
	e.hear.Do(func() {
		if !e.group.IsValid() {
			return
		}
		g, err := joinGroup(e.networks.members, mcast.Config{
			Group: e.group, Interfaces: e.cfg.AnnounceInterfaces, Logger: e.log,
		})
		if err != nil {
			e.log.Warn("registrars' announces are not heard", "err", err)
			return
		}
		e.loop.Join(g, protocol.PPIDASAP)
	})
}

// add makes the Endpoint the owner of a new Socket.
func (e *Endpoint) add(s *Socket) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errEndpointClosed
	}
	e.sockets[s] = struct{}{}
	return nil
}

func (e *Endpoint) remove(s *Socket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sockets, s)
}

// spawn runs f as a goroutine of the Endpoint's, unless it is closed.
func (e *Endpoint) spawn(f func()) (runs bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.wg.Go(f)
	}
	return !e.closed
}

// Close deregisters all pool elements, ends all sessions and the association with the
// registrar gracefully, and waits until all is done.
func (e *Endpoint) Close() error {
	for _, s := range e.stop() {
		s.Close()
	}
	e.deregisterAll()
	e.reporter.Close()
	e.cancel()
	e.wg.Wait()
	err := e.loop.Close()
	e.events.stop()
	return err
}

// Abort ends everything abruptly, as if the program had died: sessions are aborted
// and nothing is deregistered. It is there for tests of what happens then.
func (e *Endpoint) Abort() {
	sockets := e.stop()
	e.reporter.Abort()
	e.cancel()
	for _, s := range sockets {
		// Sessions first: whoever notices another Socket's end could still send on them.
		if _, err := s.activeSession("abort"); err == nil {
			s.Abort()
		}
	}
	for _, s := range sockets {
		s.Abort()
	}
	e.loop.Abort()
	e.wg.Wait()
	e.events.stop()
}

func (e *Endpoint) stop() []*Socket {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	var sockets []*Socket
	for s := range e.sockets {
		sockets = append(sockets, s)
	}
	return sockets
}
