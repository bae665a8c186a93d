package main

import (
	"errors"
	"flag"
	"io"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
	"github.com/rserpool/rsp/examples/internal/service"
)

// options are what the command line says.
type options struct {
	*program.Options

	service          service.Service
	pool             rsp.PoolHandle // "": the service's
	pe               rsp.PE
	policyGiven      bool
	local            string        // "": all addresses
	runtime          time.Duration // 0: no limit
	uptime, downtime time.Duration // means of random times; 0: always up
	quiet            bool
	daemonPIDFile    string
}

// minReregistration is RSPLIB's lowest -rereginterval.
const minReregistration = 10 * time.Millisecond

// newOptions returns the defaults, which are RSPLIB's.
func newOptions() *options {
	o := &options{Options: program.NewOptions("rspserver", "Runs an RSerPool server (PE) for one of multiple example services.")}
	o.Config.ReregistrationInterval = 30 * time.Second
	services := offers()
	o.service = services[0].service
	o.Group("Common Pool Element Parameters", o.defineCommon)
	o.Group("Services, of which the last one given is started", func(fs *flag.FlagSet) { o.defineServices(fs, services) })
	for _, s := range services {
		o.Group(s.service.Name()+" Parameters", s.service.RegisterFlags)
	}
	return o
}

func (o *options) defineCommon(fs *flag.FlagSet) {
	fs.StringVar(&o.local, "local", "", "Sets the local endpoint address(es): `address:port,address,...`; default are all, with a port of the system's choice.")
	fs.Var(program.PEID(&o.pe.ID), "identifier", "Sets a fixed `PE identifier`, decimal or hexadecimal with 0x. Handle with care!")
	fs.Func("policy", "Sets the pool policy and its parameters by a `policy specification`: RoundRobin, WeightedRoundRobin:weight, Random, WeightedRandom:weight, "+
		"LeastUsed, LeastUsedDegradation:increment, PriorityLeastUsed:increment, LeastUsedDPF:dpf_value, Priority:priority ... Default is the service's, mostly RoundRobin.", func(s string) error {
		policy, err := rsp.ParsePolicy(s)
		o.pe.Policy, o.policyGiven = policy, err == nil
		return err
	})
	fs.Var(program.Pool(&o.pool), "poolhandle", "Sets the PH to a non-default value; otherwise, the default setting is the service-specific default `pool handle`.")
	fs.BoolVar(&o.quiet, "quiet", false, "Do not print startup and shutdown messages.")
	fs.StringVar(&o.daemonPIDFile, "daemonpidfile", "", "Runs in the background, and writes the process ID to the file `filename`.")
	fs.Var(program.Milliseconds(&o.Config.ReregistrationInterval, minReregistration), "rereginterval", "Sets the PE's re-registration interval in `milliseconds`.")
	fs.Var(program.Seconds(&o.runtime), "runtime", "After the configured number of `seconds`, the service is shut down. Floating-point values (e.g. 30.125) are possible.")
	fs.Var(program.Seconds(&o.uptime), "uptime", "After negative exponential randomized uptime with an average of these `seconds`, the PE service goes down for a configured downtime. "+
		"After that, it comes up again. This option can be used for testing the failure handling procedures.")
	fs.Var(program.Seconds(&o.downtime), "downtime", "After negative exponential randomized downtime with an average of these `seconds`, the PE service comes up again.")
}

func (o *options) defineServices(fs *flag.FlagSet, services []offer) {
	for _, s := range services {
		fs.BoolFunc(s.flag, s.usage, func(value string) error {
			if value != "true" {
				return errors.New("takes no value")
			}
			o.service = s.service
			return nil
		})
	}
}

// parse reads the command line. Help goes to stdout.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := newOptions()
	if err := o.Parse(args, stdout); err != nil {
		return nil, err
	}
	if (o.uptime > 0) != (o.downtime > 0) {
		return nil, errors.New("-uptime and -downtime need each other")
	}
	if o.pool == "" {
		o.pool = o.service.Pool()
	}
	if !o.policyGiven {
		o.pe.Policy = o.service.Policy()
	}
	return o, nil
}
