package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/scripting"
)

// job is the work, through all its trials.
type job struct {
	o      *options
	out    *log.Logger
	hash   scripting.Hash // of the environment
	result *os.File       // becomes the output once it is complete
	trial  int            // the first is 1
	server string         // the name of the one that the session is with; "" before it has said so
}

// errFailed is a trial whose work was done, in vain.
type errFailed struct {
	status  uint32
	results bool // were downloaded
}

func (e errFailed) Error() string {
	if !e.results {
		return fmt.Sprintf("the work package has ended with status %d, and without results", e.status)
	}
	return fmt.Sprintf("the work package has failed with status %d", e.status)
}

// errNotReady: the server has as much to do as it can.
var errNotReady = errors.New("not ready")

// newJob looks at the files, so that no server works in vain.
func newJob(o *options, out *log.Logger) (*job, error) {
	j := &job{o: o, out: out, trial: 1}
	f, err := os.Open(o.input)
	if err != nil {
		return nil, fmt.Errorf("cannot read the work package: %w", err)
	}
	_ = f.Close() // nothing was read
	if o.environment != "" {
		if j.hash, err = scripting.HashFile(o.environment); err != nil {
			return nil, fmt.Errorf("cannot read the environment: %w", err)
		}
	}
	// The output is complete or not there at all.
	if j.result, err = os.Create(o.output + ".part"); err != nil {
		return nil, fmt.Errorf("cannot write the results: %w", err)
	}
	return j, nil
}

// close removes what there is of incomplete results.
func (j *job) close() error {
	_ = j.result.Close() // keep has told an error
	if err := os.Remove(j.result.Name()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// keep makes the results the output.
func (j *job) keep() error {
	if err := j.result.Close(); err != nil {
		return fmt.Errorf("cannot write the results: %w", err)
	}
	if err := os.Rename(j.result.Name(), j.o.output); err != nil {
		return fmt.Errorf("cannot write the results: %w", err)
	}
	return nil
}

func (j *job) printf(format string, args ...any) {
	id := j.o.runID
	if id != "" && j.server != "" {
		id += "@" + j.server
	}
	if id != "" {
		id = "[" + id + "] "
	}
	j.out.Printf("%s%s", id, fmt.Sprintf(format, args...))
}

// printable is a server's name without what could confuse a terminal.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}

// run gives the work to one server after the other, until one has done it or -maxretry is reached. Servers that
// are lost or not ready do not count.
func (j *job) run(ctx context.Context, e *rsp.Endpoint) error {
	session, err := j.connect(ctx, e)
	if err != nil {
		return err
	}
	defer session.Close() // it is over in any case
	for moved := false; ; moved = true {
		err := newTrial(j, session, moved).run(ctx)
		var failed errFailed
		switch {
		case err == nil:
			return j.keep()
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, new(localError)):
			return err
		case errors.As(err, &failed) && j.trial >= j.o.maxRetry && failed.results:
			return errors.Join(err, j.keep())
		case errors.As(err, &failed) && j.trial >= j.o.maxRetry:
			return err
		case errors.As(err, &failed):
			j.trial++
			j.printf("Trying again (Trial %d of %d) ...", j.trial, j.o.maxRetry)
		case !errors.Is(err, errNotReady):
			j.printf("Server %s is lost: %v", cmp.Or(j.server, "(unknown)"), err)
		}
		if err := j.pause(ctx); err != nil {
			return err
		}
		j.printf("FAILOVER ...")
		if err := session.ForceFailover(ctx, false); err != nil {
			return err
		}
	}
}

// connect waits for as long as it takes until there is a pool, and a server of it can be reached.
func (j *job) connect(ctx context.Context, e *rsp.Endpoint) (*rsp.Socket, error) {
	// Nothing of the work goes over to another server, so that the session cannot fail over by itself.
	d := rsp.Dialer{Endpoint: e, Failover: rsp.FailoverManual, FailoverTimeout: -1, Notifications: true}
	for {
		j.printf("Connecting to pool %s ...", j.o.pool)
		session, err := d.Connect(ctx, j.o.pool)
		if err == nil || ctx.Err() != nil {
			return session, err
		}
		j.printf("%v", err)
		if err := j.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// pause waits for the retry delay, give or take an eighth, so that clients which have lost the same
// server do not come all at once.
func (j *job) pause(ctx context.Context) error {
	delay := time.Duration(float64(j.o.retryDelay) * (0.875 + 0.25*rand.Float64()))
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
