// Package loop drives a pure engine: it gives it the time, its associations'
// messages and ends, and performs the effects that it asks for.
//
// One mutex is the engine's one owner: whoever holds it runs the engine and queues
// the effects; sockets are touched only after it is released. Each association has one
// goroutine that reads it; what is sent waits in the association's own queue, so that a
// peer that does not read holds up nobody else.
package loop

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// Engine is what a loop drives. All calls come under the loop's lock.
type Engine interface {
	// HandleUp: a dialed or accepted association is up, for a service that is ASAP or ENRP.
	HandleUp(now time.Time, id effect.AssocID, service protocol.PPID, local, remote protocol.TransportAddr)
	// HandleMessage: a message has come; data is valid during the call only.
	HandleMessage(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte)
	// HandleLost: an association has ended or could not be dialed. It is not called for
	// one that the engine itself has closed or aborted.
	HandleLost(now time.Time, id effect.AssocID, err error)
	// HandleDatagram: a datagram has come to a multicast group of a service; data is valid
	// during the call only.
	HandleDatagram(now time.Time, service protocol.PPID, from netip.AddrPort, data []byte)
	// Advance: a deadline may have passed.
	Advance(now time.Time)
	// Deadline is when the engine wants Advance to be called; zero: never.
	Deadline() time.Time
	// Next takes the oldest effect.
	Next() (effect.Effect, bool)
}

// Config is what a loop needs beside its engine.
type Config struct {
	Networks []transport.Network // those that Dial effects can use, one per protocol
	Options  transport.Options   // for dialed associations
	Logger   *slog.Logger        // never nil
	// Tell takes the engine's events. It is called under the loop's lock: it must
	// neither block nor call the loop. nil: there are no events.
	Tell func(now time.Time, event any)
	// NewGuard, if set, gives the Guard of an association with a peer, which has proven to own a certificate or,
	// if that is nil, nothing. It is called under the loop's lock. The engine must be a Refuser.
	NewGuard func(service protocol.PPID, peer protocol.TransportAddr, certificate *x509.Certificate) Guard
}

// Guard is asked about each message of an association before the engine gets it. If it gives an error, the
// engine gets the message by HandleRefused. The association's own goroutine asks it, with no lock held, so that
// it may take its time, until ctx ends.
type Guard func(ctx context.Context, ppid protocol.PPID, data []byte) error

// Refuser is an Engine whose messages are guarded.
type Refuser interface {
	// HandleRefused: a message has come whose sender has no right to it.
	HandleRefused(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte)
}

// Loop drives an engine of type E. Its methods may be called by several goroutines
// at once.
type Loop[E Engine] struct {
	cfg    Config
	ctx    context.Context // ends dials and accepts
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of this loop; started under mu

	mu        sync.Mutex
	clock     clock
	engine    E
	closed    bool
	links     map[effect.AssocID]*link
	dialing   map[effect.AssocID]context.CancelFunc
	listeners []served
	groups    []*group
	accepted  effect.AssocID
	timer     *time.Timer
	wake      time.Time // when timer fires; zero: it does not
}

// served is a listener, what it is for and the protocol of its addresses.
type served struct {
	service  protocol.PPID
	protocol protocol.TransportProtocol
	transport.Listener
}

// New returns a loop that drives engine.
func New[E Engine](engine E, cfg Config) *Loop[E] {
	l := &Loop[E]{
		cfg:     cfg,
		engine:  engine,
		links:   make(map[effect.AssocID]*link),
		dialing: make(map[effect.AssocID]context.CancelFunc),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.timer = time.AfterFunc(time.Hour, l.onTimer)
	l.timer.Stop()
	return l
}

// Do runs f as the engine's owner, then performs the effects. It reports false,
// without running f, once the loop is closed. f must not block.
func (l *Loop[E]) Do(f func(now time.Time, engine E)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	now := l.clock.now()
	f(now, l.engine)
	l.perform(now, nil)
	return true
}

// RTT is the smoothed round-trip time of an association, 0 if unknown. It is for the engine to ask
// while it is called.
func (l *Loop[E]) RTT(id effect.AssocID) time.Duration {
	if k := l.links[id]; k != nil {
		return k.assoc.RTT()
	}
	return 0
}

// PeerCertificate is what the peer of an association has proven to own, nil if nothing. It is for the
// engine to ask while it is called.
func (l *Loop[E]) PeerCertificate(id effect.AssocID) *x509.Certificate {
	if k := l.links[id]; k != nil {
		return transport.PeerCertificate(k.assoc)
	}
	return nil
}

func (l *Loop[E]) onTimer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake = time.Time{}
	if l.closed {
		return
	}
	now := l.clock.now()
	l.engine.Advance(now)
	l.perform(now, nil)
}

