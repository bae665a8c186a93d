// Rspproxy brings clients and servers that know nothing of RSerPool (RFC 3237 section 2.6) to its pools.
//
// With -listen it is a proxy PU: each connection that it accepts goes to an element of a pool. With -service
// it is a proxy PE: an unchanged server is a pool element for as long as it is healthy. See -help and
// README.md. It ends at SIGINT or SIGTERM, gracefully; a second signal kills it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/rserpool/rsp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp): // given
	case err != nil:
		fmt.Fprintln(os.Stderr, "rspproxy:", err)
		os.Exit(1)
	}
}

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: o.logLevel}))
	o.cfg.Logger = log // which names the pool where it is about one
	log = log.With("pool", o.pool)
	endpoint, err := rsp.NewEndpoint(&o.cfg)
	if err != nil {
		return err
	}
	traffic := new(traffic)
	logCtx, stopLogging := context.WithCancel(ctx)
	logged := traffic.logEvery(logCtx, o.stats, log)
	if o.listen != "" {
		err = runUser(ctx, o, endpoint, traffic, log)
	} else {
		err = runElement(ctx, o, endpoint, traffic, log)
	}
	stopLogging()
	logged()
	return errors.Join(err, endpoint.Close())
}
