package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
)

// server is the pool element, through all its lives.
type server struct {
	o      *options
	stdout io.Writer // what the service tells
	say    io.Writer // what is told of the start and the end
}

// errRuntime: -runtime is over.
var errRuntime = errors.New("the configured runtime is over")

// errUptime: -uptime is over for now.
var errUptime = errors.New("the uptime is over")

// run lives until ctx ends or -runtime is over, with pauses in between if -uptime wants them.
func (s *server) run(ctx context.Context) error {
	if s.o.runtime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.o.runtime, errRuntime)
		defer cancel()
	}
	if s.o.uptime == 0 {
		return s.live(ctx, s.o.runtime)
	}
	for {
		fmt.Fprintf(s.say, "Uptime   = %.3f [s]\nDowntime = %.3f [s]\n", s.o.uptime.Seconds(), s.o.downtime.Seconds())
		uptime := random(s.o.uptime)
		life, cancel := context.WithTimeoutCause(ctx, uptime, errUptime)
		err := s.live(life, uptime)
		cancel()
		if err != nil || ctx.Err() != nil {
			return err
		}
		downtime := random(s.o.downtime)
		fmt.Fprintf(s.say, "\nWaiting for %.3fs ...\n", downtime.Seconds())
		select {
		case <-time.After(downtime):
		case <-ctx.Done():
			return nil
		}
	}
}

// random is a time of a negative exponential distribution.
func random(mean time.Duration) time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(mean))
}

// live is one life of the pool element, until ctx ends, which is after limit if that is not 0.
func (s *server) live(ctx context.Context, limit time.Duration) (err error) {
	s.printStart(limit)
	e, err := rsp.NewEndpoint(&s.o.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	listener, err := s.register(ctx, e)
	if err != nil {
		return s.ended(ctx, err)
	}
	fmt.Fprintf(s.say, "Registration:\n   Identifier              = $%08x\n\n", uint32(listener.LocalPE()))
	out := log.New(program.Stamped(s.stdout), "", 0)
	return s.ended(ctx, s.o.service.Serve(ctx, listener, out))
}

// register waits for a registrar for as long as it takes.
func (s *server) register(ctx context.Context, e *rsp.Endpoint) (*rsp.Socket, error) {
	listener := e.Socket()
	if s.o.local != "" {
		if err := listener.Bind(s.o.local); err != nil {
			return nil, err
		}
	}
	if err := listener.RegisterPE(ctx, s.o.pool, s.o.pe); err != nil {
		return nil, err
	}
	return listener, nil
}

// ended says why a life has ended, if not by a signal, and returns err if that was not to be.
func (s *server) ended(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return err
	case cause == errRuntime, cause == errUptime:
		fmt.Fprint(s.say, "Auto-stop reached!\n")
	}
	return nil
}

// printStart prints what is in force, as RSPLIB's rspserver does.
func (s *server) printStart(limit time.Duration) {
	o := s.o
	fmt.Fprintf(s.say, "Starting service %s...\n", o.service.Name())
	program.Title(s.say, o.service.Name()+" Server - Version 1.0")
	runtime := "off"
	if limit > 0 {
		runtime = fmt.Sprintf("%.3f [s]", limit.Seconds())
	}
	fmt.Fprint(s.say, "General Parameters:\n")
	for _, line := range []struct{ name, value string }{
		{"Pool Handle", string(o.pool)},
		{"Reregistration Interval", fmt.Sprintf("%.3fs", o.Config.ReregistrationInterval.Seconds())},
		{"Local Addresses", "{ " + cmp.Or(o.local, "all") + " }"},
		{"Runtime Limit", runtime},
	} {
		fmt.Fprintf(s.say, "   %-23s = %s\n", line.name, line.value)
	}
	o.service.PrintParameters(s.say)
	fmt.Fprintf(s.say, "   Policy Settings\n      Policy Type          = %v\n", o.pe.Policy)
}
