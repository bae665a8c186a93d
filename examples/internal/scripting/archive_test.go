package scripting

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is one of a tar archive; without a type, it is a file.
type entry struct {
	name string
	text string
	mode int64
	kind byte
	link string
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: max(e.mode, 0o644), Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.text))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

// unpackIn unpacks an archive in a directory within outside.
func unpackIn(t testing.TB, outside string, archive []byte) (dir string, err error) {
	t.Helper()
	dir = filepath.Join(outside, "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, inputFile)
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, unpack(t.Context(), file, dir)
}

func TestUnpack(t *testing.T) {
	dir, err := unpackIn(t, t.TempDir(), tarOf(t,
		entry{name: "./", kind: tar.TypeDir},
		entry{name: "ssrun", text: "one", mode: 0o4755},
		entry{name: "sub/", kind: tar.TypeDir, mode: 0o555},
		entry{name: "sub/file", text: "two"},
		entry{name: "no/directory/entry", text: "three"},
		entry{name: "symlink", kind: tar.TypeSymlink, link: "sub/file"},
		entry{name: "link", kind: tar.TypeLink, link: "./ssrun"},
		entry{name: inputFile, text: "replaces the archive"},
		entry{name: "symlink", text: "replaces the link"},
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ssrun": "one", "sub/file": "two", "no/directory/entry": "three", "link": "one",
		inputFile: "replaces the archive", "symlink": "replaces the link"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s has %q, %v; want %q", name, b, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "ssrun")); err != nil || info.Mode() != 0o755 {
		t.Errorf("ssrun: %v, %v", info.Mode(), err)
	}
}

func TestUnpackCompressed(t *testing.T) {
	// tar -cjf - file | base64
	bzip2, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWd40poYAAHx7kMkQAEJAAH+AAARjJJ5ABAAACCAAdREeqekA0ZlBibUElJ6mmgGjIGgUPtr3shBCxISI1xcUYg9AhyLqgyYQTaL3FMyXCYVYbcHjBAMwAUaP69ohVKqS+Mr3Zmk5IPxdyRThQkN40poY")
	if err != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string][]byte{"gzip": gzipOf(t, tarOf(t, entry{name: "file", text: "text\n"})), "bzip2": bzip2} {
		t.Run(name, func(t *testing.T) {
			dir, err := unpackIn(t, t.TempDir(), archive)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "text\n" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	whole := gzipOf(t, tarOf(t, entry{name: "file", text: strings.Repeat("text\n", 1000)}))
	for name, archive := range map[string][]byte{
		"above":                    tarOf(t, entry{name: "../file", text: "x"}),
		"above, in disguise":       tarOf(t, entry{name: "sub/../../file", text: "x"}),
		"absolute":                 tarOf(t, entry{name: "/tmp/file", text: "x"}),
		"through a link":           tarOf(t, entry{name: "up", kind: tar.TypeSymlink, link: ".."}, entry{name: "up/file", text: "x"}),
		"directory through a link": tarOf(t, entry{name: "up", kind: tar.TypeSymlink, link: ".."}, entry{name: "up/sub/", kind: tar.TypeDir}),
		"link to outside":          tarOf(t, entry{name: "link", kind: tar.TypeLink, link: "../secret"}),
		"link by a link":           tarOf(t, entry{name: "up", kind: tar.TypeSymlink, link: ".."}, entry{name: "link", kind: tar.TypeLink, link: "up/secret"}),
		"the directory":            tarOf(t, entry{name: ".", text: "x"}),
		"a file above":             tarOf(t, entry{name: "..", text: "x"}),
		"fifo":                     tarOf(t, entry{name: "fifo", kind: tar.TypeFifo}),
		"device":                   tarOf(t, entry{name: "null", kind: tar.TypeChar}),
		"cut off":                  whole[:len(whole)-20],
		"xz":                       []byte("\xfd7zXZ\x00\x00\x04"),
		"no archive":               []byte(strings.Repeat("no archive\n", 100)),
		"nothing":                  nil,
		"empty":                    tarOf(t),
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := unpackIn(t, outside, archive); err == nil {
				t.Error("it is unpacked")
			} else {
				t.Log(err)
			}
			checkOutside(t, outside)
		})
	}
}

// checkOutside fails the test if there is more than the directory and a file as it was.
func checkOutside(t *testing.T, outside string) {
	t.Helper()
	files, err := os.ReadDir(outside)
	if err != nil || len(files) > 2 {
		t.Errorf("outside: %v, %v", files, err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(b) != "secret" {
		t.Errorf("the file outside has %q, %v", b, err)
	}
}

func TestUnpackInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the user is gone")
	cancel(gone)
	file := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(file, tarOf(t, entry{name: "file"}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unpack(ctx, file, t.TempDir()); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// No archive makes anything outside of the directory.
func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, entry{name: "ssrun", text: "x", mode: 0o755}, entry{name: "sub/", kind: tar.TypeDir}, entry{name: "sub/link", kind: tar.TypeLink, link: "ssrun"}))
	f.Add(tarOf(f, entry{name: "up", kind: tar.TypeSymlink, link: ".."}, entry{name: "up/file", text: "x"}))
	f.Add(tarOf(f, entry{name: "../secret", text: "x"}))
	f.Add(gzipOf(f, tarOf(f, entry{name: "file"})))
	f.Fuzz(func(t *testing.T, archive []byte) {
		outside := t.TempDir()
		if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = unpackIn(t, outside, archive) // whether or not it is one
		checkOutside(t, outside)
	})
}
