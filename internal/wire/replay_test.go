package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded is a message that RSPLIB sent.
type recorded struct {
	where string
	enrp  bool
	bytes []byte
}

// rsplibTraffic reads testdata/rsplib, whose files say what they are.
func rsplibTraffic(t testing.TB) (messages []recorded) {
	t.Helper()
	files, err := filepath.Glob("testdata/rsplib/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded traffic: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
			b, err := hex.DecodeString(digits)
			if err != nil || name != "asap" && name != "enrp" {
				t.Fatalf("%s: %q: %v", file, line, err)
			}
			messages = append(messages, recorded{filepath.Base(file), name == "enrp", b})
		}
	}
	return messages
}

// Every message that RSPLIB sent is understood, and would have been sent the same by
// us, to the byte.
func TestReplayRSPLIB(t *testing.T) {
	var d Decoder
	for _, r := range rsplibTraffic(t) {
		m, err := decode(&d, r.enrp, r.bytes)
		if err != nil {
			t.Errorf("%s: %x: %v", r.where, r.bytes, err)
			continue
		}
		if got := m.AppendTo(nil); !bytes.Equal(got, r.bytes) {
			t.Errorf("%s: %v was\n%x, is encoded\n%x", r.where, m, r.bytes, got)
		}
		if n := len(d.Unrecognized()); n > 0 {
			t.Errorf("%s: %v has %d unknown parameters", r.where, m, n)
		}
	}
}
