package protocol

import (
	"net/netip"
	"testing"
)

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// The numbers are the types of the transport parameters in RFC 5354 section 3.
func TestTransportProtocol(t *testing.T) {
	tests := []struct {
		protocol TransportProtocol
		value    uint16
		name     string
	}{
		{DCCP, 0x3, "dccp"},
		{SCTP, 0x4, "sctp"},
		{TCP, 0x5, "tcp"},
		{UDP, 0x6, "udp"},
		{UDPLite, 0x7, "udplite"},
		{OpaqueTransport, 0x10, "opaque"},
		{0x99, 0x99, "transport(0x0099)"},
	}
	for _, tt := range tests {
		if uint16(tt.protocol) != tt.value || tt.protocol.String() != tt.name {
			t.Errorf("%v has the value %#x, want %s, %#x", tt.protocol, uint16(tt.protocol), tt.name, tt.value)
		}
	}
}

func TestTransportAddrEqual(t *testing.T) {
	base := TransportAddr{Protocol: SCTP, Port: 7, Addrs: addrs("10.0.0.1", "10.0.1.1")}
	changes := map[string]func(a *TransportAddr){
		"protocol":       func(a *TransportAddr) { a.Protocol = TCP },
		"use":            func(a *TransportAddr) { a.Use = DataAndControl },
		"port":           func(a *TransportAddr) { a.Port = 8 },
		"service code":   func(a *TransportAddr) { a.ServiceCode = 1 },
		"opaque":         func(a *TransportAddr) { a.Opaque = "x" },
		"fewer":          func(a *TransportAddr) { a.Addrs = a.Addrs[:1] },
		"another":        func(a *TransportAddr) { a.Addrs = addrs("10.0.0.1", "10.0.1.2") },
		"another order":  func(a *TransportAddr) { a.Addrs = addrs("10.0.1.1", "10.0.0.1") },
		"IPv4 as mapped": func(a *TransportAddr) { a.Addrs = addrs("::ffff:10.0.0.1", "10.0.1.1") },
	}
	if !base.Equal(base.Clone()) {
		t.Errorf("%v differs from its clone", base)
	}
	for name, change := range changes {
		other := base.Clone()
		change(&other)
		if base.Equal(other) || other.Equal(base) {
			t.Errorf("another %s: %v equals %v", name, other, base)
		}
	}
}

func TestTransportAddrClone(t *testing.T) {
	a := TransportAddr{Protocol: SCTP, Port: 7, Addrs: addrs("10.0.0.1")}
	b := a.Clone()
	a.Addrs[0] = netip.MustParseAddr("10.0.0.2")
	if b.Addrs[0] != netip.MustParseAddr("10.0.0.1") {
		t.Error("the clone shares its addresses with the original")
	}
}

func TestTransportAddrIsZero(t *testing.T) {
	if !(TransportAddr{}).IsZero() {
		t.Error("the zero value is not absent")
	}
	if (TransportAddr{Protocol: SCTP}).IsZero() {
		t.Error("an SCTP transport without addresses is absent")
	}
}

func TestTransportAddrAddrPort(t *testing.T) {
	a := TransportAddr{Protocol: SCTP, Port: 7, Addrs: addrs("10.0.0.1", "10.0.1.1")}
	if got, want := a.AddrPort(), netip.MustParseAddrPort("10.0.0.1:7"); got != want {
		t.Errorf("AddrPort() = %v, want %v", got, want)
	}
	if got := (TransportAddr{Protocol: SCTP, Port: 7}).AddrPort(); got.IsValid() {
		t.Errorf("without an address, AddrPort() = %v, want an invalid one", got)
	}
}

func TestTransportAddrString(t *testing.T) {
	tests := []struct {
		addr TransportAddr
		want string
	}{
		{TransportAddr{Protocol: SCTP, Port: 3863, Addrs: addrs("10.0.0.1", "10.0.1.1")}, "sctp 10.0.0.1,10.0.1.1:3863"},
		{TransportAddr{Protocol: SCTP, Port: 7, Use: DataAndControl, Addrs: addrs("fd00:50::1", "10.0.0.1")}, "sctp [fd00:50::1],10.0.0.1:7+control"},
		{TransportAddr{Protocol: UDP, Port: 9901}, "udp :9901"},
		{TransportAddr{Protocol: OpaqueTransport, Opaque: "\x01\xff"}, "opaque 01ff"},
	}
	for _, tt := range tests {
		if got := tt.addr.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

func TestScopeOf(t *testing.T) {
	tests := []struct {
		addr string
		want Scope
	}{
		{"0.0.0.0", ScopeUnspecified},
		{"::", ScopeUnspecified},
		{"127.0.0.1", ScopeLoopback},
		{"127.255.0.1", ScopeLoopback},
		{"::1", ScopeLoopback},
		{"::ffff:127.0.0.1", ScopeLoopback},
		{"169.254.1.1", ScopeLinkLocal},
		{"fe80::1", ScopeLinkLocal},
		{"fe80::1%eth0", ScopeLinkLocal},
		{"10.1.2.3", ScopeSiteLocal},
		{"172.16.0.1", ScopeSiteLocal},
		{"172.31.255.255", ScopeSiteLocal},
		{"192.168.0.1", ScopeSiteLocal},
		{"::ffff:10.1.2.3", ScopeSiteLocal},
		{"fec0::1", ScopeSiteLocal},
		{"172.32.0.1", ScopeGlobal},
		{"132.252.151.1", ScopeGlobal},
		{"2001:db8::1", ScopeGlobal},
		{"fd00:50::1", ScopeGlobal}, // unique local counts as global
	}
	for _, tt := range tests {
		if got := ScopeOf(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("ScopeOf(%s) = %d, want %d", tt.addr, got, tt.want)
		}
	}
	if got := ScopeOf(netip.Addr{}); got != ScopeUnspecified {
		t.Errorf("ScopeOf of no address = %d, want %d", got, ScopeUnspecified)
	}
	if !(ScopeUnspecified < ScopeLoopback && ScopeLoopback < ScopeLinkLocal && ScopeLinkLocal < ScopeSiteLocal && ScopeSiteLocal < ScopeGlobal) {
		t.Error("the scopes are not in the order of their reach")
	}
}
