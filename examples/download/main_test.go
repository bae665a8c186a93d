package main

import (
	"bytes"
	"crypto/sha256"
	"io"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The file comes whole, each byte once, though its server dies twice; the last server knows the
// checksum of all, of which it has sent a part.
func TestDownload(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), io.MultiWriter(&out, t.Output())); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "its server dies"); n != 2 {
		t.Errorf("%d servers died, want 2", n)
	}
	if n := len(regexp.MustCompile(`(?m)^\w+ sends from byte [1-9]\d{6}`).FindAllString(out.String(), -1)); n != 2 {
		t.Errorf("%d servers went on in the middle, want 2", n)
	}
	if want := regexp.MustCompile(`(?m)^16777216 bytes with SHA-256 (\w{16})\.\.\.; the last server says (\w{16})\.\.\.$`); !want.Match(out.Bytes()) {
		t.Errorf("output has no %v", want)
	}
}

// A cookie comes from a client: no content of it may do harm.
func TestBadCookies(t *testing.T) {
	good := (&progress{offset: 5, sum: sha256.New()}).encode()
	p := progress{sum: sha256.New()}
	if err := p.decode(good, 6); err != nil || p.offset != 5 {
		t.Fatalf("offset %d, %v; want 5", p.offset, err)
	}
	for name, cookie := range map[string][]byte{
		"empty":          nil,
		"short":          good[:7],
		"without a sum":  good[:8],
		"short sum":      good[:len(good)-1],
		"beyond the end": append([]byte{0, 0, 0, 0, 0, 0, 0, 6}, good[8:]...),
		"negative":       append([]byte{255, 255, 255, 255, 255, 255, 255, 255}, good[8:]...),
	} {
		if err := p.decode(cookie, 6); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
