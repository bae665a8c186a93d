package scripting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// work is a work package in a directory of its own, by RSPLIB's names.
type work struct {
	dir            string
	hasEnvironment bool
	verifier       *verifier // nil: nothing is checked
	print          func(line []byte)
	result         *os.File // nil until there is one
}

const (
	inputFile       = "input.data"       // what the PU has uploaded
	signedFile      = "input.signed"     // the same, before the signature was checked
	outputFile      = "output.data"      // what it gets back
	environmentFile = "environment.data" // as uploaded, or from the cache
	runFile         = "ssrun"            // the program of the package
)

// failure is the status of work that has no exit code of its own, such as a package that cannot be unpacked.
const failure = 1

func newWork(v *verifier, print func(line []byte)) (*work, error) {
	dir, err := os.MkdirTemp("", "rspSS-Session-")
	if err != nil {
		return nil, err
	}
	return &work{dir: dir, verifier: v, print: print}, nil
}

func (w *work) path(name string) string { return filepath.Join(w.dir, name) }

// close removes the directory, unless that is to be kept.
func (w *work) close(keep bool) error {
	if w.result != nil {
		_ = w.result.Close() // it was only read
	}
	if keep {
		return nil
	}
	return os.RemoveAll(w.dir)
}

// run checks and unpacks the package, runs it, and opens its result. The error says why there is no exit
// code, or no result.
func (w *work) run(ctx context.Context) (status uint32, err error) {
	if err := w.verify(ctx); err != nil {
		return failure, err
	}
	if err := unpack(ctx, w.path(inputFile), w.dir); err != nil {
		return failure, fmt.Errorf("cannot unpack the work package: %w", err)
	}
	if err := os.Chmod(w.path(runFile), 0o700); err != nil {
		return failure, fmt.Errorf("the work package has no program: %w", err)
	}
	if status, err = w.execute(ctx); err != nil {
		return status, err
	}
	if err := w.openResult(); err != nil {
		return max(status, failure), fmt.Errorf("no result of %s: %w", runFile, err)
	}
	return status, nil
}

// openResult opens what is to be downloaded. It does not follow a link out of the directory, nor wait for
// somebody to write to a pipe.
func (w *work) openResult() error {
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Stat(outputFile)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", outputFile)
	}
	w.result, err = root.Open(outputFile)
	return err
}

// verify checks the package's signature, and unwraps it.
func (w *work) verify(ctx context.Context) error {
	if w.verifier == nil {
		return nil
	}
	if err := os.Rename(w.path(inputFile), w.path(signedFile)); err != nil {
		return err
	}
	if err := w.verifier.verify(ctx, w.path(signedFile), w.path(inputFile)); err != nil {
		return fmt.Errorf("work package: %w", err)
	}
	return nil
}

// outputDelay is how long the output of what the package has left running is waited for.
const outputDelay = time.Second

// execute runs the package's program to its end, and ends what it has left running.
func (w *work) execute(ctx context.Context) (status uint32, err error) {
	environment, keyring, trustDB := "", "", ""
	if w.hasEnvironment {
		environment = environmentFile
	}
	if w.verifier != nil {
		keyring, trustDB = w.verifier.keyring, w.verifier.trustDB
	}
	cmd := exec.CommandContext(ctx, "./"+runFile, outputFile, environment, keyring, trustDB)
	cmd.Dir, cmd.WaitDelay = w.dir, outputDelay
	output := &lines{print: w.print}
	cmd.Stdout, cmd.Stderr = output, output
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	err = cmd.Run()
	_ = killGroup(cmd) // mostly nothing is left
	output.flush()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return failure, context.Cause(ctx)
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &exit):
		return exitStatus(exit), nil
	}
	return failure, fmt.Errorf("cannot run the work package: %w", err)
}

// lines takes a program's output apart. It is used by one goroutine at a time.
type lines struct {
	print func(line []byte)
	rest  []byte
}

// maxLine is where a line ends that does not.
const maxLine = 1024

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		end := bytes.IndexByte(l.rest[:min(len(l.rest), maxLine)], '\n')
		switch {
		case end >= 0:
			l.print(l.rest[:end])
			l.rest = l.rest[end+1:]
		case len(l.rest) >= maxLine:
			l.print(l.rest[:maxLine])
			l.rest = l.rest[maxLine:]
		default:
			return len(b), nil
		}
	}
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.print(l.rest)
		l.rest = nil
	}
}
