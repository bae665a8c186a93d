// Hsdump prints the peers and the handlespace of a registrar, ours or RSPLIB's, as RSPLIB's hsdump does: it claims to
// be another registrar, which the registrar takes for a peer until some seconds after the end.
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
	"time"

	"github.com/rserpool/rsp/internal/hsdump"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp): // given
	case err != nil:
		fmt.Fprintln(os.Stderr, "hsdump:", err)
		os.Exit(1)
	}
}

const usage = `Usage: hsdump ADDRESS:PORT
Prints the peers and the handlespace of the registrar that its peers find there (port 9901, if it is well-known).
`

// timeout bounds the whole dump.
const timeout = 30 * time.Second

// run is the program.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("hsdump", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are the caller's to print
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			io.WriteString(stdout, usage)
		}
		return err
	}
	if fs.NArg() != 1 {
		return errors.New("needs one argument, the ADDRESS:PORT of a registrar")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := hsdump.Dial(ctx, fs.Arg(0))
	if err != nil {
		return fmt.Errorf("cannot reach the registrar: %w", err)
	}
	d, err := c.Dump(ctx)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	print(stdout, d)
	return c.Close()
}

// print prints a dump.
func print(w io.Writer, d *hsdump.Dump) {
	fmt.Fprintf(w, "Registrar %v\n\nPeers:\n", d.Registrar)
	for _, p := range d.Peers {
		fmt.Fprintf(w, "   %v at %v\n", p.ID, p.Transport)
	}
	if len(d.Peers) == 0 {
		fmt.Fprintln(w, "   none")
	}
	fmt.Fprintln(w, "\nHandlespace:")
	for _, pool := range d.Pools {
		fmt.Fprintf(w, "   Pool %q, %v\n", string(pool.Handle), pool.Elements[0].Policy.Type)
		for _, pe := range pool.Elements {
			fmt.Fprintf(w, "      PE %v at %v, home %v, life %v, %v\n", pe.ID, pe.User, pe.Home, pe.Life, pe.Policy)
		}
	}
	fmt.Fprintf(w, "\nGot %d pools, %d PEs\n", len(d.Pools), d.Len())
}
