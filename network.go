package rsp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/mcast"
	"github.com/rserpool/rsp/internal/transport/sctp"
	"github.com/rserpool/rsp/internal/transport/tcp"
)

// Network chooses what carries the associations between pool users, pool elements
// and registrars.
type Network uint8

const (
	// Auto is the kernel's SCTP where it has it, else the TCP mapping. A Registrar
	// listens on both where both are there. With TLS it is the TCP mapping alone.
	Auto Network = iota
	// KernelSCTP is the standard's transport, and RSPLIB's. Only Linux with its
	// sctp module has it.
	KernelSCTP
	// TCPMapping carries the same messages over TCP; it works everywhere, between
	// programs of this library.
	TCPMapping
	// InMemory joins the Endpoints and Registrars of one process, for tests.
	InMemory
)

func (n Network) String() string {
	switch n {
	case Auto:
		return "auto"
	case KernelSCTP:
		return "sctp"
	case TCPMapping:
		return "tcp"
	case InMemory:
		return "memory"
	}
	return fmt.Sprintf("Network(%d)", uint8(n))
}

// networks are what associations go over, best first, by who is at the other end.
type networks struct {
	members    []transport.Network // any member of the operation scope
	registrars []transport.Network // a registrar
}

// secured returns what n stands for on this machine, with TLS if that is configured.
func (n Network) secured(log *slog.Logger, cfg *tls.Config, registrarName string) (networks, error) {
	hops, err := newHops(cfg, registrarName)
	if err != nil {
		return networks{}, err
	}
	if cfg == nil {
		all, err := n.transports(log)
		return networks{all, all}, err
	}
	if n != Auto && n != TCPMapping {
		// RFC 5352 section 9.2 asks for TLS over SCTP (RFC 3436) or over TCP; the former leaves PPIDs in clear.
		return networks{}, fmt.Errorf("TLS needs the TCP mapping, not %v", n)
	}
	return networks{
		[]transport.Network{tcp.Network{TLS: hops.members}},
		[]transport.Network{tcp.Network{TLS: hops.registrars}},
	}, nil
}

var logNoSCTP sync.Once

// transports returns all that n stands for on this machine without TLS, best first.
func (n Network) transports(log *slog.Logger) ([]transport.Network, error) {
	switch n {
	case Auto:
		kernel, err := sctp.New()
		if err != nil {
			logNoSCTP.Do(func() { log.Info("no kernel SCTP, using the TCP mapping", "reason", err) })
			return []transport.Network{tcp.Network{}}, nil
		}
		return []transport.Network{kernel, tcp.Network{}}, nil
	case KernelSCTP:
		kernel, err := sctp.New()
		if err != nil {
			return nil, err
		}
		return []transport.Network{kernel}, nil
	case TCPMapping:
		return []transport.Network{tcp.Network{}}, nil
	case InMemory:
		return []transport.Network{simnet.Default()}, nil
	}
	return nil, fmt.Errorf("unknown network %v", n)
}

// asapAnnounces is RSPLIB's group for the announces of registrars to PEs and PUs. (RFC
// 5352 section 9 has 224.0.1.185 and ff0x::133.)
var asapAnnounces = netip.MustParseAddrPort("239.0.0.50:3863")

// enrpPresences is RSPLIB's group in which registrars find each other.
var enrpPresences = netip.MustParseAddrPort("239.0.0.51:9901")

// parseGroup reads "auto", "off" or the "address:port" of a multicast group, which is not valid if
// there is none.
func parseGroup(s string, auto netip.AddrPort) (netip.AddrPort, error) {
	switch s {
	case "auto":
		return auto, nil
	case "off":
		return netip.AddrPort{}, nil
	}
	group, err := netip.ParseAddrPort(s)
	if err == nil && (!group.Addr().IsMulticast() || group.Port() == 0) {
		err = errors.New("needs a multicast address and a port")
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("announce group %q: %w", s, err)
	}
	return group, nil
}

// joinGroup joins a multicast group where networks are: on this machine, or in memory.
func joinGroup(networks []transport.Network, cfg mcast.Config) (transport.Group, error) {
	if h, ok := networks[0].(*simnet.Host); ok {
		return h.Join(cfg.Group, cfg.SourcePort)
	}
	return mcast.Join(cfg)
}