// perform carries out the engine's effects; l.mu is held. Nothing in it waits. reader
// is the link whose own goroutine is calling and will flush it, if any.
func (l *Loop[E]) perform(now time.Time, reader *link) {
	for {
		e, ok := l.engine.Next()
		if !ok {
			break
		}
		switch e.Kind {
		case effect.Send:
			if k := l.links[e.Assoc]; k != nil {
				l.send(k, e, k == reader)
			}
		case effect.Dial:
			l.dial(e.Assoc, e.PPID, e.To)
		case effect.Close, effect.Abort:
			l.end(e.Assoc, e.Kind == effect.Abort)
		case effect.Announce:
			l.announce(e.PPID, e.Data)
		case effect.Tell:
			l.cfg.Tell(now, e.Event)
		}
	}
	l.arm(now)
}

// arm sets the timer to the engine's deadline. One that fires too early is left:
// Advance does nothing then, and arms it again.
func (l *Loop[E]) arm(now time.Time) {
	d := l.engine.Deadline()
	if d.IsZero() || !l.wake.IsZero() && !d.Before(l.wake) {
		return
	}
	l.wake = d
	l.timer.Reset(d.Sub(now))
}

func (l *Loop[E]) send(k *link, e effect.Effect, ownReader bool) {
	flush, err := k.enqueue(e.PPID, e.Data)
	if err != nil {
		l.cfg.Logger.Warn("association aborted", "peer", k.assoc.RemoteAddr(), "err", err)
		l.wg.Go(k.abort)
		return
	}
	if flush && !ownReader {
		l.wg.Go(k.flush)
	}
	// Our own reader flushes after the lock is released.
}

// end lets go of an association that the engine has ended.
func (l *Loop[E]) end(id effect.AssocID, abort bool) {
	if cancel := l.dialing[id]; cancel != nil {
		delete(l.dialing, id)
		cancel()
		return
	}
	k := l.links[id]
	if k == nil {
		return
	}
	delete(l.links, id)
	if abort {
		l.wg.Go(k.abort)
	} else {
		l.wg.Go(k.close)
	}
}

// dial opens an association in a goroutine of its own.
func (l *Loop[E]) dial(id effect.AssocID, service protocol.PPID, to protocol.TransportAddr) {
	ctx, cancel := context.WithCancel(l.ctx)
	l.dialing[id] = cancel
	dialer := l.dialer(service, to.Protocol)
	l.wg.Go(func() {
		defer cancel()
		assoc, err := dialer(ctx, to)
		if err != nil && ctx.Err() == nil {
			l.cfg.Logger.Debug("not reached", "addr", to, "err", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, wanted := l.dialing[id]; !wanted || l.closed {
			if err == nil {
				l.wg.Go(func() { assoc.Abort() })
			}
			return
		}
		delete(l.dialing, id)
		if err != nil {
			now := l.clock.now()
			l.engine.HandleLost(now, id, err)
			l.perform(now, nil)
			return
		}
		l.up(id, service, assoc)
	})
}

type dialFunc func(context.Context, protocol.TransportAddr) (transport.Assoc, error)

// dialer returns how to reach an address of protocol p: from the port of the service's
// listener where there is one.
func (l *Loop[E]) dialer(service protocol.PPID, p protocol.TransportProtocol) dialFunc {
	for _, ln := range l.listeners {
		if ln.service == service && ln.protocol == p {
			return ln.Dial
		}
	}
	for _, n := range l.cfg.Networks {
		if n.Protocol() == p {
			return func(ctx context.Context, to protocol.TransportAddr) (transport.Assoc, error) {
				return n.Dial(ctx, to, l.cfg.Options)
			}
		}
	}
	return func(context.Context, protocol.TransportAddr) (transport.Assoc, error) {
		return nil, fmt.Errorf("%v: %w", p, transport.ErrUnsupported)
	}
}

// up takes a new association over; l.mu is held.
func (l *Loop[E]) up(id effect.AssocID, service protocol.PPID, assoc transport.Assoc) {
	k := newLink(id, assoc)
	if l.cfg.NewGuard != nil {
		k.guard = l.cfg.NewGuard(service, assoc.RemoteAddr(), transport.PeerCertificate(assoc))
	}
	l.links[id] = k
	now := l.clock.now()
	l.engine.HandleUp(now, id, service, assoc.LocalAddr(), assoc.RemoteAddr())
	l.perform(now, nil)
	l.wg.Go(func() { l.read(k) })
}

// Serve accepts associations for a service from ln, which the loop closes when it is
// closed. The service's Dial effects to addresses of ln's protocol go out from its port from now on.
func (l *Loop[E]) Serve(ln transport.Listener, service protocol.PPID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.logEnd("listener", ln.Close())
		return
	}
	l.listeners = append(l.listeners, served{service, ln.LocalAddr().Protocol, ln})
	l.wg.Go(func() { l.accept(ln, service) })
}

func (l *Loop[E]) accept(ln transport.Listener, service protocol.PPID) {
	pause := firstPause
	for {
		assoc, err := ln.Accept(l.ctx)
		if err != nil {
			// Out of descriptors or the like: it passes.
			if !l.outlast("cannot accept an association", err, &pause) {
				return
			}
			continue
		}
		pause = firstPause
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			assoc.Abort()
			return
		}
		l.accepted++
		l.up(l.accepted, service, assoc)
		l.mu.Unlock()
	}
}

