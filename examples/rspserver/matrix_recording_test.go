package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
)

func recordingFile(service int) string {
	return filepath.Join(*matrixDir, fmt.Sprintf("%d.pcapng", service))
}

// recording is what a service sends, in a file.
type recording struct {
	file    string
	process *lab.Process
}

// startRecording starts it in a guest, whose programs talk to each other by way of lo.
func startRecording(t *testing.T, file string) *recording {
	t.Helper()
	r := &recording{file: file, process: lab.Start(t, exec.Command("dumpcap", "-q", "-i", "lo", "-f", "sctp", "-w", file))}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r.process.Expect(ctx, t, "File: ")
	return r
}

// stop writes what is left.
func (r *recording) stop(t *testing.T) {
	t.Helper()
	r.process.Interrupt(t)
	if err := r.process.Wait(); err != nil {
		t.Errorf("dumpcap ends with %v", err)
	}
}

// readRecordings reads those of the services that were run: -run may have chosen some.
func readRecordings(t *testing.T) {
	t.Helper()
	for number, service := range matrix {
		if _, err := os.Stat(recordingFile(number)); !errors.Is(err, os.ErrNotExist) {
			readRecording(t, service.name, recordingFile(number), service.protocol)
		}
	}
}

// readRecording has tshark read a capture, and wants it to find messages of ASAP and of the service, and none malformed.
func readRecording(t *testing.T, service, file, protocol string) {
	t.Helper()
	out, err := exec.Command("tshark", "-r", file, "-T", "fields", "-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.malformed").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	packets, found := 0, map[string]int{}
	for line := range strings.Lines(string(out)) {
		packets++
		if strings.Contains(strings.ToLower(line), "malformed") {
			t.Errorf("%s: malformed packet %s", service, line)
		}
		protocols := strings.Split(strings.Fields(line)[1], ":")
		slices.Sort(protocols)
		for _, p := range slices.Compact(protocols) {
			found[p]++
		}
	}
	for _, p := range []string{"asap", protocol} {
		if p != "" && found[p] == 0 {
			t.Errorf("%s: tshark finds no message of %s in %d packets", service, p, packets)
		}
	}
	t.Logf("%s: tshark reads %d packets, of which %d have messages of ASAP, and %d of a protocol of the service", service, packets, found["asap"], found[protocol])
}

// sent reports whether a cell has sent all texts, one after the other: since the name of its pool was first sent, as what
// was sent last comes into the file late.
func (r *recording) sent(c *cell, texts ...string) bool {
	c.Helper()
	b, err := os.ReadFile(r.file)
	if err != nil {
		c.Fatal(err)
	}
	_, b, found := bytes.Cut(b, []byte(c.pool))
	for _, text := range texts {
		if found {
			_, b, found = bytes.Cut(b, []byte(text))
		}
	}
	return found
}
