package main

import (
	"context"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/hsdump"
)

// pools is the handlespace, which status reports do not tell: it is read from one of some registrars again and
// again, as hsdump does, which makes this program a silent peer of that registrar.
type pools struct {
	addresses []string // of registrars, "host:port" of their peers' port
	interval  time.Duration

	mu    sync.Mutex
	state poolsState
}

// poolsState is what is known of the handlespace.
type poolsState struct {
	dump *hsdump.Dump // the latest; nil: none has come
	when time.Time    // dump came
	from string       // the address of its registrar
	err  error        // why there is no newer one; nil: there is
}

// get returns what is known.
func (p *pools) get() poolsState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

const (
	// dumpTimeout bounds one dump.
	dumpTimeout = 10 * time.Second
	// dumpShare bounds the part of the time that a registrar spends on us: the pause after a dump
	// is so many times as long as the dump was.
	dumpShare = 10
)

// watch reads until ctx ends: from the first registrar that answers, for as long as it does.
func (p *pools) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for _, address := range p.addresses {
			p.fail(p.follow(ctx, address))
		}
		wait(ctx, p.interval)
	}
}

// follow reads from one registrar until it fails.
func (p *pools) follow(ctx context.Context, address string) error {
	c, err := hsdump.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		began := time.Now()
		dumpCtx, cancel := context.WithTimeout(ctx, dumpTimeout)
		d, err := c.Dump(dumpCtx)
		cancel()
		if err != nil {
			return err
		}
		now := time.Now()
		p.mu.Lock()
		p.state = poolsState{dump: d, when: now, from: address}
		p.mu.Unlock()
		if err := c.Attend(ctx, max(p.interval, dumpShare*now.Sub(began))); err != nil {
			return err
		}
	}
}

func (p *pools) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.err = err
}

// wait waits for a while, or for the end of ctx.
func wait(ctx context.Context, while time.Duration) {
	select {
	case <-time.After(while):
	case <-ctx.Done():
	}
}
