// Pingpongclient is the client (PU) of the service Ping Pong of rspserver: it sends a Ping at regular intervals, and
// checks that the replies are numbered without gaps, over all servers.
//
//	go run ./examples/rspserver -pingpong -pppfailureafter=3
//	go run ./examples/pingpongclient
//
// Its options are those of RSPLIB's pingpongclient, see -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
)

func main() { program.Main("pingpongclient", run) }

// run is the program: it goes on until ctx ends.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	pool, interval := rsp.PoolHandle("PingPongPool"), 500*time.Millisecond
	o := program.NewOptions("pingpongclient", "RSerPool client (PU) for the PingPong service.")
	o.Group("Parameters", func(fs *flag.FlagSet) {
		fs.Var(program.Pool(&pool), "poolhandle", "Sets the PH to a non-default value, `pool handle`.")
		fs.Var(program.Milliseconds(&interval, time.Millisecond), "interval", "Sets the request interval in `milliseconds`.")
	})
	if err := o.Parse(args, stdout); err != nil {
		return err
	}
	closeLog, err := o.OpenLog(stderr)
	if err != nil {
		return err
	}
	program.Title(stdout, "Ping Pong Pool User - Version 1.0")
	fmt.Fprintf(stdout, "Pool Handle   = %s\nPing Interval = %dms\n\n", pool, interval.Milliseconds())
	defer program.SayBreak(ctx, stdout)()
	e, err := rsp.NewEndpoint(&o.Config)
	if err != nil {
		return errors.Join(err, closeLog())
	}
	c := &client{endpoint: e, pool: pool, interval: interval, screen: program.NewScreen(stdout)}
	return errors.Join(c.run(ctx), e.Close(), closeLog())
}
