//go:build !386

package sctp

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/transport"
)

// The kernel has taken the options, at both ends of an association.
func testOptions(t *testing.T) {
	opts := transport.Options{
		RTOInitial: 700 * time.Millisecond, RTOMin: 320 * time.Millisecond, RTOMax: 900 * time.Millisecond,
		HeartbeatInterval: 1100 * time.Millisecond, PathMaxRetrans: 3, AssocMaxRetrans: 7, Buffer: 96 << 10, Streams: 12,
	}
	n := newTestNetwork(t)
	ln, err := n.Listen(t.Context(), at(0, guestAddr), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialed, err := n.Dial(t.Context(), ln.LocalAddr(), opts)
	if err != nil {
		t.Fatal(err)
	}
	owned(t, dialed)
	for name, a := range map[string]transport.Assoc{"dialed": dialed, "accepted": acceptFrom(t, ln)} {
		checkOptions(t, name, a.(*assoc))
	}
}

func checkOptions(t *testing.T, name string, a *assoc) {
	wildcard := make([]byte, 156)
	binary.NativeEndian.PutUint16(wildcard[4:], unix.AF_INET)
	rto := option(t, a, optRTOInfo, make([]byte, 16))
	assocInfo := option(t, a, optAssocInfo, make([]byte, 20))
	status := option(t, a, optStatus, make([]byte, 176))
	path := option(t, a, optPeerAddrParams, wildcard)
	sack := option(t, a, optDelayedSack, make([]byte, 12))
	limits := make([]byte, 144)
	binary.NativeEndian.PutUint16(limits[8:], unix.AF_INET)
	limits = option(t, a, optPeerAddrThresholds, limits)
	expose := option(t, a, optExposePF, make([]byte, 8))
	for _, check := range []struct {
		field     string
		got, want int
	}{
		{"RTO.Initial", int(binary.NativeEndian.Uint32(rto[4:])), 700},
		{"RTO.Max", int(binary.NativeEndian.Uint32(rto[8:])), 900},
		{"RTO.Min", int(binary.NativeEndian.Uint32(rto[12:])), 320},
		{"Association.Max.Retrans", int(binary.NativeEndian.Uint16(assocInfo[4:])), 7},
		{"HB.interval", int(binary.NativeEndian.Uint32(path[132:])), 1100},
		{"Path.Max.Retrans", int(binary.NativeEndian.Uint16(path[136:])), 3},
		{"SACK delay", int(binary.NativeEndian.Uint32(sack[4:])), 80},
		{"SACK frequency", int(binary.NativeEndian.Uint32(sack[8:])), 2},
		{"PotentiallyFailed.Max.Retrans", int(binary.NativeEndian.Uint16(limits[138:])), 0},
		{"exposed state", int(binary.NativeEndian.Uint32(expose[4:])), exposeEnable},
		{"incoming streams", int(binary.NativeEndian.Uint16(status[16:])), 12},
		{"outgoing streams", int(binary.NativeEndian.Uint16(status[18:])), 12},
		{"send buffer", a.MaxMessage(), 2 * 96 << 10}, // Linux doubles what is asked for
	} {
		if check.got != check.want {
			t.Errorf("%s: %s is %d, want %d", name, check.field, check.got, check.want)
		}
	}
}

// option reads an option into b.
func option(t *testing.T, a *assoc, number int, b []byte) []byte {
	t.Helper()
	var err error
	a.conn.Control(func(fd uintptr) { err = getOption(fd, number, b) })
	if err != nil {
		t.Fatal(err)
	}
	return b
}
