// Package program is what the programs by the names of RSPLIB's have in common: options and their help,
// the log, and how they end.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Run is a program from its start until it is done or ctx ends. It writes to stdout what is its purpose.
type Run func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error

// Main runs a program and ends the process. SIGINT and SIGTERM end the program's context; a second one
// kills.
func Main(name string, run Run) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig := <-signals
		signal.Stop(signals)
		cancel(broken{sig})
	}()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp): // given
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// broken is why the context of a program has ended: by a signal.
type broken struct{ signal os.Signal }

func (b broken) Error() string { return b.signal.String() }

// Title prints a program's name, as RSPLIB's programs do.
func Title(w io.Writer, title string) {
	fmt.Fprintf(w, "%s\n%s\n\n", title, strings.Repeat("=", len(title)))
}

// SayBreak says it when a signal ends ctx. The program calls the function that it returns at its end.
func SayBreak(ctx context.Context, w io.Writer) (terminated func()) {
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		if b, ok := context.Cause(ctx).(broken); ok {
			number, _ := b.signal.(syscall.Signal)
			fmt.Fprintf(w, "\n*** Break ***    Signal #%d\n\n", int(number))
		}
	})
	return func() {
		if !stop() {
			<-said
		}
		fmt.Fprint(w, "\nTerminated!\n")
	}
}

// TimeFormat is how RSPLIB's programs print the time of what happens.
const TimeFormat = "02-Jan-2006 15:04:05.0000"

// stamper puts the time before each line; each Write is a line.
type stamper struct{ w io.Writer }

// Stamped returns a writer that puts the time before what it is given by one Write, as a log.Logger
// gives it a line.
func Stamped(w io.Writer) io.Writer { return stamper{w} }

func (s stamper) Write(line []byte) (int, error) {
	stamped := append(time.Now().AppendFormat(nil, TimeFormat), ": "...)
	if _, err := s.w.Write(append(stamped, line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
