package csp

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/protocol"
)

// captured returns RSPLIB's reports by their names.
func captured(t testing.TB) map[string][]byte {
	t.Helper()
	file, err := os.ReadFile("testdata/rsplib.txt")
	if err != nil {
		t.Fatal(err)
	}
	reports := make(map[string][]byte)
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if reports[name], err = hex.DecodeString(digits); err != nil {
			t.Fatal(err)
		}
	}
	return reports
}

const us = time.Microsecond

var golden = map[string]Report{
	"registrar": {
		Sender: 0x0100000011111111, Uptime: 0x27 * us, Interval: time.Second,
		Location: "(none): 10.50.0.1:3863", Status: "0[0] PEs in 0 Pools, 0 Peers", Workload: NoWorkload,
	},
	"hunting": {
		Sender: 0x020000000abc1001, Uptime: 0x3d * us, Interval: time.Second,
		Location: "(none): 10.50.0.2", Status: "Looking for Registrar ...", Workload: NoWorkload,
	},
	"element": {
		Sender: 0x020000000abc2002, Uptime: 0x160157 * us, Interval: time.Second,
		Location: "(none): 10.50.0.5:57135", Status: "0 Sessions", Workload: NoWorkload,
		Associations: []Association{{0x0100000011111111, 0xf44bc * us, ProtocolSCTP, protocol.PPIDASAP}},
	},
	"loaded": {
		Sender: 0x020000000abc1001, Uptime: 4825007 * us, Interval: time.Second,
		Location: "(none): 10.50.0.2:53155", Status: "1 Session", Workload: WorkloadOf(0.5),
		Associations: []Association{{0x0100000011111111, 0x3d2104 * us, ProtocolSCTP, protocol.PPIDASAP}},
	},
	"user": {
		Sender: 0x037d0d2fe5ff9354, Uptime: 0x1e14a9 * us, Interval: time.Second,
		Location: "(none): 10.50.0.7", Status: "1 Session", Workload: NoWorkload,
		Associations: []Association{
			{0x0100000011111111, 0xf419d * us, ProtocolSCTP, protocol.PPIDASAP},
			{0x020000000abc2002, 0xf3046 * us, ProtocolSCTP, 32},
		},
	},
	"final": {Sender: 0x03cbdb37efe24e5f, Final: true, Uptime: 8156577 * us, Interval: time.Second},
}

// Each of RSPLIB's reports means what it should, and is what we would send.
func TestGolden(t *testing.T) {
	reports := captured(t)
	if len(reports) != len(golden) {
		t.Errorf("%d reports are captured, %d expected", len(reports), len(golden))
	}
	for name, b := range reports {
		got, err := Parse(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(golden[name], *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if again := got.AppendTo(nil); !bytes.Equal(again, b) {
			t.Errorf("%s is sent as\n%x, not\n%x", name, again, b)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"short":             func(b []byte) []byte { return b[:287] },
		"another type":      func(b []byte) []byte { b[0] = 2; return b },
		"another version":   func(b []byte) []byte { b[7] = 1; return b },
		"an entry too few":  func(b []byte) []byte { b[287]++; return b },
		"an entry too much": func(b []byte) []byte { b[287]--; return b },
	} {
		if r, err := Parse(change(captured(t)["user"])); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	b := captured(t)["user"]
	b[2], b[3] = 0, 0 // RSPLIB's monitor does not look at the length
	if _, err := Parse(b); err != nil {
		t.Error(err)
	}
}

// What does not fit is cut: a text to whole characters of at most 127 bytes, associations to a datagram's.
func TestLimits(t *testing.T) {
	r := Report{
		Location:     strings.Repeat("x", 126) + "é",
		Status:       strings.Repeat("x", 200),
		Interval:     2 << 32 * us,
		Associations: make([]Association, 4000),
	}
	b := r.AppendTo(nil)
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 65507 || len(got.Associations) != 2717 {
		t.Errorf("%d bytes with %d associations", len(b), len(got.Associations))
	}
	if got.Location != strings.Repeat("x", 126) || got.Status != strings.Repeat("x", 127) {
		t.Errorf("texts %q, %q", got.Location, got.Status)
	}
	if got.Interval != (1<<32-1)*us {
		t.Errorf("interval %v", got.Interval)
	}
}

func TestWorkload(t *testing.T) {
	for load, want := range map[float64]Workload{-1: 0, 0: 0, 0.5: 0x7fff, 1: 0xfffe, 2: 0xfffe} {
		if got := WorkloadOf(load); got != want {
			t.Errorf("load %v is 0x%x", load, got)
		}
	}
	if _, known := NoWorkload.Load(); known {
		t.Error("no workload is one")
	}
}

func TestComponentID(t *testing.T) {
	for want, id := range map[string]ComponentID{
		"PR $11111111":       NewComponentID(Registrar, 0x11111111),
		"PE $0abc1002":       NewComponentID(PoolElement, 0xabc1002),
		"PU $7d0d2fe5ff9354": NewComponentID(PoolUser, 0xff7d0d2fe5ff9354),
		"Group(9) $00000000": 9 << 56,
	} {
		if got := id.String(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// What is read is sent as it was, but for what the protocol leaves to the sender.
func FuzzParse(f *testing.F) {
	for _, b := range captured(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		again := r.AppendTo(nil)
		if len(again) != min(len(b), headerSize+associationSize*maxAssociations) {
			t.Fatalf("%d bytes become %d", len(b), len(again))
		}
		reread, err := Parse(again)
		if err != nil {
			t.Fatal(err)
		}
		if third := reread.AppendTo(nil); !bytes.Equal(third, again) {
			t.Errorf("%x is read as %+v and sent as %x", again, reread, third)
		}
	})
}
