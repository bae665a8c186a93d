package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rserpool/rsp"
)

const (
	// failures in a row deregister a service. One that refuses connections is deregistered at once: pool users
	// that go there cannot be served in any case, while a slow answer may be the fault of too much load, which
	// gets no better when one server less is there for it.
	failures = 3
	// leaveTimeout bounds a deregistration.
	leaveTimeout = 3 * time.Second
)

// element is a proxy PE: it registers a service that knows nothing of RSerPool while that is healthy.
//
//	             healthy: join
//	not a member ─────────────▶ member ──┐ another load: join again
//	     ▲                       │ ▲ └───┘
//	     └───────────────────────┘ │
//	       refuses, or failures    └ below that
type element struct {
	policy   rsp.Policy
	interval time.Duration // of checks
	check    func(ctx context.Context) error
	load     func() (float64, error) // nil: the policy has none, or none is measured
	join     func(ctx context.Context, policy rsp.Policy) error
	leave    func(ctx context.Context) error
	log      *slog.Logger

	member   bool
	told     float64 // the load
	failed   int     // checks in a row
	rejected atomic.Bool
}

// run keeps the service registered for as long as it is healthy, until ctx ends.
func (e *element) run(ctx context.Context) {
	ticker := time.NewTicker(e.interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		e.examine(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	if e.member {
		e.deregister(ctx, nil)
	}
}

// examine checks the service once, and does what follows.
func (e *element) examine(ctx context.Context) {
	if e.rejected.Swap(false) {
		e.member = false // the registrar has logged why
	}
	checking, cancel := context.WithTimeout(ctx, e.interval)
	err := e.check(checking)
	cancel()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		e.failed = 0
		e.register(ctx)
	default:
		e.failed++
		e.log.Debug("service is not healthy", "err", err, "checks", e.failed)
		if e.member && (e.failed >= failures || errors.Is(err, syscall.ECONNREFUSED)) {
			e.deregister(ctx, err)
		} else if !e.member && e.failed == 1 {
			e.log.Warn("service is not registered, since it is not healthy", "err", err)
		}
	}
}

// register registers the service, or tells a load that has changed by a hundredth (RSPLIB's threshold).
func (e *element) register(ctx context.Context) {
	load := 0.0
	if e.load != nil {
		var err error
		if load, err = e.load(); err != nil {
			e.log.Warn("load is not known", "err", err)
			load = e.told
		}
	}
	load = min(load, 1)
	if e.member && math.Abs(load-e.told) < 0.01 && (load == e.told || load > 0) {
		return
	}
	if err := e.join(ctx, e.policy.WithLoad(load)); err != nil {
		if ctx.Err() == nil {
			e.log.Warn("service cannot be registered", "err", err)
		}
		return
	}
	if !e.member {
		e.log.Info("service is registered")
	}
	e.member, e.told = true, load
}

// deregister takes the service out of the pool, for a cause or since the proxy ends (nil).
func (e *element) deregister(ctx context.Context, cause error) {
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	e.member = false
	if err := e.leave(leaving); err != nil {
		e.log.Warn("registrar does not know that the service has left the pool", "err", err)
	}
	if cause != nil {
		e.log.Warn("service is deregistered, since it is not healthy", "err", cause)
	}
}
