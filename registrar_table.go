package rsp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// registrarTable is the registrars that an Endpoint knows (RFC 5352 section 3.6: "Each
// PU and PE manages a list of transport addresses of ENRP servers it knows about"). It belongs to the
// owner of the Endpoint's loop.
type registrarTable struct {
	static    []protocol.TransportAddr // configured, by address or by name; one may be there several times
	wanted    []chan struct{}          // of one place; each has a name looked up
	announced []announcedRegistrar
	protocols []protocol.TransportProtocol   // that the Endpoint has, best first
	timeout   time.Duration                  // of T7-ENRPoutdate
	ids       map[netip.AddrPort]RegistrarID // of those that announce themselves, while they are known
}

// announcedRegistrar is an address from an announce, until it has not been announced for too long.
type announcedRegistrar struct {
	addr          protocol.TransportAddr
	t7ENRPoutdate time.Time
}

// maxAnnounced bounds the announced addresses. Anybody can announce anything: those that are
// known stay, and further ones wait until some are forgotten.
const maxAnnounced = 64

func newRegistrarTable(protocols []protocol.TransportProtocol, timeout time.Duration) *registrarTable {
	return &registrarTable{protocols: protocols, timeout: timeout, ids: make(map[netip.AddrPort]RegistrarID)}
}

// handleLookup takes what the lookup of a name has changed. It returns what is new, and gone, by all names.
func (t *registrarTable) handleLookup(added, gone []protocol.TransportAddr) (isNew, isGone []protocol.TransportAddr) {
	isNew = without(added, t.static)
	t.static = append(t.static, added...)
	for _, addr := range gone {
		if i := slices.IndexFunc(t.static, addr.Equal); i >= 0 {
			t.static = slices.Delete(t.static, i, i+1)
		}
	}
	return isNew, without(gone, t.static)
}

// candidates lists the registrars that a hunt may try, and has names looked up for its next ones.
func (t *registrarTable) candidates(now time.Time) []protocol.TransportAddr {
	for _, wanted := range t.wanted {
		select {
		case wanted <- struct{}{}:
		default: // it is under way
		}
	}
	t.forget(now)
	all := slices.Clone(t.static)
	for _, r := range t.announced {
		all = append(all, r.addr)
	}
	return unique(all)
}

// forget drops those whose T7-ENRPoutdate has expired.
func (t *registrarTable) forget(now time.Time) {
	t.announced = slices.DeleteFunc(t.announced, func(r announcedRegistrar) bool {
		expired := !r.t7ENRPoutdate.After(now)
		if expired {
			t.setID(r.addr, 0)
		}
		return expired
	})
}

// setID notes which registrar is at an address; 0: none.
func (t *registrarTable) setID(addr protocol.TransportAddr, id RegistrarID) {
	for _, at := range addrPorts(addr) {
		if id == 0 {
			delete(t.ids, at)
		} else {
			t.ids[at] = id
		}
	}
}

// id is that of the registrar at an address, as far as it has announced itself; else 0.
func (t *registrarTable) id(addr protocol.TransportAddr) RegistrarID {
	for _, at := range addrPorts(addr) {
		if id := t.ids[at]; id != 0 {
			return id
		}
	}
	return 0
}

// handleAnnounce starts T7-ENRPoutdate for each address of an announce. It returns those that are new.
func (t *registrarTable) handleAnnounce(now time.Time, m *wire.ServerAnnounce, from netip.AddrPort) (added []protocol.TransportAddr) {
	t.forget(now)
	for _, addr := range t.announcedBy(m, from) {
		i := slices.IndexFunc(t.announced, func(r announcedRegistrar) bool { return r.addr.Equal(addr) })
		switch {
		case slices.ContainsFunc(t.static, addr.Equal):
		case i >= 0:
			t.announced[i].t7ENRPoutdate = now.Add(t.timeout)
		case len(t.announced) < maxAnnounced:
			t.announced = append(t.announced, announcedRegistrar{addr, now.Add(t.timeout)})
			added = append(added, addr)
		default:
			continue
		}
		t.setID(addr, m.Registrar)
	}
	return added
}

// announcedBy lists the addresses of an announce that the Endpoint has a transport for. Without any
// in the message, it is the datagram's source: its port too, as RSPLIB's registrars mean it, where the RFC
// takes the well-known one. Over which transport, it does not say.
func (t *registrarTable) announcedBy(m *wire.ServerAnnounce, from netip.AddrPort) (usable []protocol.TransportAddr) {
	all := m.Transports
	if len(all) == 0 {
		all = overEach(t.protocols, from)
	}
	for _, to := range all {
		if to.Port == 0 || !slices.Contains(t.protocols, to.Protocol) {
			continue
		}
		addrs := slices.DeleteFunc(slices.Clone(to.Addrs), func(a netip.Addr) bool {
			return a.IsUnspecified() || a.IsMulticast()
		})
		if len(addrs) > 0 {
			usable = append(usable, protocol.TransportAddr{Protocol: to.Protocol, Port: to.Port, Addrs: addrs})
		}
	}
	return usable
}