// firstPause and maxPause bound the pause after an error that passes.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

// outlast waits after an error of what the loop listens to, longer each time. It reports
// false when that, or the loop, has been closed.
func (l *Loop[E]) outlast(what string, err error, pause *time.Duration) bool {
	if errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil {
		return false
	}
	l.cfg.Logger.Warn(what, "err", err, "pause", *pause)
	select {
	case <-time.After(*pause):
	case <-l.ctx.Done():
		return false
	}
	*pause = min(2**pause, maxPause)
	return true
}

// read is the goroutine of one association: it hands its messages to the engine
// until it ends.
func (l *Loop[E]) read(k *link) {
	var r reader
	for {
		data, ppid, err := r.next(k.assoc)
		refused := err == nil && l.refuses(k, ppid, data)
		l.mu.Lock()
		if l.links[k.id] != k || l.closed { // ended by the engine or the loop, which see to k
			l.mu.Unlock()
			return
		}
		now := l.clock.now()
		if err != nil {
			delete(l.links, k.id)
			l.engine.HandleLost(now, k.id, k.lostBy(err))
			l.perform(now, nil)
			l.mu.Unlock()
			k.abort() // it has ended: this only frees what it holds
			return
		}
		if refused {
			any(l.engine).(Refuser).HandleRefused(now, k.id, ppid, data)
		} else {
			l.engine.HandleMessage(now, k.id, ppid, data)
		}
		l.perform(now, k)
		l.mu.Unlock()
		k.flush()
	}
}

// refuses asks the guard of k, if it has one. Of an association that is refused often, only the first
// time is logged.
func (l *Loop[E]) refuses(k *link, ppid protocol.PPID, data []byte) bool {
	if k.guard == nil {
		return false
	}
	err := k.guard(l.ctx, ppid, data)
	if err != nil && !k.refused {
		k.refused = true
		l.cfg.Logger.Warn("request refused", "peer", k.assoc.RemoteAddr(), "err", err)
	}
	return err != nil
}

// Close ends every association gracefully, and all else of the loop, and waits
// for it. What was sent is given closeTimeout to leave.
func (l *Loop[E]) Close() error { return l.stop((*link).close) }

// Abort is Close, but abruptly: peers see their associations lost.
func (l *Loop[E]) Abort() { l.logEnd("loop", l.stop((*link).abort)) }

func (l *Loop[E]) stop(end func(*link)) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.wg.Wait()
		return nil
	}
	l.closed = true
	l.timer.Stop()
	l.cancel()
	for _, k := range l.links {
		l.wg.Go(func() { end(k) })
	}
	listeners, groups := l.listeners, l.groups
	l.mu.Unlock()

	var errs []error
	for _, ln := range listeners {
		errs = append(errs, ln.Close())
	}
	for _, g := range groups {
		errs = append(errs, g.Close())
	}
	l.wg.Wait()
	return errors.Join(errs...)
}

func (l *Loop[E]) logEnd(what string, err error) {
	if err != nil {
		l.cfg.Logger.Warn("cannot close", "what", what, "err", err)
	}
}
