package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-pool=Web", "-listen=:8080", "-cache=2s", "-idle=0", "-maxconnections=5", "-registrar=a:1", "-registrarrequesttimeout=70", "-loglevel=debug"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.pool != "Web" || o.listen != ":8080" || o.cfg.StaleCache != 2*time.Second || o.idle != 0 || o.maxConnections != 5 ||
		o.cfg.RegistrarRequestTimeout != 70*time.Millisecond || o.cfg.RegistrarResponseTimeout != registrarPatience || o.logLevel != slog.LevelDebug {
		t.Errorf("%+v", o)
	}
	o, err = parse([]string{"-pool=Web", "-service=:80", "-policy=LeastUsed", "-check=/health", "-interval=300ms", "-session", "-transport=tcp"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.service != ":80" || o.policy != rsp.LeastUsed(0) || o.check != "/health" || o.interval != 300*time.Millisecond || !o.session ||
		o.cfg.Network != rsp.TCPMapping || o.cfg.RegistrarRequestTimeout != 0 {
		t.Errorf("%+v", o)
	}
}

func TestParseErrors(t *testing.T) {
	for args, want := range map[string]string{
		"-pool=Web":                                     "either -listen or -service",
		"-pool=Web -listen=:1 -service=:2":              "either -listen or -service",
		"-listen=:1":                                    "needs -pool",
		"-pool= -listen=:1":                             "pool handle",
		"-pool=Web -listen=:1 -policy=LeastUsed":        "-policy goes with -service",
		"-pool=Web -listen=:1 -session":                 "-session goes with -service",
		"-pool=Web -service=:1 -cache=1s":               "-cache goes with -listen",
		"-pool=Web -service=:1 -policy=Best":            "policy",
		"-pool=Web -service=:1 -check=health":           "must be tcp or a path",
		"-pool=Web -service=:1 -interval=0s":            "must be positive",
		"-pool=Web -listen=:1 -connecttimeout=-1s":      "must be positive",
		"-pool=Web -listen=:1 -idle=-1s":                "must not be negative",
		"-pool=Web -listen=:1 -maxconnections=0":        "at least 1",
		"-pool=Web -listen=:1 -transport=udp":           "must be auto, sctp or tcp",
		"-pool=Web -listen=1":                           "-listen",
		"-pool=Web -listen=:1 more":                     `bad argument "more"`,
		"-pool=Web -listen=:1 -loglevel=chatty":         "loglevel",
		"-pool=Web -listen=:1 -asapannounce=239.0.0.50": "announce group",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-help"}, &out, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	for _, want := range []string{"Usage: rspproxy", "-listen", "-service", "-registrar"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
