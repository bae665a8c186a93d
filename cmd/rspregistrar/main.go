// Rspregistrar runs a registrar of Reliable Server Pooling (RFC 5351).
//
// Its options are those of RSPLIB's rspregistrar, see -help, and README.md for what differs. It
// ends at SIGINT or SIGTERM, gracefully; a second signal kills it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp): // given
	case err != nil:
		fmt.Fprintln(os.Stderr, "rspregistrar:", err)
		os.Exit(1)
	}
}

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	if o.daemonPIDFile != "" {
		if os.Getenv(daemonVar) == "" {
			return startDaemon(args, o.daemonPIDFile)
		}
		defer os.Remove(o.daemonPIDFile) // whoever has removed it before has done no harm
	}
	log, closeLog, err := o.log.open(stderr, o.quiet)
	if err != nil {
		return err
	}
	o.cfg.Logger = log
	if o.quiet {
		stdout = io.Discard
	}
	s, err := newService(o, stdout)
	if err != nil {
		return errors.Join(err, closeLog())
	}
	return errors.Join(s.run(ctx), s.close(), closeLog())
}
