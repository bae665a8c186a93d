package scripting

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var hash = Hash{0xd7, 0xca, 0x55, 0x68, 0x7d, 0x3b, 0x16, 0x3c, 0xb3, 0x95, 0x6b, 0x83, 0x28, 0x62, 0x00, 0x36, 0xc8, 0x59, 0xbe, 0x3a}

// Bytes that RSPLIB's programs have sent, recorded.
var golden = []struct {
	bytes   string
	message Message
	text    string
}{
	{"0000000e00000001286e6f6e6529", Message{Type: NotReady, Reason: FullyLoaded, Info: "(none)"}, `NOTREADY reason=1 info="(none)"`},
	{"0100000a286e6f6e6529", Message{Type: Ready, Info: "(none)"}, `READY info="(none)"`},
	{"0200000c656e76646174610a", Message{Type: Upload, Data: []byte("envdata\n")}, "UPLOAD 8 bytes"}, // whose hash is below
	{"02000004", Message{Type: Upload}, "UPLOAD 0 bytes"},
	{"0300000b726573756c740a", Message{Type: Download, Data: []byte("result\n")}, "DOWNLOAD 7 bytes"},
	{"03000004", Message{Type: Download}, "DOWNLOAD 0 bytes"},
	{"04000004", Message{Type: KeepAlive}, "KEEPALIVE"},
	{"05000004", Message{Type: KeepAliveAck}, "KEEPALIVE_ACK"},
	{"0500000800000000", Message{Type: KeepAliveAck, HasStatus: true}, "KEEPALIVE_ACK"},
	{"0600000800000000", Message{Type: Status}, "STATUS 0"},
	{"07000018" + "d7ca55687d3b163cb3956b8328620036c859be3a", Message{Type: Environment, Hash: hash},
		"ENVIRONMENT d7ca55687d3b163cb3956b8328620036c859be3a needed=false"},
	{"07010018" + "d7ca55687d3b163cb3956b8328620036c859be3a", Message{Type: Environment, Hash: hash, UploadNeeded: true},
		"ENVIRONMENT d7ca55687d3b163cb3956b8328620036c859be3a needed=true"},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		b, err := hex.DecodeString(g.bytes)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil {
			t.Errorf("%s: %v", g.bytes, err)
			continue
		}
		if len(m.Data) == 0 {
			m.Data = nil
		}
		if diff := cmp.Diff(g.message, m); diff != "" {
			t.Errorf("%s (-want +got):\n%s", g.bytes, diff)
		}
		if got := m.AppendTo([]byte("x"))[1:]; !bytes.Equal(got, b) {
			t.Errorf("%v is %x, want %s", m, got, g.bytes)
		}
		if m.String() != g.text {
			t.Errorf("%s prints as %q, want %q", g.bytes, m, g.text)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, text := range []string{
		"", "040000", "04000005", "0400000500", "08000004", // too short, of another length, of no type
		"00000004", "01000045" + strings.Repeat("61", 65), "02004005" + strings.Repeat("61", 16385),
		"050000060000", "06000004", "0600000c0000000000000000", "07000017" + strings.Repeat("00", 19), "07000019" + strings.Repeat("00", 21),
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := Parse(b); err == nil {
			t.Errorf("%.20s is taken for %v", text, m)
		}
	}
}

// What can be read is written such that it reads the same.
func FuzzParse(f *testing.F) {
	for _, g := range golden {
		b, _ := hex.DecodeString(g.bytes)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		_ = m.String()
		again, err := Parse(m.AppendTo(nil))
		if err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Error(diff)
		}
	})
}
