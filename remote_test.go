package rsp

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseRemote(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1:4711":     "literal 10.0.0.1 4711",
		"10.0.0.1":          "literal 10.0.0.1 3863",
		"[::1]:4711":        "literal ::1 4711",
		"[::1]":             "literal ::1 3863",
		"::1":               "literal ::1 3863",
		"fe80::1%eth0":      "literal fe80::1%eth0 3863",
		"example":           "name example 0",
		"example.":          "name example. 0",
		"a.example:4711":    "name a.example 4711",
		"":                  "needs a host and a port",
		":3863":             "needs a host and a port",
		"example:":          "needs a host and a port",
		"example:0":         "needs a host and a port",
		"[::]:3863":         "needs a host and a port",
		"0.0.0.0":           "needs a host and a port",
		"example:asap":      "0 to 65535",
		"example:65536":     "0 to 65535",
		"http://example":    "0 to 65535",
		"a,b":               "no host name",
		" example":          "no host name",
		"::1:3863x":         "too many colons",
		"[::1":              "missing ']'",
		"[example]":         "no host name",
		"tcp/example":       "no host name",
		"10.0.0.1:3863:100": "too many colons",
	} {
		r, err := parseRemote(text, service{"asap", 3863})
		got := fmt.Sprintf("name %s %d", r.host, r.port)
		if at, ok := r.literal(); ok {
			got = fmt.Sprintf("literal %s %d", at.Addr(), at.Port())
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// Whatever is read is an address with a port, or a name.
func FuzzParseRemote(f *testing.F) {
	for _, text := range []string{"10.0.0.1:3863", "[::1]", "example", "a.example:1", ":", "[", "]:["} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRemote(text, service{"asap", 3863})
		if err != nil {
			return
		}
		at, literal := r.literal()
		if r.host == "" || literal && (!at.IsValid() || at.Port() == 0 || at.Addr().IsUnspecified()) {
			t.Errorf("%q gives %+v", text, r)
		}
	})
}
