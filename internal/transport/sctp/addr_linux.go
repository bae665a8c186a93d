//go:build !386

package sctp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/protocol"
)

// Socket options for addresses (linux/sctp.h). Their values are socket addresses, one behind the
// other, each as long as its family has it.
const (
	optBindxAdd   = 100
	optPeerAddrs  = 108
	optLocalAddrs = 109
	optConnectx   = 110
)

const (
	sockaddr4 = 16 // size of struct sockaddr_in
	sockaddr6 = 28 // size of struct sockaddr_in6
)

// appendSockaddrs appends addrs with one port.
func appendSockaddrs(b []byte, addrs []netip.Addr, port uint16) []byte {
	for _, addr := range addrs {
		addr = addr.Unmap()
		if addr.Is4() {
			b = binary.NativeEndian.AppendUint16(b, unix.AF_INET)
			b = binary.BigEndian.AppendUint16(b, port)
			b = append(b, addr.AsSlice()...)
			b = append(b, make([]byte, 8)...)
			continue
		}
		b = binary.NativeEndian.AppendUint16(b, unix.AF_INET6)
		b = binary.BigEndian.AppendUint16(b, port)
		b = append(b, 0, 0, 0, 0) // flow
		b = append(b, addr.AsSlice()...)
		b = binary.NativeEndian.AppendUint32(b, scopeOf(addr.Zone()))
	}
	return b
}

// scopeOf returns the number of a zone, 0 if there is no such interface.
func scopeOf(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// zoneOf is the reverse of scopeOf.
func zoneOf(scope uint32) string {
	if i, err := net.InterfaceByIndex(int(scope)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(scope), 10)
}

// parseSockaddrs reads n addresses. Those of the kernel may be IPv4-mapped, and have a zone
// where it means nothing; ours not.
func parseSockaddrs(b []byte, n int) (protocol.TransportAddr, error) {
	t := protocol.TransportAddr{Protocol: protocol.SCTP}
	for range n {
		if len(b) < sockaddr4 {
			return t, fmt.Errorf("%d of %d addresses", len(t.Addrs), n)
		}
		family := binary.NativeEndian.Uint16(b)
		t.Port = binary.BigEndian.Uint16(b[2:])
		switch {
		case family == unix.AF_INET:
			t.Addrs = append(t.Addrs, netip.AddrFrom4([4]byte(b[4:])))
			b = b[sockaddr4:]
		case family == unix.AF_INET6 && len(b) >= sockaddr6:
			addr := netip.AddrFrom16([16]byte(b[8:])).Unmap()
			if addr.IsLinkLocalUnicast() && addr.Is6() {
				addr = addr.WithZone(zoneOf(binary.NativeEndian.Uint32(b[24:])))
			}
			t.Addrs = append(t.Addrs, addr)
			b = b[sockaddr6:]
		default:
			return t, fmt.Errorf("address family %d", family)
		}
	}
	return t, nil
}

// bindAddrs adds addresses to those that a socket is bound to.
func bindAddrs(fd int, addrs []netip.Addr, port uint16) error {
	b := appendSockaddrs(nil, addrs, port)
	return os.NewSyscallError("bind", unix.SetsockoptString(fd, unix.IPPROTO_SCTP, optBindxAdd, string(b)))
}

// connect begins an association to any of some addresses (RFC 6458 section 9.9).
func connect(fd int, addrs []netip.Addr, port uint16) error {
	b := appendSockaddrs(nil, addrs, port)
	return unix.SetsockoptString(fd, unix.IPPROTO_SCTP, optConnectx, string(b))
}

// maxAddrs is how many bytes of addresses of one end are asked for.
const maxAddrs = 4096

// getAddrs asks for optLocalAddrs or optPeerAddrs of an association of a socket; for association 0, those
// that the socket is bound to.
func getAddrs(fd, option, assoc int) (protocol.TransportAddr, error) {
	const header = 8 // association id, number of addresses
	b := make([]byte, header+maxAddrs)
	binary.NativeEndian.PutUint32(b, uint32(assoc))
	// The size does not always count the header.
	if _, err := getsockopt(uintptr(fd), option, b); err != nil {
		return protocol.TransportAddr{}, err
	}
	addrs, err := parseSockaddrs(b[header:], int(binary.NativeEndian.Uint32(b[4:])))
	if err != nil {
		return addrs, fmt.Errorf("addresses from the kernel: %w", err)
	}
	return addrs, nil
}

// theAssoc stands for the one association of a one-to-one socket, as any id but 0 does.
const (
	theSocket = 0
	theAssoc  = 1
)

// assocAddrs lists the addresses that the association of a socket uses. One that the peer has ended already is
// not known any more: then they are those of the socket and, if it was dialed, of whom.
func assocAddrs(fd int, dialed protocol.TransportAddr) (local, remote protocol.TransportAddr, err error) {
	if local, err = getAddrs(fd, optLocalAddrs, theAssoc); err == nil {
		remote, err = getAddrs(fd, optPeerAddrs, theAssoc)
	}
	if errors.Is(err, unix.EINVAL) && len(dialed.Addrs) > 0 {
		local, err = getAddrs(fd, optLocalAddrs, theSocket)
		remote = dialed.Clone()
	}
	return local, remote, err
}
