// Rspserver runs a pool element that gives one of several services.
//
// Its options, and what it prints, are those of RSPLIB's rspserver, see -help:
//
//	go run ./cmd/rspregistrar
//	go run ./examples/rspserver -echo
//	go run ./examples/rspterminal
//
// It ends at SIGINT or SIGTERM, gracefully; a second signal kills it.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/rserpool/rsp/examples/internal/program"
)

func main() { program.Main("rspserver", run) }

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
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
	s := &server{o: o, stdout: stdout, say: stdout}
	if o.quiet {
		s.say = io.Discard
	}
	defer program.SayBreak(ctx, s.say)()
	return errors.Join(s.run(ctx), closeLog())
}
