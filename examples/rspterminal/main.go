// Rspterminal is a terminal for the simple services, Echo, Discard, Daytime and CharGen: it sends the lines that it
// reads to a pool, and prints what comes, from whom, and each failover.
//
//	go run ./examples/rspterminal -poolhandle=EchoPool
//
// Its options are those of RSPLIB's rspterminal, see -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
)

func main() { program.Main("rspterminal", run) }

// run is the program: it goes on until stdin or ctx ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	pool := rsp.PoolHandle("EchoPool")
	o := program.NewOptions("rspterminal", "RSerPool terminal (PU) for services like Echo, Discard, Daytime, CharGen.")
	o.Group("Parameters", func(fs *flag.FlagSet) {
		fs.Var(program.Pool(&pool), "poolhandle", "Sets the PH to a non-default value, `pool handle`.")
	})
	if err := o.Parse(args, stdout); err != nil {
		return err
	}
	closeLog, err := o.OpenLog(stderr)
	if err != nil {
		return err
	}
	program.Title(stdout, "RSerPool Terminal - Version 1.0")
	fmt.Fprintf(stdout, "Pool Handle = %s\n\n", pool)
	defer program.SayBreak(ctx, stdout)()
	e, err := rsp.NewEndpoint(&o.Config)
	if err != nil {
		return errors.Join(err, closeLog())
	}
	t := &terminal{endpoint: e, pool: pool, screen: program.NewScreen(stdout)}
	return errors.Join(t.run(ctx, stdin), e.Close(), closeLog())
}
