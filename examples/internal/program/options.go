package program

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/rserpool/rsp"
)

// Options are a program's options, in groups: its own, and those of the library and the log, which all
// programs have.
type Options struct {
	Config rsp.Config // of the program's Endpoint

	name, summary string
	groups        []*flag.FlagSet
	log           logOptions
}

// NewOptions returns the options of a program that has none of its own yet. The summary is the
// first line of its help.
func NewOptions(name, summary string) *Options {
	return &Options{name: name, summary: summary, log: logOptions{level: logWarnings}}
}

// Group adds options of the program's own, if there are any.
func (o *Options) Group(title string, define func(fs *flag.FlagSet)) {
	fs := flag.NewFlagSet(title, flag.ContinueOnError)
	define(fs)
	any := false
	if fs.VisitAll(func(*flag.Flag) { any = true }); any {
		o.groups = append(o.groups, fs)
	}
}

// Parse reads the command line. An unknown option is an error. Help goes to stdout, and is the error
// flag.ErrHelp.
func (o *Options) Parse(args []string, stdout io.Writer) error {
	o.Group("ASAP Protocol Parameters", o.defineLibrary)
	o.Group("Logging Parameters", o.log.define)
	all := flag.NewFlagSet(o.name, flag.ContinueOnError)
	all.SetOutput(io.Discard) // errors are the caller's to print
	for _, g := range o.groups {
		g.VisitAll(func(f *flag.Flag) { all.Var(f.Value, f.Name, f.Usage) })
	}
	if err := all.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			o.help(stdout)
		}
		return err
	}
	if all.NArg() > 0 {
		return fmt.Errorf("bad argument %q", all.Arg(0))
	}
	return nil
}

func (o *Options) defineLibrary(fs *flag.FlagSet) {
	o.Config.RegisterFlags(fs)
	fs.Func("registrarconnectmaxtrials", "number of `trials` to connect to a registrar, for compatibility: they are as many as its search takes", Ignore)
}

// Ignore is for options of RSPLIB's that change nothing here.
func Ignore(string) error { return nil }

// help prints all options by group.
func (o *Options) help(w io.Writer) {
	fmt.Fprintf(w, "Usage: %s [-option[=value]]...\n%s\n", o.name, o.summary)
	for _, g := range o.groups {
		fmt.Fprintf(w, "\n%s:\n", g.Name())
		g.VisitAll(func(f *flag.Flag) {
			arg, usage := flag.UnquoteUsage(f)
			name := f.Name
			if !isBool(f) && arg != "" {
				name += "=" + strings.ReplaceAll(arg, " ", "-")
			}
			if !isBool(f) && f.DefValue != "" && !strings.Contains(usage, "(default ") {
				usage += " (default " + f.DefValue + ")"
			}
			fmt.Fprintf(w, "  -%s\n        %s\n", name, usage)
		})
	}
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}
