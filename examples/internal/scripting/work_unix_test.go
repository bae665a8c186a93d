//go:build unix

package scripting

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// script is a work package whose program is a shell script.
func script(t testing.TB, text string) []byte {
	t.Helper()
	return gzipOf(t, tarOf(t, entry{name: runFile, text: "#!/bin/sh\n" + text + "\n"}, entry{name: "my.data", text: "data\n"}))
}

// testWork is work that a user has uploaded; output is what it prints.
func testWork(t *testing.T, archive []byte) (w *work, output *strings.Builder) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	output = new(strings.Builder)
	w, err := newWork(nil, func(line []byte) { output.Write(append(line, '\n')) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(false); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(w.dir); !os.IsNotExist(err) {
			t.Errorf("the directory is still there: %v", err)
		}
	})
	if err := os.WriteFile(w.path(inputFile), archive, 0o600); err != nil {
		t.Fatal(err)
	}
	return w, output
}

func (w *work) readResult(t *testing.T) string {
	t.Helper()
	if w.result == nil {
		return ""
	}
	b, err := io.ReadAll(w.result)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The program runs in its directory, with four arguments, as RSPLIB's scriptingcontrol has it.
func TestRun(t *testing.T) {
	w, output := testWork(t, script(t, `echo "$# [$1] [$2] [$3] [$4]"; pwd; echo error >&2; printf unfinished; cat my.data >$1`))
	status, err := w.run(t.Context())
	if err != nil || status != 0 {
		t.Fatalf("%d, %v", status, err)
	}
	if got := w.readResult(t); got != "data\n" {
		t.Errorf("result %q", got)
	}
	if want := "4 [output.data] [] [] []\n" + w.dir + "\nerror\nunfinished\n"; output.String() != want {
		t.Errorf("it prints %q, want %q", output, want)
	}
}

func TestRunEnvironment(t *testing.T) {
	w, output := testWork(t, script(t, `echo "[$2]"; cp $2 $1`))
	w.hasEnvironment = true
	if err := os.WriteFile(w.path(environmentFile), []byte("environment"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, err := w.run(t.Context()); err != nil || status != 0 {
		t.Fatalf("%d, %v", status, err)
	}
	if got := w.readResult(t); got != "environment" || output.String() != "[environment.data]\n" {
		t.Errorf("result %q, output %q", got, output)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		name, text, result string
		status             uint32
		err                bool
	}{
		{"exit code", `echo partial >$1; exit 3`, "partial\n", 3, false},
		{"exit code, no result", `exit 3`, "", 3, true},
		{"signal", `echo partial >$1; kill -15 $$`, "partial\n", 128 + 15, false},
		{"no result", `exit 0`, "", 1, true},
		{"result is a directory", `mkdir $1`, "", 1, true},
		{"result is a pipe", `mkfifo $1`, "", 1, true},
		{"result is a link", `echo x >x; ln -s x $1`, "x\n", 0, false},
		{"result is a link to outside", `ln -s /etc/passwd $1`, "", 1, true},
		{"directory removed", `rm -r $PWD`, "", 1, true},
		{"what is left running", `sleep 1000 & echo x >$1`, "x\n", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := testWork(t, script(t, c.text))
			status, err := w.run(t.Context())
			if status != c.status || (err != nil) != c.err {
				t.Errorf("status %d, %v; want %d", status, err, c.status)
			}
			if got := w.readResult(t); got != c.result {
				t.Errorf("result %q, want %q", got, c.result)
			}
		})
	}
}

func TestBadPackage(t *testing.T) {
	for name, archive := range map[string][]byte{
		"no program":             tarOf(t, entry{name: "my.data"}),
		"no interpreter":         tarOf(t, entry{name: runFile, text: "#!/no/such/shell\n"}),
		"program is a directory": tarOf(t, entry{name: runFile, kind: '5'}),
		"no archive":             []byte("nonsense"),
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := testWork(t, archive)
			if status, err := w.run(t.Context()); status != failure || err == nil {
				t.Errorf("status %d, %v", status, err)
			} else {
				t.Log(err)
			}
		})
	}
}

// With a keyring, only what is signed runs; it gets the keyring.
func TestRunSigned(t *testing.T) {
	a := newSigner(t, "A <a@example.org>")
	ring := a.keyring(t)
	v, err := newVerifier(ring, filepath.Join(a.home, "trustdb.gpg"))
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	w, _ := testWork(t, script(t, `echo x >$1`))
	w.verifier = v
	if status, err := w.run(t.Context()); status != failure || err == nil || w.result != nil {
		t.Errorf("not signed: status %d, %v", status, err)
	}
	w, _ = testWork(t, script(t, `echo "$3 $4" >$1`))
	w.verifier = v
	if err := os.Rename(a.sign(t, w.path(inputFile)), w.path(inputFile)); err != nil {
		t.Fatal(err)
	}
	if status, err := w.run(t.Context()); status != 0 || err != nil {
		t.Fatalf("signed: status %d, %v", status, err)
	}
	if got, want := w.readResult(t), ring+" "+filepath.Join(a.home, "trustdb.gpg")+"\n"; got != want {
		t.Errorf("its arguments are %q, want %q", got, want)
	}
}

// fifo is a pipe by name: whoever reads it, sees its end when all are gone who have it open.
func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// startedAndKilled returns when a program has opened a fifo for writing, and then, from ended, when it and all
// that it has started are gone.
func startedAndKilled(t *testing.T, fifo string) (ended func()) {
	t.Helper()
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if _, err := io.Copy(io.Discard, f); err != nil {
			t.Error(err)
		}
		_ = f.Close()
	}
}

// Who is no longer wanted is killed, with all that it has started.
func TestRunInterrupted(t *testing.T) {
	pipe := fifo(t)
	w, _ := testWork(t, script(t, `exec 3>`+pipe+`; sleep 1000 & sleep 1000`))
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the user is gone")
	ended := make(chan error, 1)
	go func() {
		_, err := w.run(ctx)
		ended <- err
	}()
	killed := startedAndKilled(t, pipe)
	cancel(gone)
	if err := <-ended; !errors.Is(err, gone) {
		t.Error(err)
	}
	killed()
}

// What a program leaves running does not outlive it.
func TestRunLeavesNothing(t *testing.T) {
	pipe := fifo(t)
	w, _ := testWork(t, script(t, `exec 3>`+pipe+`; sleep 1000 >/dev/null 2>&1 & echo x >$1`))
	ended := make(chan error, 1)
	go func() {
		_, err := w.run(t.Context())
		ended <- err
	}()
	startedAndKilled(t, pipe)()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLines(t *testing.T) {
	var got []string
	l := lines{print: func(line []byte) { got = append(got, string(line)) }}
	long := strings.Repeat("x", 2*maxLine+1)
	for _, text := range []string{"on", "e\ntwo\n\nth", "ree\n", long, "\n", "four"} {
		if n, err := io.WriteString(&l, text); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	l.flush()
	want := []string{"one", "two", "", "three", long[:maxLine], long[:maxLine], "x", "four"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q", got)
	}
}
