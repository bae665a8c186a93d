package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rserpool/rsp"
)

// service is the registrar with its files.
type service struct {
	o      *options
	log    *slog.Logger
	stdout io.Writer

	stats     statistics
	statsFile *output // nil: none
	actions   *output // nil: none
	scalars   *output // nil: none
	health    *health // nil: nobody asks
	lives     int     // of the registrar, the one that is included
	refused   uint64  // requests of this life whose refusal is logged

	hangups chan os.Signal // at which the policy is read again; nil: there is none
}

// newService creates the files and opens the address of -health, so that what cannot be had is known at once.
func newService(o *options, stdout io.Writer) (*service, error) {
	s := &service{o: o, log: o.cfg.Logger, stdout: stdout, stats: statistics{start: time.Now()}}
	for _, f := range []struct {
		what, name string
		output     **output
	}{
		{"action log", o.actionLogFile, &s.actions},
		{"statistics", o.statsFile, &s.statsFile},
		{"scalar file", o.scalarFile, &s.scalars},
	} {
		if f.name == "" {
			continue
		}
		var err error
		if *f.output, err = createOutput(f.name); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot write the %s: %w", f.what, err), s.close())
		}
	}
	if o.health != "" {
		var err error
		if s.health, err = startHealth(o.health, s.log); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot tell the health: %w", err), s.close())
		}
	}
	if s.statsFile != nil {
		io.WriteString(s.statsFile, statsHeader)
	}
	if s.actions != nil {
		log := newActionLog(s.actions, s.stats.start, o.cfg.EndpointKeepAliveTransmissionInterval)
		o.cfg.Trace = log.write
		if o.cfg.ID == 0 { // the log names it
			o.cfg.ID = rsp.RegistrarID(rand.Uint32N(1<<32-1) + 1)
		}
		log.id = o.cfg.ID
	}
	return s, nil
}

// close finishes the files.
func (s *service) close() error {
	var errs []error
	if s.health != nil {
		errs = append(errs, s.health.close())
	}
	for _, f := range []*output{s.statsFile, s.actions, s.scalars} {
		if f != nil {
			errs = append(errs, f.close())
		}
	}
	return errors.Join(errs...)
}

// run serves until ctx ends, with failures in between if the options want them.
func (s *service) run(ctx context.Context) error {
	if s.o.policy.name != "" {
		s.hangups = make(chan os.Signal, 1)
		signal.Notify(s.hangups, syscall.SIGHUP)
		defer signal.Stop(s.hangups)
	}
	for {
		if err := s.live(ctx); err != nil {
			return err
		}
		if ctx.Err() == nil {
			s.idle(ctx, random(s.o.downtime))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if s.scalars != nil {
		s.stats.writeScalars(s.scalars, time.Now(), s.o.object)
	}
	return nil
}

// random is a time of a negative exponential distribution.
func random(mean time.Duration) time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(mean))
}

// live is one life of the registrar: until ctx ends, or its time is up.
func (s *service) live(ctx context.Context) error {
	began := time.Now()
	r, err := rsp.NewRegistrar(&s.o.cfg)
	if err != nil {
		return err
	}
	s.tellHealth(r)
	defer s.tellHealth(nil)
	if err := r.Start(ctx); err != nil {
		r.Abort()
		return fmt.Errorf("cannot start: %w", err)
	}
	s.o.cfg.ID = r.ID() // it keeps it in its next life
	if s.lives++; s.lives == 1 {
		s.o.banner(s.stdout, r)
	}
	s.log.Info("registrar is running", "id", r.ID(), "addresses", strings.Join(r.Addrs(), " "), "peerAddress", r.PeerAddr(),
		"announces", s.o.cfg.Announce, "peerAnnounces", s.o.cfg.ENRPAnnounce)
	fails := s.observe(ctx, r)
	s.tellHealth(nil)
	stats := r.Stats()
	s.stats.endLife(&stats, time.Since(began))
	if fails {
		r.Abort()
		s.log.Warn("registrar has failed, as -uptime wants")
		return nil
	}
	return s.shutdown(ctx, r, &stats)
}

// tellHealth makes -health tell of r, or that there is no registrar.
func (s *service) tellHealth(r *rsp.Registrar) {
	if s.health != nil {
		s.health.registrar.Store(r)
	}
}

// shutdownTimeout is how long PEs and PUs are given to take their last messages.
const shutdownTimeout = 3 * time.Second

func (s *service) shutdown(ctx context.Context, r *rsp.Registrar, stats *rsp.RegistrarStats) error {
	s.log.Info("registrar is ending: its pool elements and users look for another one now", "elements", stats.OwnedElements, "peers", stats.Peers)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.Abort()
		return fmt.Errorf("did not end cleanly: %w", err)
	}
	s.log.Info("registrar has ended", "registrations", stats.Registrations, "reregistrations", stats.Reregistrations,
		"deregistrations", stats.Deregistrations, "lost", stats.Lost, "resolutions", stats.Resolutions,
		"failureReports", stats.FailureReports, "keepAlives", stats.KeepAlives, "handleUpdates", stats.HandleUpdates,
		"takeovers", stats.Takeovers, "refused", stats.Refused, "unauthorized", stats.Unauthorized)
	return nil
}

// refusalInterval is how often refused requests are logged at most.
const refusalInterval = 10 * time.Second

// observe writes statistics until ctx ends, or, then it returns true, the registrar shall fail.
func (s *service) observe(ctx context.Context, r *rsp.Registrar) (fails bool) {
	var up, interval <-chan time.Time
	if s.o.uptime > 0 {
		up = time.After(random(s.o.uptime))
	}
	if s.statsFile != nil {
		s.writeStats(time.Now(), r)
		ticker := time.NewTicker(s.o.statsInterval)
		defer ticker.Stop()
		interval = ticker.C
	}
	refusals := time.NewTicker(refusalInterval)
	defer refusals.Stop()
	s.refused = 0
	for {
		select {
		case now := <-interval:
			s.writeStats(now, r)
		case <-refusals.C:
			s.logRefusals(r)
		case <-s.hangups:
			s.rereadPolicy()
		case <-up:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// rereadPolicy puts the policy in force as its file is now. What was allowed before goes on until it is asked for again.
func (s *service) rereadPolicy() {
	if err := s.o.policy.read(); err != nil {
		s.log.Error("policy is not read again: that before is in force", "err", err)
		return
	}
	s.log.Info("policy is read again", "file", s.o.policy.name)
}

// idle writes statistics of no registrar for a while.
func (s *service) idle(ctx context.Context, while time.Duration) {
	over := time.After(while)
	var interval <-chan time.Time
	if s.statsFile != nil {
		ticker := time.NewTicker(s.o.statsInterval)
		defer ticker.Stop()
		interval = ticker.C
	}
	for {
		select {
		case now := <-interval:
			s.stats.writeLine(s.statsFile, now, &rsp.RegistrarStats{})
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *service) writeStats(now time.Time, r *rsp.Registrar) {
	stats := r.Stats()
	s.stats.writeLine(s.statsFile, now, &stats)
	// Who looks at the file while it grows shall see this line; an error shows at the end.
	_ = s.statsFile.Flush()
}

// logRefusals says how many requests and associations were beyond -maxhrrate, -maxeurate and -maxclientassociations.
func (s *service) logRefusals(r *rsp.Registrar) {
	if n := r.Stats().Refused; n > s.refused {
		s.log.Warn("requests were refused: their users ask more often than -maxhrrate or -maxeurate allow, or have too many associations for -maxclientassociations", "requests", n-s.refused, "within", refusalInterval)
		s.refused = n
	}
}
