package mcast

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// conn is a UDP socket of either version of IP, with its options for multicast.
type conn interface {
	JoinGroup(ifi *net.Interface, group net.Addr) error
	SetMulticastInterface(ifi *net.Interface) error
	SetMulticastLoopback(on bool) error
	SetReadDeadline(t time.Time) error
	Close() error
	setTTL(hops int) error
	// showDestination lets read tell where a datagram was sent to.
	showDestination() error
	// read receives a datagram; to is not valid if the system does not tell it.
	read(b []byte) (n int, to netip.Addr, from netip.AddrPort, err error)
}

// newConn wraps a socket of the version of IP that addr has.
func newConn(udp *net.UDPConn, addr netip.Addr) conn {
	if addr.Is4() {
		return conn4{ipv4.NewPacketConn(udp)}
	}
	return conn6{ipv6.NewPacketConn(udp)}
}

type conn4 struct{ *ipv4.PacketConn }

func (c conn4) setTTL(hops int) error  { return c.SetMulticastTTL(hops) }
func (c conn4) showDestination() error { return c.SetControlMessage(ipv4.FlagDst, true) }

func (c conn4) read(b []byte) (n int, to netip.Addr, from netip.AddrPort, err error) {
	n, info, src, err := c.ReadFrom(b)
	if err != nil {
		return 0, to, from, err
	}
	if info != nil {
		to, _ = netip.AddrFromSlice(info.Dst)
	}
	return n, to.Unmap(), source(src), nil
}

type conn6 struct{ *ipv6.PacketConn }

func (c conn6) setTTL(hops int) error  { return c.SetMulticastHopLimit(hops) }
func (c conn6) showDestination() error { return c.SetControlMessage(ipv6.FlagDst, true) }

func (c conn6) read(b []byte) (n int, to netip.Addr, from netip.AddrPort, err error) {
	n, info, src, err := c.ReadFrom(b)
	if err != nil {
		return 0, to, from, err
	}
	if info != nil {
		to, _ = netip.AddrFromSlice(info.Dst)
	}
	return n, to, source(src), nil
}

func source(a net.Addr) netip.AddrPort {
	from := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}
