package rsp

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/registrar"
)

// registrarLog writes what happens to PEs to the log. It does so in a goroutine of
// its own, since the loop must not wait for whoever takes the log.
type registrarLog struct {
	log    *slog.Logger
	queue  chan slog.Record
	missed int // records that found the queue full; belongs to the loop's owner
	wg     sync.WaitGroup
	end    sync.Once
}

func newRegistrarLog(log *slog.Logger) *registrarLog {
	return &registrarLog{log: log, queue: make(chan slog.Record, 1024)}
}

// start starts the goroutine; stop ends it, when nothing is told any more.
func (l *registrarLog) start() {
	l.wg.Go(func() {
		for r := range l.queue {
			// A log that cannot be written has nowhere to say so.
			_ = l.log.Handler().Handle(context.Background(), r)
		}
	})
}

func (l *registrarLog) stop() {
	l.end.Do(func() { close(l.queue) })
	l.wg.Wait()
}

// tell logs a change. It never waits: what is too much is counted.
func (l *registrarLog) tell(c registrar.Change) {
	level, text := describe(c)
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	pe := &c.Element.PoolElement
	r := slog.NewRecord(time.Now(), level, text, 0)
	r.AddAttrs(slog.String("pool", string(c.Element.Handle)), slog.String("pe", pe.ID.String()))
	switch c.Kind {
	case handlespace.Removed:
		r.AddAttrs(slog.String("reason", c.Reason.String()))
	default:
		r.AddAttrs(slog.String("at", pe.User.String()), slog.String("policy", pe.Policy.String()))
	}
	if l.missed > 0 {
		r.AddAttrs(slog.Int("notLogged", l.missed))
	}
	select {
	case l.queue <- r:
		l.missed = 0
	default:
		l.missed++
	}
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
