package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/calcapp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inScope runs a test in a bubble, with a registrar and a server of a million calculations per second.
func inScope(t *testing.T, test func(t *testing.T, cfg rsp.Config)) {
	synctest.Test(t, func(t *testing.T) {
		registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: ":0", Network: rsp.InMemory})
		if err == nil {
			err = registrar.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer registrar.Shutdown(context.Background())
		cfg := rsp.Config{Registrars: registrar.Addrs(), Network: rsp.InMemory}
		e, err := rsp.NewEndpoint(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		listener, err := e.Listen(t.Context(), calcapp.Pool, rsp.PE{})
		if err != nil {
			t.Fatal(err)
		}
		service := calcapp.New()
		service.VectorFile, service.ScalarFile = "", ""
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- service.Serve(ctx, listener, log.New(io.Discard, "", 0)) }()
		test(t, cfg)
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// The files are RSPLIB's, column by column, and agree with each other and with what is printed.
func TestHandleJobs(t *testing.T) {
	vector, scalar := filepath.Join(t.TempDir(), "pu.vec"), filepath.Join(t.TempDir(), "pu.sca")
	var out bytes.Buffer
	inScope(t, func(t *testing.T, cfg rsp.Config) {
		o := newOptions()
		if err := o.Parse([]string{"-jobinterval=4", "-jobsize=2e6", "-runtime=600", "-object=me", "-vector=" + vector, "-scalar=" + scalar}, io.Discard); err != nil {
			t.Fatal(err)
		}
		o.Config = cfg
		start := time.Now()
		if err := o.handleJobs(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 600*time.Second || took > 601*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	b, err := os.ReadFile(vector)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if lines[0] != "ObjectName PID JobID JobSize JobInterval   QueueLength QueuingDelay StartupDelay ProcessingTime HandlingTime HandlingSpeed   QueuingTimeStamp StartupTimeStamp AcceptTimeStamp CompleteTimeStamp" {
		t.Errorf("header %q", lines[0])
	}
	record := regexp.MustCompile(`^0000\d\d me \d+ \d+ \d+ 4\.000000   \d+ \d+\.\d{6} \d+\.\d{6} \d+\.\d{6} \d+\.\d{6} \d+\.\d{6}   \d+\.\d{6} \d+\.\d{6} \d+\.\d{6} \d+\.\d{6}$|^0001\d\d me `)
	for _, line := range lines[1:] {
		if !record.MatchString(line) {
			t.Errorf("record %q", line)
		}
	}
	b, err = os.ReadFile(scalar)
	if err != nil {
		t.Fatal(err)
	}
	completed := len(lines) - 1
	if want := regexp.MustCompile(`(?m)^run 1 "scenario"
scalar "me" "CalcAppPU Total Queuing Time"         \d+\.\d{6}
(?s:.*)
scalar "me" "CalcAppPU Average Processing Speed"   (\d+)
(?s:.*)
scalar "me" "CalcAppPU Total Jobs Completed"       (\d+)
(?s:.*)
scalar "me" "CalcAppPU Total CalcAppKeepAliveAcks" \d+
`).FindSubmatch(b); want == nil || atoi(want[1]) < 990000 || atoi(want[1]) > 1010000 || atoi(want[2]) != completed || completed < 60 {
		t.Errorf("%d completed jobs; the scalar file is\n%s", completed, b)
	}
	if printed := strings.Count(out.String(), "completed:\n   Queue Length   = "); printed != completed {
		t.Errorf("%d completed jobs are printed, %d in the file", printed, completed)
	}
}

func atoi(digits []byte) (n int) {
	for _, d := range digits {
		n = 10*n + int(d-'0')
	}
	return n
}

// The start is printed as RSPLIB prints it.
func TestStart(t *testing.T) {
	var out bytes.Buffer
	o := newOptions()
	o.printStart(&out)
	const want = `CalcApp Client - Version 1.0
============================

Object                  = scenario.calcapppooluser[0]
Vector File             = CalcAppPU.vec
Scalar File             = CalcAppPU.sca
Pool Handle             = CalcAppPool
Job Interval            = 15 [s]
Job Size                = 5e+06 [Calculations]
Keep-Alive Transm. Int. = 5 [s]
Keep-Alive Timeout Int. = 5 [s]
Runtime                 = 86400 [s]

`
	if out.String() != want {
		t.Errorf("it prints\n%s", &out)
	}
}

func TestBadOptions(t *testing.T) {
	for _, arg := range []string{"-nosuchoption", "file", "-jobsize=0", "-keepalivetransmissioninterval=99", "-keepalivetimeoutinterval=99", "-jobinterval=x", "-poolhandle="} {
		if err := run(t.Context(), []string{arg}, nil, io.Discard, io.Discard); err == nil || err == flag.ErrHelp {
			t.Errorf("%s: %v", arg, err)
		}
	}
}
