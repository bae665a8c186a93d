package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program runs a small simulation and returns the table and the plot.
func program(t *testing.T, args ...string) (string, []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policies.svg")
	args = append([]string{"-pes", "3", "-runs", "2", "-warmup", "0", "-duration", "500", "-o", file}, args...)
	var table strings.Builder
	if err := run(args, &table, io.Discard); err != nil {
		t.Fatal(err)
	}
	drawing, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return table.String(), drawing
}

func TestSeedDeterminesAll(t *testing.T) {
	table1, plot1 := program(t)
	table2, plot2 := program(t, "-seed", "1")
	if table1 != table2 || !bytes.Equal(plot1, plot2) {
		t.Error("the same seed gives another table or plot")
	}
	table3, plot3 := program(t, "-seed", "2")
	if table1 == table3 || bytes.Equal(plot1, plot3) {
		t.Error("another seed gives the same table or plot")
	}
}

func TestOutputIsComplete(t *testing.T) {
	table, drawing := program(t)
	for _, s := range (&options{pes: 3, factor: 4}).sweeps() {
		if !strings.Contains(table, s.pool.String()+"\n") || !bytes.Contains(drawing, []byte(s.pool.String())) {
			t.Errorf("%v is missing in the table or the plot", s.pool)
		}
		for _, policy := range s.policies {
			if styles[policy] == (style{}) {
				t.Errorf("%v has no style", policy)
			}
			if !strings.Contains(table, "\n"+policy.String()+" ") || !bytes.Contains(drawing, []byte(">"+policy.String()+"<")) {
				t.Errorf("%v is missing in the table or the legend", policy)
			}
		}
	}
	// Two pools of 16 utilisations each.
	if got, want := strings.Count(table, "\n"), 16*(5+9)+2*3; got != want {
		t.Errorf("the table has %d lines, want %d", got, want)
	}
}

func TestPlotIsXML(t *testing.T) {
	_, drawing := program(t)
	lines, markers := 0, 0
	d := xml.NewDecoder(bytes.NewReader(drawing))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		element, ok := token.(xml.StartElement)
		switch {
		case ok && element.Name.Local == "polyline":
			lines++
		case ok && element.Name.Local == "path":
			markers++
		}
	}
	// The legend has nine lines with a marker each.
	if wantLines, wantMarkers := 5+9+9, 16*(5+9)+9; lines != wantLines || markers != wantMarkers {
		t.Errorf("%d lines and %d markers, want %d and %d", lines, markers, wantLines, wantMarkers)
	}
	if bytes.Contains(drawing, []byte("NaN")) || bytes.Contains(drawing, []byte("Inf")) {
		t.Error("the plot has a place that is no number")
	}
}

func TestArguments(t *testing.T) {
	for _, arg := range []string{
		"-runs=1", "-pes=2", "-pus=0", "-maxjobs=0", "-factor=0", "-warmup=-1", "-warmup=NaN",
		"-duration=0", "-duration=NaN", "extra", "-unknown",
		"-duration=1e-9", // in which no job is completed
	} {
		if err := run([]string{arg}, io.Discard, io.Discard); err == nil {
			t.Errorf("%s is accepted", arg)
		}
	}
	var help strings.Builder
	if err := run([]string{"-help"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-seed") {
		t.Errorf("-help gives %v and %q", err, help.String())
	}
	missing := filepath.Join(t.TempDir(), "none", "policies.svg")
	err := run([]string{"-pes=3", "-runs=2", "-warmup=0", "-duration=500", "-o", missing}, io.Discard, io.Discard)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a plot in a missing folder gives %v", err)
	}
}
