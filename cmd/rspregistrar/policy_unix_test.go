//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// The policy decides by the names in certificates, and is read again at SIGHUP; one that is no policy changes
// nothing.
func TestPolicyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("web register WebPool")
	options := certificates(t, "registrar.rsp.internal", "web", "client")
	addr, _, log, _ := start(t, append(options["registrar.rsp.internal"], "-policyfile="+file)...)
	web, client := endpointWith(t, addr, options["web"]), endpointWith(t, addr, options["client"])
	wantRefused := func(err error) {
		t.Helper()
		if !errors.Is(err, rsp.ErrNotAuthorized) {
			t.Errorf("error %v, want a refusal", err)
		}
	}
	if _, err := web.Listen(t.Context(), "WebPool", rsp.PE{}); err != nil {
		t.Fatal(err)
	}
	_, err := web.Listen(t.Context(), "OtherPool", rsp.PE{})
	wantRefused(err)
	_, err = client.Resolve(t.Context(), "WebPool", 0)
	wantRefused(err)
	reload := func(text, logged string) {
		t.Helper()
		write(text)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitLogged(t, log, logged)
	}
	reload("no policy at all", "policy is not read again")
	_, err = client.Resolve(t.Context(), "WebPool", 0)
	wantRefused(err)
	reload("web register WebPool\nclient resolve *", "policy is read again")
	if _, err := client.Resolve(t.Context(), "WebPool", 0); err != nil {
		t.Error(err)
	}
}

// waitLogged waits until the log has a text.
func waitLogged(t *testing.T, log *lab.Output, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in the log:\n%s", text, log)
		}
	}
}
