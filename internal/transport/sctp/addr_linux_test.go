//go:build !386

package sctp

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/protocol"
)

// What is handed to the kernel is read back, in the form that transport addresses have.
func TestSockaddrs(t *testing.T) {
	var addrs, want []netip.Addr
	for _, c := range []struct{ addr, want string }{
		{"10.0.0.1", "10.0.0.1"},
		{"2001:db8::1", "2001:db8::1"},
		{"::ffff:10.0.0.2", "10.0.0.2"},
		{"fe80::1%4294967295", "fe80::1%4294967295"},
		{"2001:db8::2%7", "2001:db8::2"},
	} {
		addrs, want = append(addrs, netip.MustParseAddr(c.addr)), append(want, netip.MustParseAddr(c.want))
	}
	b := appendSockaddrs(nil, addrs, 3863)
	if len(b) != 2*sockaddr4+3*sockaddr6 {
		t.Errorf("%d bytes", len(b))
	}
	got, err := parseSockaddrs(b, len(addrs))
	if err != nil || got.Port != 3863 || got.Protocol != protocol.SCTP {
		t.Fatalf("%v, %v", got, err)
	}
	if diff := cmp.Diff(want, got.Addrs, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n := range len(b) {
		if _, err := parseSockaddrs(b[:n], len(addrs)); err == nil {
			t.Errorf("no error for %d of %d bytes", n, len(b))
		}
	}
	if _, err := parseSockaddrs(make([]byte, sockaddr6), 1); err == nil {
		t.Error("no error for address family 0")
	}
}
