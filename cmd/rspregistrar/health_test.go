package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

var healthAddress = regexp.MustCompile(`health is told.* address=(127\.0\.0\.1:\d+)`)

// get asks the health of the program whose log this is.
func get(t *testing.T, log *lab.Output, path string) (status int, body string) {
	t.Helper()
	match := healthAddress.FindStringSubmatch(log.String())
	if match == nil {
		t.Fatalf("log:\n%s", log)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + match[1] + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHealth(t *testing.T) {
	addr, _, log, stop := start(t, "-health=127.0.0.1:0")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 404} {
		if got, body := get(t, log, path); got != want {
			t.Errorf("%s: %d %s", path, got, body)
		}
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{addr}, Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := e.Listen(ctx, "EchoPool", rsp.PE{}); err != nil {
		t.Fatal(err)
	}
	_, body := get(t, log, "/metrics")
	for _, want := range []string{
		"# TYPE rsp_registrar_owned_elements gauge\nrsp_registrar_owned_elements 1\n",
		"# TYPE rsp_registrar_registrations_total counter\nrsp_registrar_registrations_total 1\n",
		"\nrsp_registrar_wrong_ppids_total 0\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	line := regexp.MustCompile(`^(# TYPE rsp_registrar_[a-z_]+ (gauge|counter)|rsp_registrar_[a-z_]+ \d+)$`)
	for l := range strings.Lines(body) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) || strings.Contains(l, "average") {
			t.Errorf("line %q", l)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// While it looks for a peer's handlespace it lives, and is not ready.
func TestNotReady(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a peer that takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, port, _ := net.SplitHostPort(silent.Addr().String())
	_, _, log, stop := start(t, "-health=127.0.0.1:0", "-mentordiscoverytimeout=60000", "-peer="+silent.Addr().String(),
		"-enrpannounce=239.0.0.51:"+port) // where nobody else is
	if status, body := get(t, log, "/readyz"); status != 503 || !strings.Contains(body, "handlespace") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if status, body := get(t, log, "/healthz"); status != 200 {
		t.Errorf("/healthz: %d %s", status, body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Between two lives there is no registrar.
func TestHealthBetweenLives(t *testing.T) {
	_, _, log, stop := start(t, "-health=127.0.0.1:0", "-uptime=0.001", "-downtime=1e6")
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), "registrar has failed"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("log:\n%s", log)
		}
	}
	for _, path := range []string{"/readyz", "/metrics"} {
		if status, body := get(t, log, path); status != 503 || !strings.Contains(body, "no registrar") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestHealthCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = run(t.Context(), append(local[:len(local):len(local)], "-health="+taken.Addr().String()), new(lab.Output), new(lab.Output))
	if err == nil || !strings.Contains(err.Error(), "health") {
		t.Errorf("it runs: %v", err)
	}
}
