// Calcappclient makes jobs at random times, of random size, and has them handled by a pool of servers (rspserver
// -calcapp), one after the other. It measures how long that takes, and loses no job when servers die.
//
// Its options, what it prints and the files that it writes are those of RSPLIB's calcappclient, see -help:
//
//	go run ./cmd/rspregistrar
//	go run ./examples/rspserver -calcapp
//	go run ./examples/calcappclient -jobinterval=5 -runtime=60
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/calcapp"
	"github.com/rserpool/rsp/examples/internal/program"
)

func main() { program.Main("calcappclient", run) }

// options are what the command line says.
type options struct {
	*program.Options

	client                 *calcapp.Client
	runtime                time.Duration
	object                 string
	vectorFile, scalarFile string
	daemonPIDFile          string
}

// newOptions returns the defaults, which are RSPLIB's.
func newOptions() *options {
	o := &options{
		Options:    program.NewOptions("calcappclient", "Has jobs handled by a pool of CalcApp servers (RSerPool PU), for performance tests."),
		client:     calcapp.NewClient(nil),
		runtime:    86400 * time.Second,
		object:     "scenario.calcapppooluser[0]",
		vectorFile: "CalcAppPU.vec",
		scalarFile: "CalcAppPU.sca",
	}
	c := o.client
	o.Group("Service Parameters", func(fs *flag.FlagSet) {
		fs.Var(program.Pool(&c.PoolHandle), "poolhandle", "`pool handle` of the servers")
		fs.Var(program.Seconds(&c.JobInterval), "jobinterval", "`seconds` from one job to the next, on average (negative exponential)")
		calcapp.NumberFlag(fs, &c.JobSize, "jobsize", "`calculations` of a job, on average (negative exponential)", 1, 1e15)
		fs.Var(program.Milliseconds(&c.KeepAliveTransmissionInterval, minKeepAlive), "keepalivetransmissioninterval", "`milliseconds` from a keep-alive's answer to the next one, at least 100")
		fs.Var(program.Milliseconds(&c.KeepAliveTimeoutInterval, minKeepAlive), "keepalivetimeoutinterval", "`milliseconds` that a server may take to answer, at least 100, before another one gets the job")
		fs.Var(program.Seconds(&o.runtime), "runtime", "`seconds` until the program ends")
		fs.StringVar(&o.object, "object", o.object, "`name` of the client in the files")
		fs.StringVar(&o.vectorFile, "vector", o.vectorFile, "`file` for each completed job")
		fs.StringVar(&o.scalarFile, "scalar", o.scalarFile, "`file` for totals, written at the end")
		fs.StringVar(&o.daemonPIDFile, "daemonpidfile", "", "`file` for the process ID: run in the background")
	})
	return o
}

// minKeepAlive is RSPLIB's lowest interval.
const minKeepAlive = 100 * time.Millisecond

// run is the program: it ends with -runtime or ctx.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) (err error) {
	o := newOptions()
	if err := o.Parse(args, stdout); err != nil {
		return err
	}
	if o.daemonPIDFile != "" {
		started, removeFile, err := program.Daemon(args, o.daemonPIDFile)
		if started || err != nil {
			return err
		}
		defer removeFile()
	}
	closeLog, err := o.OpenLog(stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	o.printStart(stdout)
	defer program.SayBreak(ctx, stdout)()
	return o.handleJobs(ctx, stdout)
}

// handleJobs makes jobs and has them handled, and writes the files.
func (o *options) handleJobs(ctx context.Context, stdout io.Writer) (err error) {
	e, err := rsp.NewEndpoint(&o.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	vector, err := calcapp.CreateVector(o.vectorFile, calcapp.ClientVectorHeader)
	if err != nil {
		return err
	}
	c := o.client
	c.Endpoint, c.Out = e, log.New(stdout, "", 0)
	c.Completed = func(j *calcapp.Job) { vector.Add(c.VectorRecord(o.object, j)) }
	ctx, cancel := context.WithTimeout(ctx, o.runtime)
	defer cancel()
	err = c.Run(ctx)
	return errors.Join(err, vector.Close(), calcapp.WriteScalars(o.scalarFile, o.object, c.Stats.Scalars()))
}

// printStart prints what is in force, as RSPLIB's calcappclient does.
func (o *options) printStart(w io.Writer) {
	c := o.client
	program.Title(w, "CalcApp Client - Version 1.0")
	for _, line := range []struct{ name, value string }{
		{"Object", o.object},
		{"Vector File", o.vectorFile},
		{"Scalar File", o.scalarFile},
		{"Pool Handle", string(c.PoolHandle)},
		{"Job Interval", fmt.Sprintf("%.6g [s]", c.JobInterval.Seconds())},
		{"Job Size", fmt.Sprintf("%.6g [Calculations]", c.JobSize)},
		{"Keep-Alive Transm. Int.", fmt.Sprintf("%.6g [s]", c.KeepAliveTransmissionInterval.Seconds())},
		{"Keep-Alive Timeout Int.", fmt.Sprintf("%.6g [s]", c.KeepAliveTimeoutInterval.Seconds())},
		{"Runtime", fmt.Sprintf("%.6g [s]", o.runtime.Seconds())},
	} {
		fmt.Fprintf(w, "%-23s = %s\n", line.name, line.value)
	}
	fmt.Fprintln(w)
}
