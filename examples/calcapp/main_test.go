package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var jobs = regexp.MustCompile(`(?m)^Jobs: (\d+) made, (\d+) started, (\d+) completed, 0 lost\. (\d+) failed over`)

// Servers that are killed at random lose no job.
func TestNoJobIsLost(t *testing.T) {
	plot := filepath.Join(t.TempDir(), "plot.svg")
	for _, policy := range []string{"LeastUsed", "RoundRobin"} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				args := []string{"-policy=" + policy, "-runtime=40s", "-kill=1s", "-plot=" + plot}
				if err := run(t.Context(), args, rsp.InMemory, &out); err != nil {
					t.Fatalf("%v\n%s", err, &out)
				}
				found := jobs.FindSubmatch(out.Bytes())
				if found == nil {
					t.Fatalf("no line of jobs in\n%s", &out)
				}
				t.Logf("%s", found[0])
				if failedOver, _ := strconv.Atoi(string(found[4])); !bytes.Equal(found[1], found[3]) || failedOver < 10 {
					t.Errorf("%s", found[0])
				}
				for _, want := range []string{
					`(?m) s  Anna dies; jobs at it: [1-9]\d*$`, `(?m) s  Anna is back$`,
					`(?m)failover to \w+, which goes on from the cookie$`, `(?m)failover to \w+, which begins it anew: there was no cookie$`,
				} {
					if !regexp.MustCompile(want).Match(out.Bytes()) {
						t.Errorf("no %s in the output", want)
					}
				}
			})
			wantSVG(t, plot)
		})
	}
}

func wantSVG(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot: %v", err)
		}
	}
	for text, want := range map[string][2]int{ // of each, at least and at most
		"<circle": {100, 10000}, "<polyline": {4, 4}, `stroke="#bbbbbb"`: {20, 200}, "NaN": {}, "%!": {},
	} {
		if n := bytes.Count(b, []byte(text)); n < want[0] || n > want[1] {
			t.Errorf("the plot has %d times %s, want %d to %d", n, text, want[0], want[1])
		}
	}
}
