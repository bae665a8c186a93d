// Scriptingclient sends a work package to a pool of servers that run such packages (rspserver -scripting), and
// gets the results. README.md shows how to make one.
//
// Its options, and what it prints, are those of RSPLIB's scriptingclient, see -help. It ends with exit code 0
// when the results are there and the package's program has said 0, else with 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
)

func main() { program.Main("scriptingclient", run) }

// options are what the command line says.
type options struct {
	*program.Options

	pool              rsp.PoolHandle
	environment       string // "": none
	input, output     string
	quiet             bool
	maxRetry          int
	retryDelay        time.Duration
	runID             string
	transmitTimeout   time.Duration
	keepAliveInterval time.Duration
	keepAliveTimeout  time.Duration
}

// newOptions returns the defaults, which are RSPLIB's.
func newOptions() *options {
	o := &options{
		Options:           program.NewOptions("scriptingclient", "Sends a work package to a pool of servers that run it, and gets the results (RSerPool PU)."),
		pool:              "ScriptingPool",
		maxRetry:          3,
		retryDelay:        10 * time.Second,
		transmitTimeout:   59500 * time.Millisecond,
		keepAliveInterval: 10 * time.Second,
		keepAliveTimeout:  10 * time.Second,
	}
	o.Group("Service Parameters", func(fs *flag.FlagSet) {
		fs.Var(program.Pool(&o.pool), "poolhandle", "`pool handle` of the servers")
		fs.StringVar(&o.input, "input", "", "`file name` of the work package: a tar archive, plain or compressed by gzip or bzip2, with a program ssrun; needed")
		fs.StringVar(&o.output, "output", "", "`file name` for the results, as ssrun writes them; needed")
		fs.StringVar(&o.environment, "environment", "", "`file name` of what many work packages need: servers cache it, so that it is not uploaded each time")
		fs.BoolVar(&o.quiet, "quiet", false, "print neither the settings nor the end")
		fs.Var(program.Count(&o.maxRetry, 0), "maxretry", "`trials` of a work package that fails; what the last one writes is downloaded, to see why")
		fs.Var(program.Milliseconds(&o.retryDelay, minRetryDelay), "retrydelay", "`milliseconds` before another server is tried, give or take an eighth")
		fs.StringVar(&o.runID, "runid", "", "`description` that all lines begin with, to tell several clients apart")
		fs.Var(program.Milliseconds(&o.transmitTimeout, time.Millisecond), "transmittimeout", "`milliseconds` that a part of an upload, or an answer to it, may take")
		fs.Var(program.Milliseconds(&o.keepAliveInterval, time.Millisecond), "keepaliveinterval", "`milliseconds` until the server that does the work is asked whether it is there")
		fs.Var(program.Milliseconds(&o.keepAliveTimeout, time.Millisecond), "keepalivetimeout", "`milliseconds` that it has to answer, before another one is tried")
	})
	return o
}

// minRetryDelay is RSPLIB's.
const minRetryDelay = 100 * time.Millisecond

// parse reads the command line. Help goes to stdout.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := newOptions()
	if err := o.Parse(args, stdout); err != nil {
		return nil, err
	}
	if o.input == "" || o.output == "" {
		return nil, errors.New("missing input or output file name: give -input= and -output=")
	}
	return o, nil
}

// run is the program: it ends when the work is done, in vain or not, or ctx ends.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	closeLog, err := o.OpenLog(stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	j, err := newJob(o, log.New(program.Stamped(stdout), "", 0))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	if !o.quiet {
		printStart(stdout, o, j)
		defer program.SayBreak(ctx, stdout)()
	}
	e, err := rsp.NewEndpoint(&o.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return j.run(ctx, e)
}

// printStart prints what is in force, as RSPLIB's scriptingclient does.
func printStart(w io.Writer, o *options, j *job) {
	environment := "(none)"
	if o.environment != "" {
		environment = fmt.Sprintf("%s (%v, %d KiB)", o.environment, j.hash, fileSize(o.environment)>>10)
	}
	program.Title(w, "Scripting Pool User - Version 2.0")
	fmt.Fprintf(w, "Pool Handle         = %s\nEnvironment Name    = %s\nInput Name          = %s\nOutput Name         = %s\n\n", o.pool, environment, o.input, o.output)
	fmt.Fprintf(w, "Max Retry           = %d\nRetry Delay         = %d [ms]\nTransmit Timeout    = %d [ms]\nKeep-Alive Interval = %d [ms]\nKeep-Alive Timeout  = %d [ms]\n\n",
		o.maxRetry, o.retryDelay.Milliseconds(), o.transmitTimeout.Milliseconds(), o.keepAliveInterval.Milliseconds(), o.keepAliveTimeout.Milliseconds())
}

func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}
