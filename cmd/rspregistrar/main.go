// Rspregistrar runs a registrar of Reliable Server Pooling (RFC 5351).
//
// Its options have the names of RSPLIB's rspregistrar, as far as they exist here (see
// -help); -transport is its own. It ends at SIGINT or SIGTERM, gracefully; a second signal kills it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rserpool/rsp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp): // given
	case err != nil:
		fmt.Fprintln(os.Stderr, "rspregistrar:", err)
		os.Exit(1)
	}
}

// shutdownTimeout is how long PEs and PUs are given to take their last messages.
const shutdownTimeout = 3 * time.Second

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	cfg, err := parse(args, stderr)
	if err != nil {
		return err
	}
	registrar, err := rsp.NewRegistrar(cfg)
	if err != nil {
		return err
	}
	if err := registrar.Start(ctx); err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	log := cfg.Logger
	log.Info("registrar is running", "id", registrar.ID(), "addresses", strings.Join(registrar.Addrs(), " "))
	<-ctx.Done()
	stats := registrar.Stats()
	log.Info("registrar is ending: its pool elements and users look for another one now")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := registrar.Shutdown(ctx); err != nil {
		return fmt.Errorf("did not end cleanly: %w", err)
	}
	log.Info("registrar has ended", "registrations", stats.Registrations, "reregistrations", stats.Reregistrations,
		"deregistrations", stats.Deregistrations, "resolutions", stats.Resolutions,
		"failureReports", stats.FailureReports, "keepAlives", stats.KeepAlives)
	return nil
}

// parse turns the command line into a configuration, whose log goes to stderr, as
// does help.
func parse(args []string, stderr io.Writer) (*rsp.RegistrarConfig, error) {
	cfg := &rsp.RegistrarConfig{}
	flags := flag.NewFlagSet("rspregistrar", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are the caller's to print
	flags.Func("identifier", "registrar `ID`, 32 bits, not 0 (default random)", func(s string) error {
		id, err := strconv.ParseUint(s, 0, 32)
		cfg.ID = rsp.RegistrarID(id)
		return err
	})
	flags.Func("asap", "`addr:port`, further addresses after commas, or auto: all addresses, at port 3863 if that is free", func(s string) error {
		if s != "auto" {
			cfg.Address = s
		}
		return nil
	})
	flags.Func("transport", "`name`: auto, sctp or tcp (default auto: all that this machine has)", func(s string) error {
		return setNetwork(&cfg.Network, s)
	})
	milliseconds(flags, &cfg.EndpointKeepAliveTransmissionInterval, "endpointkeepalivetransmissioninterval", "how many `ms` a pool element is quiet before it is asked whether it lives (default 5000)")
	milliseconds(flags, &cfg.EndpointKeepAliveTimeoutInterval, "endpointkeepalivetimeoutinterval", "how many `ms` it has to answer (default 5000)")
	flags.IntVar(&cfg.MaxBadPEReports, "maxbadpereports", 0, "the report by number `n` that a pool element is unreachable removes it (default 3)")
	flags.IntVar(&cfg.MaxIncrement, "maxincrement", 0, "how many pool elements of an answer count as selected: `n` (default 1)")
	flags.IntVar(&cfg.MaxHResItems, "maxhresitems", 0, "how many pool elements an answer lists if the user does not say: `n` (default 3)")
	flags.Func("minaddressscope", "`scope`: loopback, sitelocal or global (default loopback)", func(s string) error {
		return setScope(&cfg.MinAddressScope, s)
	})
	level := slog.LevelInfo
	flags.TextVar(&level, "loglevel", level, "`level`: debug, info, warn or error")
	quiet := flags.Bool("quiet", false, "log warnings and errors only")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(stderr)
			flags.Usage()
		}
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("bad argument %q", flags.Arg(0))
	}
	if *quiet {
		level = max(level, slog.LevelWarn)
	}
	cfg.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	return cfg, nil
}

// milliseconds defines a flag for a duration that RSPLIB gives in milliseconds.
func milliseconds(flags *flag.FlagSet, d *time.Duration, name, usage string) {
	flags.Func(name, usage, func(s string) error {
		ms, err := strconv.ParseUint(s, 10, 32)
		if err == nil && ms == 0 {
			err = errors.New("must be above 0")
		}
		*d = time.Duration(ms) * time.Millisecond
		return err
	})
}

func setNetwork(network *rsp.Network, s string) error {
	switch s {
	case "auto":
		*network = rsp.Auto
	case "sctp":
		*network = rsp.KernelSCTP
	case "tcp":
		*network = rsp.TCPMapping
	default:
		return errors.New("must be auto, sctp or tcp")
	}
	return nil
}

func setScope(scope *rsp.AddressScope, s string) error {
	switch s {
	case "loopback":
		*scope = rsp.ScopeLoopback
	case "sitelocal":
		*scope = rsp.ScopeSiteLocal
	case "global":
		*scope = rsp.ScopeGlobal
	default:
		return errors.New("must be loopback, sitelocal or global")
	}
	return nil
}
