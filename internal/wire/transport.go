package wire

import (
	"net/netip"

	"github.com/rserpool/rsp/internal/protocol"
)

// maxAddrs is how many addresses a transport parameter may have, as for RSPLIB.
const maxAddrs = 64

// IPv4 and IPv6 Address parameters (RFC 5354 sections 3.1 and 3.2).

func (w *writer) addr(a netip.Addr) {
	// RSPLIB writes IPv4-mapped addresses as IPv4 ones.
	if a = a.Unmap(); a.Is4() {
		bytes := a.As4()
		start := w.open(paramIPv4)
		w.b = append(w.b, bytes[:]...)
		w.close(start)
		return
	}
	bytes := a.As16()
	start := w.open(paramIPv6)
	w.b = append(w.b, bytes[:]...)
	w.close(start)
}

func (r *reader) addr(p param) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(p.value())
	if !ok || a.Is4() != (p.number == paramIPv4) {
		r.d.failParam(protocol.CauseInvalidValues, p, "has not the length of an address")
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// Transport parameters (RFC 5354 sections 3.3 to 3.7 and 3.16):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Type              |      Length = variable        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Port              |         Transport Use         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 DCCP Service Code (DCCP only)                 |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                   IPv4 or IPv6 Address #1..#n                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

func (w *writer) transport(a *protocol.TransportAddr) {
	start := w.open(paramType(a.Protocol))
	if a.Protocol == protocol.OpaqueTransport {
		w.b = append(w.b, a.Opaque...)
		w.close(start)
		return
	}
	w.uint16(a.Port)
	if hasUse(a.Protocol) {
		w.uint16(uint16(a.Use))
	} else {
		w.uint16(0)
	}
	if a.Protocol == protocol.DCCP {
		w.uint32(a.ServiceCode)
	}
	for _, addr := range a.Addrs[:min(len(a.Addrs), maxAddrs)] {
		w.addr(addr)
	}
	w.close(start)
}

// hasUse reports whether a transport parameter has a Transport Use field. RFC 5354
// section 3.5 has none for TCP; RSPLIB reads and writes it there too.
func hasUse(p protocol.TransportProtocol) bool { return p == protocol.SCTP || p == protocol.TCP }

func (r *reader) transport(p param, a *protocol.TransportAddr) {
	*a = protocol.TransportAddr{Protocol: protocol.TransportProtocol(p.number)}
	if a.Protocol == protocol.OpaqueTransport {
		a.Opaque = r.opaque(p, p.value())
		return
	}
	fixed := 4
	if a.Protocol == protocol.DCCP {
		fixed = 8
	}
	in := r.inside(p, fixed)
	a.Port = in.uint16()
	// RSPLIB reads every other value as data only.
	if in.uint16() == uint16(protocol.DataAndControl) && hasUse(a.Protocol) {
		a.Use = protocol.DataAndControl
	}
	if a.Protocol == protocol.DCCP {
		a.ServiceCode = in.uint32()
	}
	a.Addrs = in.addrs(p)
}

// addrs reads the addresses of the transport parameter p. The RFC allows several with
// SCTP only, RSPLIB accepts them with every protocol.
func (r *reader) addrs(p param) []netip.Addr {
	start := len(r.d.addrs)
	for address, ok := r.next(addressTypes); ok; address, ok = r.next(addressTypes) {
		a, ok := r.addr(address)
		if !ok {
			return nil
		}
		r.d.addrs = append(r.d.addrs, a)
	}
	r.close()
	addrs := r.d.addrs[start:len(r.d.addrs):len(r.d.addrs)]
	if n := len(addrs); n == 0 {
		r.d.failParam(protocol.CauseInvalidValue, p, "has no address")
	} else if n > maxAddrs {
		r.d.failParam(protocol.CauseInvalidValue, p, "has too many addresses")
	}
	return addrs
}

// opaque returns as a string a part of p that only its users understand.
func (r *reader) opaque(p param, b []byte) string {
	if len(b) > protocol.MaxOpaque {
		r.d.failParam(protocol.CauseInvalidValue, p, "is too long")
		return ""
	}
	return r.d.strings.get(b)
}
