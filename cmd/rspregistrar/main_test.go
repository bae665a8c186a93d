package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp"
)

func TestParse(t *testing.T) {
	var stderr bytes.Buffer
	cfg, err := parse([]string{
		"-identifier=0x11111111", "-asap=127.0.0.1:3863", "-transport=tcp",
		"-endpointkeepalivetransmissioninterval=300", "-endpointkeepalivetimeoutinterval=100",
		"-maxbadpereports=2", "-maxincrement=4", "-maxhresitems=5", "-minaddressscope=sitelocal", "-quiet",
	}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	got := *cfg
	got.Logger = nil
	want := rsp.RegistrarConfig{
		ID: 0x11111111, Address: "127.0.0.1:3863", Network: rsp.TCPMapping,
		EndpointKeepAliveTransmissionInterval: 300 * time.Millisecond,
		EndpointKeepAliveTimeoutInterval:      100 * time.Millisecond,
		MaxBadPEReports:                       2, MaxIncrement: 4, MaxHResItems: 5, MinAddressScope: rsp.ScopeSiteLocal,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	for _, args := range []string{
		"-nosuchoption=1", "argument", "-identifier=x", "-identifier=0x100000000", "-transport=udp",
		"-endpointkeepalivetimeoutinterval=0", "-endpointkeepalivetimeoutinterval=1s", "-minaddressscope=host",
		"-maxhresitems=many", "-loglevel=loud",
	} {
		var stderr bytes.Buffer
		if _, err := parse([]string{args}, &stderr); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: error %v", args, err)
		}
	}
}

// buffer is a bytes.Buffer for a log and its reader.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var running = regexp.MustCompile(`registrar is running.* id=0x11111111 addresses=(127\.0\.0\.1:\d+)`)

// The program says who and where it is, serves, and ends by itself when it is told to.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var log buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-identifier=0x11111111", "-asap=127.0.0.1:0", "-transport=tcp"}, &log)
	}()
	var match []string
	for deadline := time.Now().Add(10 * time.Second); match == nil; match = running.FindStringSubmatch(log.String()) {
		if time.Now().After(deadline) {
			t.Fatalf("log:\n%s", log.String())
		}
		time.Sleep(time.Millisecond)
	}
	conn, err := net.Dial("tcp", match[1])
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "registrar has ended") {
		t.Errorf("log:\n%s", log.String())
	}
	if conn, err := net.Dial("tcp", match[1]); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

func TestRunCannotStart(t *testing.T) {
	var log buffer
	if err := run(t.Context(), []string{"-asap=192.0.2.1:3863", "-transport=tcp"}, &log); err == nil {
		t.Error("it serves at an address that is not here")
	}
}
