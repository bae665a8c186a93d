// Fractalpooluser lets a pool of servers compute pictures, as RSPLIB's program of that name
// does. See it run: a registrar, three servers and this client in one process; two servers
// die in the middle, and the picture is the same to the last pixel:
//
//	go run ./examples/fractalpooluser -demo
//	go run ./examples/fractalpooluser -demo -web=localhost:8080
//
// With servers of their own, ours or RSPLIB's:
//
//	go run ./cmd/rspregistrar
//	go run ./examples/rspserver -fractal
//	go run ./examples/fractalpooluser -threads=4 -web=localhost:8080 -configdir=/usr/share/fgpconfig
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
)

func main() { program.Main("fractalpooluser", run) }

// run is the program: it computes pictures until ctx ends.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	closeLog, err := o.OpenLog(stderr)
	if err != nil {
		return err
	}
	return errors.Join(o.run(ctx, stdout), closeLog())
}

func (o *options) run(ctx context.Context, stdout io.Writer) error {
	history := newHistory()
	if o.demo {
		fmt.Fprintln(stdout, "Anna, Berta and Carla are servers of one pool. A client lets them compute a picture, in several sessions,")
		fmt.Fprintln(stdout, "and two of them die. The client's sessions go on with those that are left.")
	}
	if o.web != "" {
		page, err := startPage(o.web, o.caption, history)
		if err != nil {
			return err
		}
		defer page.close()
		fmt.Fprintf(stdout, "The page is http://%s/\n", page.addr())
		if o.demo {
			fmt.Fprintln(stdout, "The demonstration begins when a browser shows it.")
			if !page.awaitVisitor(ctx) {
				return nil
			}
		}
	}
	progress := startProgress(stdout, history)
	if o.demo {
		err := demo(ctx, o, history)
		progress.stop()
		if ctx.Err() != nil {
			return nil
		}
		if err == nil && o.web != "" {
			fmt.Fprintln(stdout, "The page stays until you press Ctrl-C.")
			<-ctx.Done()
		}
		return err
	}
	defer program.SayBreak(ctx, stdout)()
	defer progress.stop()
	return computeAll(ctx, o, history)
}

// computeAll computes one picture after the other. One that fails does not end it, but is an error at
// the end.
func computeAll(ctx context.Context, o *options, history *history) error {
	e, err := rsp.NewEndpoint(&o.Config)
	if err != nil {
		return err
	}
	defer e.Close()
	c := o.client(e, history)
	var failed error // the last of those that did
	for number := 1; ; number++ {
		if err := o.computeOne(ctx, c, number); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			failed = err
			history.add(event{kind: eventNote, text: err.Error()})
		}
		if number == o.images {
			return failed
		}
		select {
		case <-time.After(o.interImageTime):
		case <-ctx.Done():
			return nil
		}
	}
}

func (o *options) client(e *rsp.Endpoint, history *history) *client {
	return &client{
		endpoint: e, pool: o.pool, threads: o.threads,
		sendTimeout: o.sendTimeout, recvTimeout: o.recvTimeout, history: history,
	}
}

func (o *options) computeOne(ctx context.Context, c *client, number int) error {
	title, parameter, err := o.choose()
	if err != nil {
		return err
	}
	p, err := c.compute(ctx, title, parameter)
	if err != nil || o.imageStoragePrefix == "" {
		return err
	}
	name, err := o.colours.save(p, o.imageStoragePrefix, number)
	if err == nil {
		c.history.add(event{kind: eventNote, text: "stored as " + name})
	}
	return err
}
