//go:build !386

package sctp

import (
	"encoding/binary"
	"testing"
)

// notice makes a notification of the given size with numbers in their places
// (RFC 6458 section 6.1).
func notice(kind uint16, size int, at map[int]uint16) []byte {
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b, uint16(kind))
	binary.NativeEndian.PutUint32(b[4:], uint32(size))
	for i, v := range at {
		binary.NativeEndian.PutUint16(b[i:], v)
	}
	return b
}

func TestParseNotification(t *testing.T) {
	// Error cause 12, user-initiated abort (RFC 4960 section 3.3.10.12), as it is on the wire.
	lost := notice(assocChange, 28, map[int]uint16{8: commLost})
	binary.BigEndian.PutUint16(lost[10:], 12)
	for _, test := range []struct {
		name string
		b    []byte
		want notification
	}{
		{"lost", lost, notification{kind: assocChange, state: commLost, cause: 12}},
		{"cut short", lost[:19], notification{}},
		{"shutdown", notice(shutdownEvent, 12, nil), notification{kind: shutdownEvent}},
		{"of no interest", notice(0x8004, 148, nil), notification{}},
		{"failed", notice(sendFailed, 148, map[int]uint16{16: 3}), notification{kind: sendFailed, state: 3}},
		{"nothing", nil, notification{}},
	} {
		if got := parseNotification(test.b); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
	path := notice(peerAddrChange, notificationSize, nil)
	binary.NativeEndian.PutUint32(path[136:], addrUnreachable)
	path[8], path[35] = 2, 7
	if got, want := parseNotification(path), (notification{kind: peerAddrChange, state: addrUnreachable, path: [28]byte{0: 2, 27: 7}}); got != want {
		t.Errorf("path down: %+v, want %+v", got, want)
	}
}

// Whatever the kernel may give, it is a notification of a known kind or none.
func FuzzParseNotification(f *testing.F) {
	f.Add(notice(assocChange, 20, map[int]uint16{8: restart}))
	f.Add(notice(peerAddrChange, notificationSize, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		switch n := parseNotification(b); n.kind {
		case assocChange, peerAddrChange, sendFailed, shutdownEvent:
		default:
			if n != (notification{}) {
				t.Errorf("%x: %+v", b, n)
			}
		}
	})
}
