package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rserpool/rsp"
)

// options are what the command line says.
type options struct {
	cfg      rsp.Config
	pool     rsp.PoolHandle
	listen   string // of a proxy PU
	service  string // of a proxy PE
	logLevel slog.Level
	stats    time.Duration

	maxConnections int
	idle           time.Duration
	connectTimeout time.Duration
	drain          time.Duration

	session  bool
	policy   rsp.Policy
	check    string
	interval time.Duration
}

// roles says which options are of one role alone.
var roles = map[string]string{
	"cache": "listen", "session": "service", "policy": "service", "check": "service", "interval": "service",
}

const usage = `Usage: rspproxy -pool=handle -listen=address [-option=value]...
       rspproxy -pool=handle -service=address [-option=value]...
Brings clients and servers that know nothing of RSerPool to its pools.
-listen makes it a proxy PU: each connection goes to an element of the pool. -service makes it a proxy PE: the
server there is an element of the pool for as long as it is healthy.

`

// parse reads the command line. Help goes to stdout.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{cfg: rsp.Config{StaleCache: time.Second}}
	fs := flag.NewFlagSet("rspproxy", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are the caller's to print
	o.define(fs)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(stdout)
			fmt.Fprint(stdout, usage)
			fs.PrintDefaults()
		}
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("bad argument %q", fs.Arg(0))
	}
	return o, o.validate(fs)
}

func (o *options) define(fs *flag.FlagSet) {
	fs.Func("pool", "`handle` of the pool", func(s string) error {
		o.pool = rsp.PoolHandle(s)
		return o.pool.Validate()
	})
	fs.StringVar(&o.listen, "listen", "", "`host:port` for clients; without a host, all addresses")
	fs.StringVar(&o.service, "service", "", "`host:port` of the server; without a host, all IPv4 addresses of this machine")
	fs.BoolVar(&o.session, "session", false, "proxy PE: be a pool element that relays sessions to the server, in place of registering the server's own address")
	fs.Func("policy", "proxy PE: `name` of the pool policy and its parameters, as RoundRobin, WeightedRoundRobin:3, LeastUsed (default RoundRobin)", func(s string) (err error) {
		o.policy, err = rsp.ParsePolicy(s)
		return err
	})
	fs.Func("check", "proxy PE: how the server's health is checked: `tcp`, or the path of an HTTP request, as /health (default tcp)", func(s string) error {
		if s != "tcp" && !strings.HasPrefix(s, "/") {
			return errors.New("must be tcp or a path that begins with /")
		}
		o.check = s
		return nil
	})
	o.check = "tcp"
	o.interval = time.Second
	positive(fs, &o.interval, "interval", "proxy PE: time between two checks, and that one may take")
	fs.IntVar(&o.maxConnections, "maxconnections", 10000, "connections at a time, `n`; more wait (-listen) or are sent to other pool elements (-session). With a policy that has a load, they are the load 1")
	fs.DurationVar(&o.idle, "idle", time.Hour, "time without any byte after which a connection is ended; 0: never")
	o.connectTimeout = time.Second
	positive(fs, &o.connectTimeout, "connecttimeout", "time for a connection to a server")
	fs.DurationVar(&o.drain, "drain", 30*time.Second, "time for connections to come to their end after SIGINT or SIGTERM")
	fs.DurationVar(&o.cfg.StaleCache, "cache", o.cfg.StaleCache, "proxy PU: time for which the registrar's answer serves; 0: it is asked for each connection")
	fs.Func("transport", "between programs of RSerPool: `auto`, sctp or tcp (default auto)", func(s string) error {
		networks := []rsp.Network{rsp.Auto, rsp.KernelSCTP, rsp.TCPMapping}
		i := slices.IndexFunc(networks, func(n rsp.Network) bool { return n.String() == s })
		if i < 0 {
			return errors.New("must be auto, sctp or tcp")
		}
		o.cfg.Network = networks[i]
		return nil
	})
	fs.TextVar(&o.logLevel, "loglevel", slog.LevelInfo, "`level` of the log on standard error: debug, info, warn or error")
	fs.DurationVar(&o.stats, "stats", 0, "time between two lines of the log that tell the traffic; 0: at the end alone")
	o.cfg.RegisterFlags(fs)
}

// positive defines a time that must not be 0.
func positive(fs *flag.FlagSet, value *time.Duration, name, usage string) {
	fs.Func(name, fmt.Sprintf("%s (default %v)", usage, *value), func(s string) (err error) {
		*value, err = time.ParseDuration(s)
		if err == nil && *value <= 0 {
			err = errors.New("must be positive")
		}
		return err
	})
}

// validate checks what one option says about another.
func (o *options) validate(fs *flag.FlagSet) error {
	role := "listen"
	if o.service != "" {
		role = "service"
	}
	if (o.listen == "") == (o.service == "") {
		return errors.New("needs either -listen or -service; see -help")
	}
	if o.pool == "" {
		return errors.New("needs -pool; see -help")
	}
	var misplaced []string
	fs.Visit(func(f *flag.Flag) {
		if of := roles[f.Name]; of != "" && of != role {
			misplaced = append(misplaced, fmt.Sprintf("-%s goes with -%s", f.Name, of))
		}
	})
	if len(misplaced) > 0 {
		return errors.New(strings.Join(misplaced, "; "))
	}
	for _, d := range []time.Duration{o.idle, o.drain, o.stats, o.cfg.StaleCache} {
		if d < 0 {
			return fmt.Errorf("a time must not be negative, as %v is", d)
		}
	}
	if o.maxConnections < 1 {
		return errors.New("-maxconnections must be at least 1")
	}
	if o.listen != "" {
		if _, _, err := net.SplitHostPort(o.listen); err != nil {
			return fmt.Errorf("-listen: %w", err)
		}
		// Clients wait while no registrar answers: what is known of the pool serves soon.
		o.cfg.RegistrarRequestTimeout = cmp.Or(o.cfg.RegistrarRequestTimeout, registrarPatience)
		o.cfg.RegistrarResponseTimeout = cmp.Or(o.cfg.RegistrarResponseTimeout, registrarPatience)
	}
	return nil
}

// registrarPatience is how long a proxy PU waits for a registrar.
const registrarPatience = 500 * time.Millisecond
