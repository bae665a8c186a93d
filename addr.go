package rsp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rserpool/rsp/internal/protocol"
)

// PoolAddr is the net.Addr of a session or a pool element.
type PoolAddr struct {
	Pool PoolHandle       // "" if unknown
	PE   PEID             // 0 if unknown
	Addr []netip.AddrPort // the transport's addresses
}

// Network returns "rsp".
func (a PoolAddr) Network() string { return "rsp" }

// String prints "EchoPool/0x00000001 (127.0.0.1:4711)", as much of it as is known.
func (a PoolAddr) String() string {
	s := string(a.Pool)
	if a.PE != 0 {
		s += "/" + a.PE.String()
	}
	if len(a.Addr) == 0 {
		return s
	}
	if s == "" {
		return a.Addr[0].String()
	}
	return fmt.Sprintf("%s (%v)", s, a.Addr[0])
}

func poolAddr(pool PoolHandle, pe PEID, t protocol.TransportAddr) PoolAddr {
	return PoolAddr{Pool: pool, PE: pe, Addr: addrPorts(t)}
}

func addrPorts(t protocol.TransportAddr) []netip.AddrPort {
	return appendAddrPorts(make([]netip.AddrPort, 0, len(t.Addrs)), t)
}

func appendAddrPorts(ports []netip.AddrPort, t protocol.TransportAddr) []netip.AddrPort {
	for _, a := range t.Addrs {
		ports = append(ports, netip.AddrPortFrom(a, t.Port))
	}
	return ports
}

// lookupAddr turns "host:port" into a transport address of no protocol. An
// empty host means all addresses of the machine, an empty port 0.
func lookupAddr(ctx context.Context, address string) (protocol.TransportAddr, error) {
	var to protocol.TransportAddr
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return to, err
	}
	if to.Port, err = parsePort(service, address); err != nil {
		return to, err
	}
	if host == "" {
		return to, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return to, err
	}
	for _, a := range addrs {
		if a = a.Unmap(); !a.IsUnspecified() {
			to.Addrs = append(to.Addrs, a)
		}
	}
	return to, nil
}

// lookupHosts reads "host:port,host,...", where "" is all of the machine.
func lookupHosts(ctx context.Context, address string) (protocol.TransportAddr, error) {
	if address == "" {
		return protocol.TransportAddr{}, nil
	}
	first, others, _ := strings.Cut(address, ",")
	local, err := lookupAddr(ctx, first)
	if err != nil {
		return local, err
	}
	for host := range strings.SplitSeq(others, ",") {
		if host == "" {
			continue
		}
		more, err := lookupAddr(ctx, net.JoinHostPort(strings.Trim(host, "[]"), ""))
		if err != nil {
			return local, err
		}
		local.Addrs = append(local.Addrs, more.Addrs...)
	}
	return local, nil
}

// parsePort reads the port of an address; an empty one is 0.
func parsePort(service, address string) (uint16, error) {
	if service == "" {
		return 0, nil
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return 0, &net.AddrError{Err: "port must be a number from 0 to 65535", Addr: address}
	}
	return uint16(port), nil
}

// lookupRemote finds where a server may be whose address is "host:port". A name's addresses
// need not be one host's.
func lookupRemote(ctx context.Context, address string) ([]netip.AddrPort, error) {
	to, err := lookupAddr(ctx, address)
	if err == nil && (to.Port == 0 || len(to.Addrs) == 0) {
		err = errNoRemote
	}
	if err != nil {
		return nil, err
	}
	return addrPorts(to), nil
}
