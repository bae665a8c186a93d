package csp

import (
	"net/netip"
	"os"
	"strings"

	"github.com/rserpool/rsp/internal/protocol"
)

// Location tells where a component is as RSPLIB does: "host: 10.0.0.1:3863, 10.0.1.1", those of its addresses
// that reach farthest. port is 0 if it has none.
func Location(addrs []netip.Addr, port uint16) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "(none)" // what Linux says of a machine without a name
	}
	best := protocol.ScopeUnspecified
	for _, a := range addrs {
		best = max(best, protocol.ScopeOf(a))
	}
	var list []string
	for _, a := range addrs {
		a = a.Unmap()
		switch {
		case best == protocol.ScopeUnspecified || protocol.ScopeOf(a) != best:
		case len(list) == 0 && port != 0:
			list = append(list, netip.AddrPortFrom(a, port).String())
		default:
			list = append(list, a.String())
		}
	}
	if len(list) == 0 {
		return host
	}
	return host + ": " + strings.Join(list, ", ")
}
