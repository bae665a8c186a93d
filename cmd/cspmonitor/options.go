package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rserpool/rsp/internal/csp"
)

// options are what the command line says.
type options struct {
	localAddress    string
	updateInterval  time.Duration
	purgeInterval   time.Duration
	full            bool
	max             map[csp.Group]*int // lines of each group
	maxLocationSize int
	web             string // address of the page; "": none
	registrars      []string
}

// parse reads the command line. Help goes to stdout.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{
		updateInterval: time.Second, purgeInterval: 30 * time.Second,
		max: map[csp.Group]*int{csp.Registrar: new(int), csp.PoolElement: new(int), csp.PoolUser: new(int)},
	}
	fs := flag.NewFlagSet("cspmonitor", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are the caller's to print
	fs.StringVar(&o.localAddress, "localaddress", fmt.Sprintf(":%d", csp.Port), "`address:port` where reports come in by UDP")
	milliseconds(fs, &o.updateInterval, "updateinterval", 100, "`ms` between two updates of the screen, at least 100")
	milliseconds(fs, &o.purgeInterval, "purgeinterval", 1000, "`ms` after which a component that has become silent is removed, at least 1000; one is also removed when ten reports are missing")
	fs.BoolFunc("compact", "one line for each component (default)", func(string) error { o.full = false; return nil })
	fs.BoolFunc("full", "also a line for each association", func(string) error { o.full = true; return nil })
	lines(fs, o.max[csp.Registrar], "maxpr", 6, "`number` of registrars that are shown")
	lines(fs, o.max[csp.PoolElement], "maxpe", 42, "`number` of pool elements that are shown")
	lines(fs, o.max[csp.PoolUser], "maxpu", 24, "`number` of pool users that are shown")
	lines(fs, &o.maxLocationSize, "maxlocationsize", 72, "`number` of a location's characters that are shown")
	fs.StringVar(&o.web, "web", "", "`address:port` of a page that shows pools, sessions and failovers; not RSPLIB's")
	fs.Func("registrar", fmt.Sprintf("`address:port` by which a registrar's peers reach it, who tells the page the pools (may be repeated; default %s)", defaultRegistrar), func(s string) error {
		o.registrars = append(o.registrars, s)
		_, _, err := net.SplitHostPort(s)
		return err
	})
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stdout, "Usage: cspmonitor [-option[=value]]...\nShows who reports its status by the Component Status Protocol.")
		fs.SetOutput(stdout)
		fs.PrintDefaults()
	}
	switch {
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("bad argument %q", fs.Arg(0))
	case o.registrars != nil && o.web == "":
		err = errors.New("-registrar needs -web")
	case o.registrars == nil:
		o.registrars = []string{defaultRegistrar}
	}
	return o, err
}

// defaultRegistrar is where rspregistrar's peers reach it.
const defaultRegistrar = "localhost:9901"

// milliseconds defines a time in whole milliseconds.
func milliseconds(fs *flag.FlagSet, value *time.Duration, name string, min time.Duration, usage string) {
	usage += fmt.Sprintf(" (default %d)", value.Milliseconds())
	fs.Func(name, usage, func(s string) error {
		d, err := time.ParseDuration(s + "ms")
		if err == nil && d < min*time.Millisecond {
			err = fmt.Errorf("must be at least %d", min)
		}
		*value = d
		return err
	})
}

// lines defines a number that is not negative.
func lines(fs *flag.FlagSet, value *int, name string, usual int, usage string) {
	*value = usual
	fs.Func(name, fmt.Sprintf("%s (default %d)", usage, usual), func(s string) error {
		var n uint16
		if _, err := fmt.Sscanf(s+"\n", "%d\n", &n); err != nil {
			return errors.New("must be a number from 0 to 65535")
		}
		*value = int(n)
		return nil
	})
}
