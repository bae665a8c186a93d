package rsp

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// eventLog writes what an engine tells to the log. It does so in a goroutine of
// its own, since the loop must not wait for whoever takes the log.
type eventLog struct {
	log    *slog.Logger
	queue  chan slog.Record // nil: nothing is logged
	missed int              // records that found the queue full; belongs to the loop's owner
	wg     sync.WaitGroup
	end    sync.Once
}

// newEventLog starts an eventLog, which stop must end. A log that takes nothing costs
// nothing.
func newEventLog(log *slog.Logger) *eventLog {
	l := &eventLog{log: log}
	if !log.Enabled(context.Background(), slog.LevelError) {
		return l
	}
	l.queue = make(chan slog.Record, 256)
	l.wg.Go(func() {
		for r := range l.queue {
			// A log that cannot be written has nowhere to say so.
			_ = l.log.Handler().Handle(context.Background(), r)
		}
	})
	return l
}

// stop ends the eventLog after the last event.
func (l *eventLog) stop() {
	if l.queue == nil {
		return
	}
	l.end.Do(func() { close(l.queue) })
	l.wg.Wait()
}

// enabled reports whether events of a level are logged.
func (l *eventLog) enabled(level slog.Level) bool {
	return l.queue != nil && l.log.Enabled(context.Background(), level)
}

// tell logs an event. It never waits: what is too much is counted. args are read later, by
// another goroutine.
func (l *eventLog) tell(level slog.Level, text string, args ...any) {
	if !l.enabled(level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, text, 0)
	r.Add(args...)
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
