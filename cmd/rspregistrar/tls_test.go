package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/testca"
)

// certificates makes certificate files for some names, and returns options to use them by name.
func certificates(t *testing.T, names ...string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	write := func(file string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	write("ca.pem", ca.PEM())
	options := make(map[string][]string)
	for _, name := range names {
		c, err := ca.Issue(testca.Leaf{Name: name, Hosts: []string{"127.0.0.1"}})
		if err != nil {
			t.Fatal(err)
		}
		cert, key, err := testca.PEM(c)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".pem", cert)
		write(name+".key", key)
		file := filepath.Join(dir, name)
		options[name] = []string{"-tlscert=" + file + ".pem", "-tlskey=" + file + ".key", "-tlsca=" + filepath.Join(dir, "ca.pem")}
	}
	return options
}

// endpointWith is a PU or PE with options of certificates.
func endpointWith(t *testing.T, registrar string, options []string) *rsp.Endpoint {
	t.Helper()
	cfg, err := rsp.TLSFiles(options[0][len("-tlscert="):], options[1][len("-tlskey="):], options[2][len("-tlsca="):])
	if err != nil {
		t.Fatal(err)
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{registrar}, TLS: cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	return e
}

func TestTLS(t *testing.T) {
	options := certificates(t, "registrar.rsp.internal", "client")
	addr, _, _, stop := start(t, options["registrar.rsp.internal"]...)
	defer stop()
	if _, err := endpointWith(t, addr, options["client"]).Resolve(t.Context(), "EchoPool", 0); !errors.Is(err, rsp.ErrUnknownPool) {
		t.Errorf("Resolve: %v", err)
	}
}
