package protocol

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// TransportProtocol is the protocol of a TransportAddr; its value is the type of
// the transport parameter on the wire (RFC 5354 section 3).
type TransportProtocol uint16

const (
	DCCP            TransportProtocol = 0x0003
	SCTP            TransportProtocol = 0x0004
	TCP             TransportProtocol = 0x0005
	UDP             TransportProtocol = 0x0006
	UDPLite         TransportProtocol = 0x0007
	OpaqueTransport TransportProtocol = 0x0010
)

func (p TransportProtocol) String() string {
	switch p {
	case DCCP:
		return "dccp"
	case SCTP:
		return "sctp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case UDPLite:
		return "udplite"
	case OpaqueTransport:
		return "opaque"
	}
	return fmt.Sprintf("transport(0x%04x)", uint16(p))
}

// ParseTransportProtocol reads the name of a protocol that has ports and addresses, as String prints it.
func ParseTransportProtocol(name string) (TransportProtocol, error) {
	for _, p := range []TransportProtocol{DCCP, SCTP, TCP, UDP, UDPLite} {
		if name == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("unknown transport protocol %q", name)
}

// TransportUse says what a transport carries (RFC 5354 section 3.4).
type TransportUse uint16

const (
	// DataOnly: user data alone.
	DataOnly TransportUse = 0
	// DataAndControl: user data and the ASAP control channel on one association.
	DataAndControl TransportUse = 1
)

// TransportAddr is where something can be reached: one protocol, one port and
// one or more addresses (several with SCTP only). A TCP address with the use
// DataAndControl speaks the TCP mapping. The zero value means absent.
type TransportAddr struct {
	Protocol    TransportProtocol
	Use         TransportUse
	Port        uint16
	ServiceCode uint32 // DCCP only
	Addrs       []netip.Addr
	Opaque      string // OpaqueTransport only: the parameter's value
}

// IsZero reports whether a is absent.
func (a TransportAddr) IsZero() bool { return a.Protocol == 0 }

// Equal reports whether a and b are the same, addresses in the same order.
func (a TransportAddr) Equal(b TransportAddr) bool { return a.equal(&b) }

// equal spares the copies: registrars compare every re-registration.
func (a *TransportAddr) equal(b *TransportAddr) bool {
	return a.Protocol == b.Protocol && a.Use == b.Use && a.Port == b.Port &&
		a.ServiceCode == b.ServiceCode && a.Opaque == b.Opaque && slices.Equal(a.Addrs, b.Addrs)
}

// Clone returns a copy that shares no memory with a.
func (a TransportAddr) Clone() TransportAddr {
	a.Addrs = slices.Clone(a.Addrs)
	return a
}

// AddrPort returns the first address with the port; it is not valid when a has
// no address.
func (a TransportAddr) AddrPort() netip.AddrPort {
	if len(a.Addrs) == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addrs[0], a.Port)
}

// String prints "sctp 10.0.0.1,10.0.1.1:3863".
func (a TransportAddr) String() string {
	var b strings.Builder
	b.WriteString(a.Protocol.String())
	if a.Protocol == OpaqueTransport {
		fmt.Fprintf(&b, " %x", a.Opaque)
		return b.String()
	}
	b.WriteByte(' ')
	for i, addr := range a.Addrs {
		if i > 0 {
			b.WriteByte(',')
		}
		if addr.Is6() {
			b.WriteString("[" + addr.String() + "]")
		} else {
			b.WriteString(addr.String())
		}
	}
	fmt.Fprintf(&b, ":%d", a.Port)
	if a.Use == DataAndControl {
		b.WriteString("+control")
	}
	return b.String()
}

// Scope orders addresses by how far they reach, as RSPLIB does.
type Scope int

const (
	ScopeUnspecified Scope = 0
	ScopeLoopback    Scope = 2
	ScopeLinkLocal   Scope = 4
	ScopeSiteLocal   Scope = 6
	ScopeGlobal      Scope = 10
)

var siteLocal6 = netip.MustParsePrefix("fec0::/10")

// ScopeOf returns the scope of a unicast address. Unique local IPv6 addresses
// count as global, as they do for RSPLIB.
func ScopeOf(a netip.Addr) Scope {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.IsUnspecified():
		return ScopeUnspecified
	case a.IsLoopback():
		return ScopeLoopback
	case a.IsLinkLocalUnicast():
		return ScopeLinkLocal
	case a.Is4() && a.IsPrivate(), siteLocal6.Contains(a):
		return ScopeSiteLocal
	}
	return ScopeGlobal
}

// AppendUsable appends those of the addresses that a peer tells which others can use, each once: not
// nearer than min, proven to be its own by its association, and not link-local, since such an address
// means something else on every link.
func AppendUsable(dst, told, proven []netip.Addr, min Scope) []netip.Addr {
	for _, addr := range told {
		scope := ScopeOf(addr)
		if scope < min || scope == ScopeLinkLocal {
			continue
		}
		addr = addr.Unmap()
		isProven := slices.ContainsFunc(proven, func(p netip.Addr) bool { return p.Unmap() == addr })
		if isProven && !slices.Contains(dst, addr) {
			dst = append(dst, addr)
		}
	}
	return dst
}
