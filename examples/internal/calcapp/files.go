package calcapp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Vector is a file of a table, by RSPLIB's rules: a header, then a line per record, which begins with its number.
// That has no name in the header, so that R takes it for the row's name. A nil Vector takes records for nothing.
type Vector struct {
	w    io.WriteCloser
	line int
	err  error // the first one
}

// CreateVector creates a file of which a header is the first line.
func CreateVector(file, header string) (*Vector, error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("vector file: %w", err)
	}
	v := &Vector{w: f}
	_, v.err = fmt.Fprintln(f, header)
	return v, nil
}

// Add adds a record.
func (v *Vector) Add(record string) {
	if v == nil || v.err != nil {
		return
	}
	v.line++
	_, v.err = fmt.Fprintf(v.w, "%06d %s\n", v.line, record)
}

// Close closes the file. Its error is the first one of all that was done.
func (v *Vector) Close() error {
	if v == nil {
		return nil
	}
	if err := errors.Join(v.err, v.w.Close()); err != nil {
		return fmt.Errorf("vector file: %w", err)
	}
	return nil
}

// Scalar is a line of a scalar file.
type Scalar struct {
	Name, Value string
}

// WriteScalars writes a scalar file: values of an object, in one column.
func WriteScalars(file, object string, scalars []Scalar) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("scalar file: %w", err)
	}
	width := 0
	for _, s := range scalars {
		width = max(width, len(s.Name)+2)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, `run 1 "scenario"`)
	for _, s := range scalars {
		fmt.Fprintf(w, "scalar \"%s\" %-*s %s\n", object, width, `"`+s.Name+`"`, s.Value)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("scalar file: %w", err)
	}
	return nil
}

// timestamp prints a time as the files have it: in seconds since 1970.
func timestamp(t time.Time) string { return fmt.Sprintf("%.6f", float64(t.UnixMicro())/1e6) }

func seconds6(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
