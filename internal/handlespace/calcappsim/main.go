// Calcappsim shows what the policies do to a pool by a simulation: how fast the
// jobs of pool users are handled, at which utilisation of the pool, when
// selection goes through package handlespace.
//
// The model is that of CalcApp, the application of T. Dreibholz and E. P.
// Rathgeb, "On the Performance of Reliable Server Pooling Systems" (LCN 2005),
// and of RSPLIB. PEs have a capacity in calculations per second, which their jobs
// share equally. A PE with as many jobs as it may run refuses another one; the PU
// then waits for a moment and tries a PE that has not refused yet. A PE with a
// policy that knows its load re-registers whenever that changes. PUs make jobs of
// random size at random intervals, both negative exponential, and have them
// handled one after the other. The handling speed of a job is its size by the
// time from when it was made to when it is complete: queuing in the PU, startup,
// processing. It is told as a part of the average PE's capacity.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/rserpool/rsp/internal/protocol"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp): // given
	case err != nil:
		fmt.Fprintln(os.Stderr, "calcappsim:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	model
	pes, factor int
	runs        int
	seed        uint64
	plot        string
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{model: defaultModel()}
	flags := flag.NewFlagSet("calcappsim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Calcappsim simulates RSerPool's CalcApp model and prints what each policy makes of it.")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.plot, "o", "", "write a plot of the handling speeds to this `file`, as SVG")
	flags.Uint64Var(&o.seed, "seed", 1, "of the first run; the same seed gives the same figures")
	flags.IntVar(&o.runs, "runs", 5, "of each scenario, for the confidence intervals; at least 2")
	flags.Float64Var(&o.duration, "duration", o.duration, "simulated `seconds` of a run that are measured")
	flags.Float64Var(&o.warmUp, "warmup", o.warmUp, "simulated `seconds` before these")
	flags.IntVar(&o.pes, "pes", 12, "PEs of the pool; at least 3")
	flags.IntVar(&o.pusPerPE, "pus", o.pusPerPE, "PUs per PE")
	flags.IntVar(&o.maxJobs, "maxjobs", o.maxJobs, "jobs that an average PE runs at once; others in proportion to their capacity")
	flags.IntVar(&o.factor, "factor", 4, "in the heterogeneous pool, how many times the capacity of the others a third of the PEs have")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("bad argument %q", flags.Arg(0))
	case o.runs < 2 || o.pes < 3 || o.pusPerPE < 1 || o.maxJobs < 1 || o.factor < 1 || !(o.warmUp >= 0) || !(o.duration > 0):
		return nil, errors.New("-runs must be at least 2, -pes 3, -pus, -maxjobs and -factor 1, -warmup 0, -duration more than 0")
	}
	return o, nil
}

// run is the program.
func run(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	var panels []panel
	for _, s := range o.sweeps() {
		curves, err := s.run()
		if err != nil {
			return err
		}
		p := panel{s.pool.String(), curves}
		if err := writeTable(stdout, p.title, curves); err != nil {
			return err
		}
		panels = append(panels, p)
	}
	if o.plot == "" {
		return nil
	}
	return os.WriteFile(o.plot, plot(panels), 0o644)
}

// sweeps returns the homogeneous and the heterogeneous pool's. Weights and
// priorities say nothing where all PEs are alike.
func (o *options) sweeps() []sweep {
	var utilisations []float64
	for percent := 20; percent <= 95; percent += 5 {
		utilisations = append(utilisations, float64(percent)/100)
	}
	policies := []protocol.PolicyType{
		protocol.LeastUsed, protocol.LeastUsedDegradation, protocol.RandomizedLeastUsed,
		protocol.RoundRobin, protocol.Random,
	}
	unequal := []protocol.PolicyType{
		protocol.PriorityLeastUsed, protocol.WeightedRoundRobin, protocol.WeightedRandom, protocol.Priority,
	}
	return []sweep{
		{o.model, poolShape{o.pes, 1}, policies, utilisations, o.runs, o.seed},
		{o.model, poolShape{o.pes, o.factor}, slices.Concat(policies, unequal), utilisations, o.runs, o.seed},
	}
}
