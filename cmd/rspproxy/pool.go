package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

const (
	// patience is how long a client waits for an element of the pool.
	patience = 5 * time.Second
	// firstPause is the pause after all elements of the pool were tried in vain, or none is known; it doubles
	// up to maxPause.
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
	// probeInterval is how often an element that could not be reached is tried again.
	probeInterval = time.Second
)

// errDropped: each element of the pool has ended the connection before anything was said.
var errDropped = errors.New("each pool element has closed the connection at once")

// pool opens connections to the elements of a pool (RFC 3237 section 2.6).
type pool struct {
	ctx      context.Context // ends the probes
	endpoint *rsp.Endpoint
	handle   rsp.PoolHandle
	dialer   rsp.Dialer // for elements that are reached by sessions
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	log      *slog.Logger

	mu       sync.Mutex
	suspects map[rsp.PEID]bool // could not be reached, and are not known to be back
	probes   sync.WaitGroup    // one for each
}

// connect opens a connection to the best element that can be reached and is not avoided. While there is none, it
// tries for as long as the patience lasts.
func (p *pool) connect(ctx context.Context, avoid map[rsp.PEID]bool) (net.Conn, rsp.PEID, error) {
	until := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		conn, id, err := p.try(ctx, avoid, until)
		left := time.Until(until)
		if err == nil || errors.Is(err, errDropped) || left <= 0 {
			return conn, id, err
		}
		select {
		case <-time.After(min(pause, left)):
		case <-ctx.Done():
			return nil, 0, err
		}
	}
}

// try tries each element of the pool once, in the order of its policy; the suspects last.
func (p *pool) try(ctx context.Context, avoid map[rsp.PEID]bool, until time.Time) (net.Conn, rsp.PEID, error) {
	r, err := p.endpoint.Resolve(ctx, p.handle, rsp.AllElements)
	if err != nil {
		return nil, 0, err
	}
	elements := p.order(r.Elements, avoid)
	if len(elements) == 0 {
		return nil, 0, errDropped
	}
	var errs []error
	for len(elements) > 0 && (len(errs) == 0 || time.Now().Before(until)) {
		el := elements[0]
		if el.ControlChannel {
			var sessions []rsp.Element
			sessions, elements = split(elements, func(el rsp.Element) bool { return el.ControlChannel })
			conn, id, err := p.connectSession(ctx, sessions, until)
			if err == nil {
				return conn, id, nil
			}
			errs = append(errs, err)
			continue
		}
		elements = elements[1:]
		conn, err := p.dialElement(ctx, el)
		if err == nil {
			return conn, el.ID, nil
		}
		errs = append(errs, err)
		if ctx.Err() == nil {
			p.suspect(el, err)
		}
	}
	return nil, 0, errors.Join(errs...)
}

// order returns the elements that are not avoided, the suspects behind the others.
func (p *pool) order(elements []rsp.Element, avoid map[rsp.PEID]bool) []rsp.Element {
	elements = slices.DeleteFunc(elements, func(el rsp.Element) bool { return avoid[el.ID] })
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.suspects) == 0 {
		return elements
	}
	suspects, others := split(elements, func(el rsp.Element) bool { return p.suspects[el.ID] })
	return append(others, suspects...)
}

// split divides elements and keeps their order.
func split(elements []rsp.Element, is func(rsp.Element) bool) (those, others []rsp.Element) {
	for _, el := range elements {
		if is(el) {
			those = append(those, el)
		} else {
			others = append(others, el)
		}
	}
	return those, others
}

// connectSession opens a session with the first of the elements that can be reached. Those that cannot are reported
// by the session.
func (p *pool) connectSession(ctx context.Context, elements []rsp.Element, until time.Time) (net.Conn, rsp.PEID, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	s, err := p.dialer.ConnectCard(ctx, &rsp.BusinessCard{Pool: p.handle, Elements: elements})
	if err != nil {
		return nil, 0, err
	}
	return s, s.PeerPE(), nil
}

// dialElement opens a connection to the service of an element of basic mode.
func (p *pool) dialElement(ctx context.Context, el rsp.Element) (net.Conn, error) {
	if el.Protocol != "tcp" {
		return nil, fmt.Errorf("PE %v: its service speaks %s, not TCP", el.ID, el.Protocol)
	}
	var errs []error
	for _, at := range el.Addrs {
		conn, err := p.dial(ctx, "tcp", at.String())
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("PE %v: %w", el.ID, errors.Join(errs...))
}

// suspect leaves an element out that could not be reached, until a probe has reached it or it is in the pool no
// more. Each failure is reported: the registrar takes the pool element out of the pool that is reported too often.
func (p *pool) suspect(el rsp.Element, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.suspects[el.ID] || p.ctx.Err() != nil {
		return
	}
	p.suspects[el.ID] = true
	p.log.Warn("pool element cannot be reached", "pe", el.ID, "addrs", el.Addrs, "err", cause)
	p.report(el.ID)
	p.probes.Go(func() {
		outcome := p.probe(el)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.suspects, el.ID)
		p.log.Info("pool element is left out no more", "pe", el.ID, "because", outcome)
	})
}

// probe waits until a suspect can be reached, or is in the pool no more, and tells which.
func (p *pool) probe(el rsp.Element) (outcome string) {
	for {
		select {
		case <-time.After(probeInterval):
		case <-p.ctx.Done():
			return "the proxy ends"
		}
		r, err := p.endpoint.Resolve(p.ctx, p.handle, rsp.AllElements)
		if gone := err == nil && !r.Stale && !slices.ContainsFunc(r.Elements, func(in rsp.Element) bool { return in.ID == el.ID }); gone || errors.Is(err, rsp.ErrUnknownPool) {
			return "it has left the pool"
		}
		conn, err := p.dialElement(p.ctx, el)
		if err == nil {
			conn.Close()
			return "it can be reached"
		}
		p.report(el.ID)
	}
}

func (p *pool) report(id rsp.PEID) {
	if err := p.endpoint.ReportFailure(p.handle, id); err != nil {
		p.log.Warn("failure not reported", "pe", id, "err", err)
	}
}
