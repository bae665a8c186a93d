package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// traffic is what a proxy has done.
type traffic struct {
	connections atomic.Int64 // accepted
	open        atomic.Int64
	moved       atomic.Int64 // to another pool element, before anything was said
	unserved    atomic.Int64 // had no pool element
	idle        atomic.Int64 // were ended since they were idle
	sent        atomic.Int64 // bytes to servers
	received    atomic.Int64 // bytes from servers
}

func (t *traffic) begin() {
	t.connections.Add(1)
	t.open.Add(1)
}

func (t *traffic) end() { t.open.Add(-1) }

// LogValue makes it a group of attributes.
func (t *traffic) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int64("connections", t.connections.Load()),
		slog.Int64("open", t.open.Load()),
		slog.Int64("moved", t.moved.Load()),
		slog.Int64("unserved", t.unserved.Load()),
		slog.Int64("idle", t.idle.Load()),
		slog.Int64("sent", t.sent.Load()),
		slog.Int64("received", t.received.Load()),
	)
}

// logEvery logs it once in the interval until ctx ends; 0: never.
func (t *traffic) logEvery(ctx context.Context, interval time.Duration, log *slog.Logger) (wait func()) {
	if interval == 0 {
		return func() {}
	}
	var logging sync.WaitGroup
	logging.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				log.Info("traffic", "traffic", t)
			case <-ctx.Done():
				return
			}
		}
	})
	return logging.Wait
}
