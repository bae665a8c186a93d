package rsp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// registrarTable is the registrars that an Endpoint knows (RFC 5352 section 3.6:
// "each PU and PE MUST have a configured list of transport addresses of ENRP
// servers"). It belongs to the owner of the Endpoint's loop.
type registrarTable struct {
	static []protocol.TransportAddr
}

// newRegistrarTable looks the configured registrars up, for each transport that the
// Endpoint may reach them by. A name that is not known is an error only if no other
// registrar is left.
func newRegistrarTable(ctx context.Context, addresses []string, networks []transport.Network) (*registrarTable, error) {
	t := &registrarTable{}
	var errs []error
	for _, address := range addresses {
		to, err := lookupAddr(ctx, 0, address)
		if err == nil && (to.Port == 0 || len(to.Addrs) == 0) {
			err = errors.New("needs a host and a port")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("registrar %q: %w", address, err))
			continue
		}
		// A name's addresses need not be one host's, so that each is a candidate of its own.
		for _, a := range to.Addrs {
			for _, n := range networks {
				t.static = append(t.static, protocol.TransportAddr{
					Protocol: n.Protocol(), Port: to.Port, Addrs: []netip.Addr{a},
				})
			}
		}
	}
	if len(t.static) == 0 {
		return nil, errors.Join(errs...)
	}
	return t, nil
}

// candidates lists the registrars that a hunt may try.
func (t *registrarTable) candidates(time.Time) []protocol.TransportAddr { return t.static }
