package main

import (
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rserpool/rsp"
)

// The files are good for both ends, and a second run uses the same authority.
func TestCertificates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	var out strings.Builder
	for _, name := range []string{"server", "client"} {
		if err := run([]string{"-dir=" + dir, "-host=192.0.2.1", name}, &out); err != nil {
			t.Fatal(err)
		}
	}
	config := func(name string) *tls.Config {
		cfg, err := rsp.TLSFiles(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), filepath.Join(dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	near, far := net.Pipe()
	client := config("client")
	client.ServerName = "192.0.2.1"
	served := make(chan error, 1)
	server := tls.Server(far, config("server"))
	go func() { served <- server.Handshake() }()
	conn := tls.Client(near, client)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if got := server.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "client" {
		t.Errorf("the client is %q", got)
	}
	want := "client: -tlscert=" + dir + "/client.pem -tlskey=" + dir + "/client.key -tlsca=" + dir + "/ca.pem\n"
	if filepath.Separator == '/' && !strings.HasSuffix(out.String(), want) {
		t.Errorf("it prints %q", out.String())
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{}, {"-dir=" + dir}, {"-dir=" + dir, "ca"}, {"-dir=" + dir, "../name"}, {"-nonsense"}} {
		if err := run(args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
