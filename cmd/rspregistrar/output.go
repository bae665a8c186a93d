package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// output is a file that the program writes for others. An error shows at close.
type output struct {
	*bufio.Writer
	close func() error
}

// createOutput creates a file which, if its name ends with .bz2, the program bzip2 compresses:
// Go's library can only read that format.
func createOutput(name string) (*output, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, ".bz2") {
		return newOutput(file, file.Close), nil
	}
	cmd := exec.Command("bzip2", "-c")
	cmd.Stdout = file
	pipe, err := cmd.StdinPipe()
	if err == nil {
		_ = detach(cmd) // where that cannot be, ^C ends bzip2, which close reports
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot compress %s: %w", name, err), file.Close())
	}
	return newOutput(pipe, func() error { return errors.Join(pipe.Close(), cmd.Wait(), file.Close()) }), nil
}

func newOutput(w io.Writer, closeFile func() error) *output {
	o := &output{Writer: bufio.NewWriter(w)}
	o.close = func() error { return errors.Join(o.Flush(), closeFile()) }
	return o
}
