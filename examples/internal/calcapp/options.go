package calcapp

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/rserpool/rsp/examples/internal/program"
)

// Options are those of the server, by RSPLIB's names, units and defaults.
type Options struct {
	Capacity                      float64 // calculations per second
	MaxJobs                       int
	CookieMaxTime                 time.Duration
	CookieMaxCalculations         uint64
	KeepAliveTransmissionInterval time.Duration
	KeepAliveTimeoutInterval      time.Duration
	// CleanShutdownProbability is how probable it is that the clients get a last cookie when the server ends.
	CleanShutdownProbability float64
	Object                   string // its name in the files
	VectorFile, ScalarFile   string // "": none
}

func defaultOptions() Options {
	return Options{
		Capacity:                      1e6,
		MaxJobs:                       10,
		CookieMaxTime:                 5 * time.Second,
		CookieMaxCalculations:         5e6,
		KeepAliveTransmissionInterval: 2500 * time.Millisecond,
		KeepAliveTimeoutInterval:      2500 * time.Millisecond,
		CleanShutdownProbability:      1,
		Object:                        "scenario.calcapppoolelement[0]",
		VectorFile:                    "calcapppoolelement.vec",
		ScalarFile:                    "calcapppoolelement.sca",
	}
}

// RegisterFlags defines the options of rspserver for the service.
func (o *Options) RegisterFlags(fs *flag.FlagSet) {
	NumberFlag(fs, &o.Capacity, "capcapacity", "`calculations` per second that the jobs share", 1, 1e15)
	fs.Var(program.Count(&o.MaxJobs, 1), "capmaxjobs", "`jobs` that run at the same time, at least 1")
	fs.Func("capcookiemaxtime", fmt.Sprintf("`seconds` from a cookie of a job to the next one, at least 0.1 (default %g)", o.CookieMaxTime.Seconds()), o.setCookieMaxTime)
	fs.Uint64Var(&o.CookieMaxCalculations, "capcookiemaxcalculations", o.CookieMaxCalculations, "`calculations` of a job from a cookie to the next one")
	fs.Var(program.Milliseconds(&o.KeepAliveTransmissionInterval, minKeepAlive), "capkeepalivetransmissioninterval", "`milliseconds` from a keep-alive's answer to the next one, at least 100")
	fs.Var(program.Milliseconds(&o.KeepAliveTimeoutInterval, minKeepAlive), "capkeepalivetimeoutinterval", "`milliseconds` that a client may take to answer it, at least 100")
	NumberFlag(fs, &o.CleanShutdownProbability, "capcleanshutdownprobability", "`probability` that the clients get a last cookie when the server ends", 0, 1)
	fs.StringVar(&o.Object, "capobject", o.Object, "`name` of the server in the files")
	fs.StringVar(&o.VectorFile, "capvector", o.VectorFile, "`file` for the load at the end of each job")
	fs.StringVar(&o.ScalarFile, "capscalar", o.ScalarFile, "`file` for totals, written at the end")
}

// The lowest values of RSPLIB's rspserver.
const (
	minCookieMaxTime = 100 * time.Millisecond
	minKeepAlive     = 100 * time.Millisecond
)

func (o *Options) setCookieMaxTime(s string) error {
	if err := program.Seconds(&o.CookieMaxTime).Set(s); err != nil {
		return err
	}
	if o.CookieMaxTime < minCookieMaxTime {
		return fmt.Errorf("must be at least %g", minCookieMaxTime.Seconds())
	}
	return nil
}

// PrintParameters prints the options as RSPLIB's rspserver does.
func (o *Options) PrintParameters(w io.Writer) {
	fmt.Fprintf(w, `CalcApp Parameters:
   Object Name             = %s
   Vector File Name        = %s
   Scalar File Name        = %s
   Max Jobs                = %d
   Capacity                = %.1f Calculations/s
   Clean Shutdown Prob.    = %.2f%%
   KA Transmission Interv. = %dms
   KA Timeout Interval     = %dms
   Cookie Max Time         = %.3fs
   Cookie Max Calculations = %d Calculations
`, o.Object, o.VectorFile, o.ScalarFile, o.MaxJobs, o.Capacity, 100*o.CleanShutdownProbability,
		o.KeepAliveTransmissionInterval.Milliseconds(), o.KeepAliveTimeoutInterval.Milliseconds(),
		o.CookieMaxTime.Seconds(), o.CookieMaxCalculations)
}

// NumberFlag defines an option that is a number between bounds.
func NumberFlag(fs *flag.FlagSet, value *float64, name, usage string, low, high float64) {
	fs.Func(name, fmt.Sprintf("%s, %g to %g (default %g)", usage, low, high, *value), func(s string) error {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f >= low && f <= high) {
			return fmt.Errorf("must be a number from %g to %g", low, high)
		}
		*value = f
		return nil
	})
}
