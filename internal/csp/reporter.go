package csp

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// MinInterval is the shortest time between two reports of a component, as RSPLIB has it.
const MinInterval = 250 * time.Millisecond

// Config is what a Reporter needs. Every field must be set.
type Config struct {
	Server   netip.AddrPort // of the monitor
	Interval time.Duration
	Logger   *slog.Logger
	// Components returns the reports of the components that there are now. It need not set Final, Uptime and
	// Interval.
	Components func() []Report
}

// Reporter reports the status of components until it is closed. It has a goroutine of its own: nobody waits for it.
type Reporter struct {
	cfg   Config
	conn  *net.UDPConn
	stop  chan bool                 // of one place: whether to send final reports
	done  chan struct{}             // closed when the goroutine has ended
	once  sync.Once                 // done when stop was told
	since map[ComponentID]time.Time // the first report of each component that is there
	buf   []byte
}

// NewReporter begins with the first reports. Close or Abort ends it.
func NewReporter(cfg Config) (*Reporter, error) {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, fmt.Errorf("no status reports: %w", err)
	}
	r := &Reporter{
		cfg: cfg, conn: conn, stop: make(chan bool, 1), done: make(chan struct{}),
		since: make(map[ComponentID]time.Time),
	}
	go r.run()
	return r, nil
}

// Close sends a final report of each component. A nil Reporter has nothing to close or abort.
func (r *Reporter) Close() { r.end(true) }

// Abort ends the reports without a word, as the death of a program does.
func (r *Reporter) Abort() { r.end(false) }

func (r *Reporter) end(final bool) {
	if r == nil {
		return
	}
	r.once.Do(func() {
		_ = r.conn.SetWriteDeadline(time.Now().Add(time.Second)) // a network that takes nothing holds up no end
		r.stop <- final
	})
	<-r.done
}

func (r *Reporter) run() {
	defer close(r.done)
	defer r.conn.Close()
	ticker := time.NewTicker(r.cfg.Interval)
	defer ticker.Stop()
	for {
		r.report(time.Now(), r.cfg.Components())
		select {
		case <-ticker.C:
		case final := <-r.stop:
			if final {
				r.report(time.Now(), nil)
			}
			return
		}
	}
}

// report reports the components that are there, and for the last time those that are no more.
func (r *Reporter) report(now time.Time, components []Report) {
	there := make(map[ComponentID]bool, len(components))
	for _, c := range components {
		there[c.Sender] = true
		if r.since[c.Sender].IsZero() {
			r.since[c.Sender] = now
		}
		r.send(now, c)
	}
	for id := range r.since {
		if !there[id] {
			r.send(now, Report{Sender: id, Final: true})
			delete(r.since, id)
		}
	}
}

func (r *Reporter) send(now time.Time, c Report) {
	c.Uptime, c.Interval = now.Sub(r.since[c.Sender]), r.cfg.Interval
	r.buf = c.AppendTo(r.buf[:0])
	if _, err := r.conn.WriteToUDPAddrPort(r.buf, r.cfg.Server); err != nil {
		// It may get through next time, as a datagram that was lost.
		r.cfg.Logger.Debug("status report not sent", "to", r.cfg.Server, "err", err)
	}
}
