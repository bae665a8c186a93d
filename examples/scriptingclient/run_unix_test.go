//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/scripting"
	"github.com/rserpool/rsp/internal/lab"
)

// pack writes a work package whose program is a shell script.
func pack(t *testing.T, script string) (file string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	script = "#!/bin/sh\n" + script + "\n"
	if err := w.WriteHeader(&tar.Header{Name: "ssrun", Mode: 0o755, Size: int64(len(script))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, script); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, "work.tar", b.String())
}

func write(t *testing.T, name, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func wantFile(t *testing.T, file, want string) {
	t.Helper()
	if b, err := os.ReadFile(file); err != nil || string(b) != want {
		t.Errorf("%s has %q, %v; want %q", file, b, err, want)
	}
}

func startRegistrar(t *testing.T, address string) *rsp.Registrar {
	t.Helper()
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: address})
	if err == nil {
		err = registrar.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registrar.Shutdown(context.Background()) })
	return registrar
}

// startService serves until the end of the test.
func startService(t *testing.T, registrar *rsp.Registrar, options ...string) {
	t.Helper()
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: registrar.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	s := scripting.New()
	fs := flag.NewFlagSet(s.Name(), flag.ContinueOnError)
	s.RegisterFlags(fs)
	if err := fs.Parse(options); err != nil {
		t.Fatal(err)
	}
	listener, err := e.Listen(t.Context(), s.Pool(), rsp.PE{Policy: s.Policy()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, log.New(t.Output(), "", 0)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		e.Close()
	})
}

// The program, with our own service: the environment is uploaded once.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	registrar := startRegistrar(t, "127.0.0.1:0")
	startService(t, registrar)
	testEnvironment(t, registrar, "ScriptingPool")
	var out strings.Builder
	args := []string{"-registrar=" + registrar.Addr(), "-quiet", "-maxretry=1", "-input=" + pack(t, `echo why >$1; exit 9`), "-output=" + filepath.Join(t.TempDir(), "out")}
	if err := run(t.Context(), args, nil, &out, t.Output()); err == nil || !strings.Contains(err.Error(), "status 9") {
		t.Errorf("it ends with %v", err)
	}
	if strings.Contains(out.String(), "Scripting Pool User") {
		t.Errorf("-quiet prints %s", out.String())
	}
}

// testEnvironment runs the client without an environment, with a new one, and with the same again.
func testEnvironment(t *testing.T, registrar *rsp.Registrar, pool string) {
	t.Helper()
	environment := write(t, "environment", "environment\n")
	for _, c := range []struct{ option, printed, result string }{
		{"", "is processing ...", "none\n"},
		{environment, "needs environment", "environment\n"},
		{environment, "has cached environment -> skipping upload", "environment\n"},
	} {
		var out strings.Builder
		output := filepath.Join(t.TempDir(), "out")
		args := []string{"-registrar=" + registrar.Addr(), "-poolhandle=" + pool, "-input=" + pack(t, `cat $2 /dev/null >$1; [ "$2" ] || echo none >$1`),
			"-output=" + output, "-environment=" + c.option, "-retrydelay=100"}
		if err := run(t.Context(), args, nil, io.MultiWriter(&out, t.Output()), t.Output()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Scripting Pool User", c.printed, "Download completed!", "Terminated!"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("it does not print %q", want)
			}
		}
		wantFile(t, output, c.result)
	}
}

// Our client with RSPLIB's server, and RSPLIB's client with ours.
func TestWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		registrar := startRegistrar(t, "192.168.77.1:4100")
		t.Run("server", func(t *testing.T) { testServerOfRSPLIB(t, registrar) })
		t.Run("client", func(t *testing.T) { testClientOfRSPLIB(t, registrar) })
	})
}

func testServerOfRSPLIB(t *testing.T, registrar *rsp.Registrar) {
	const pool = "PoolOfRSPLIB"
	lab.Start(t, lab.RSPLIB(t, "rspserver", "-scripting", "-registrar="+registrar.Addr(), "-asapannounce=off", "-poolhandle="+pool, "-sskeepaliveinterval=300"))
	testEnvironment(t, registrar, pool)
	// RSPLIB's server ends the session when there are no results; RSPLIB's client tries that for ever.
	args := []string{"-registrar=" + registrar.Addr(), "-poolhandle=" + pool, "-input=" + pack(t, `exit 0`), "-output=" + filepath.Join(t.TempDir(), "out"), "-retrydelay=100"}
	if err := run(t.Context(), args, nil, t.Output(), t.Output()); err == nil {
		t.Error("work without results is a success")
	}
	// Keep-alives go both ways.
	output := filepath.Join(t.TempDir(), "out")
	args = []string{"-registrar=" + registrar.Addr(), "-poolhandle=" + pool, "-input=" + pack(t, `sleep 3; echo x >$1`), "-output=" + output, "-keepaliveinterval=300"}
	if err := run(t.Context(), args, nil, t.Output(), t.Output()); err != nil {
		t.Error(err)
	}
	wantFile(t, output, "x\n")
}

func testClientOfRSPLIB(t *testing.T, registrar *rsp.Registrar) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	startService(t, registrar, "-ssmaxthreads=1", "-sskeepaliveinterval=200", "-ssverbose")
	client := func(script, output string, args ...string) *lab.Process {
		return lab.Start(t, lab.RSPLIB(t, "scriptingclient", append(args, "-registrar="+registrar.Addr(), "-asapannounce=off",
			"-input="+pack(t, script), "-output="+output, "-retrydelay=300", "-keepaliveinterval=300")...))
	}
	environment := write(t, "environment", "environment\n")
	for _, printed := range []string{"needs environment", "has cached environment"} {
		output := filepath.Join(t.TempDir(), "out")
		p := client(`cat $2 >$1`, output, "-environment="+environment)
		p.Expect(ctx, t, printed)
		if err := p.Wait(); err != nil {
			t.Errorf("it ends with %v", err)
		}
		wantFile(t, output, "environment\n")
	}

	// The second is told that the server is busy with the first, and comes again.
	ready := filepath.Join(t.TempDir(), "ready")
	outputs := []string{filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "out")}
	first := client(`until [ -e `+ready+` ]; do sleep 0.2; done; echo first >$1`, outputs[0])
	first.Expect(ctx, t, "is processing")
	second := client(`echo second >$1`, outputs[1])
	second.Expect(ctx, t, "is not ready yet")
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, p := range []*lab.Process{first, second} {
		if err := p.Wait(); err != nil {
			t.Errorf("client %d ends with %v", i, err)
		}
		wantFile(t, outputs[i], []string{"first\n", "second\n"}[i])
	}

	// Work without results is a failure, after which it does not try for ever.
	if err := client(`exit 0`, filepath.Join(t.TempDir(), "out"), "-maxretry=1").Wait(); err == nil {
		t.Error("work without results is a success")
	}
}
