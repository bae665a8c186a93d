package asap

import (
	"net/netip"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
)

// client is who has associations and PEs here, and how many.
type client struct {
	key                    clientKey
	associations, elements int
}

// clientKey is whose certificate it is or, without TLS, which host.
type clientKey struct {
	owner string
	host  netip.Addr
}

// admit counts another association, and returns whose it is; nil if he has enough. Those that we have opened
// ourselves are always welcome.
func (h *Home) admit(id effect.AssocID, owner string, remote protocol.TransportAddr) *client {
	key := clientKey{owner: owner}
	if owner == "" && len(remote.Addrs) > 0 {
		key.host = remote.Addrs[0].Unmap()
	}
	c := h.clients[key]
	if c == nil {
		c = &client{key: key}
		h.clients[key] = c
	}
	if limit := h.cfg.MaxClientAssociations; limit > 0 && c.associations >= limit && h.adoptions[id] == nil {
		return nil
	}
	c.associations++
	return c
}

// leave forgets an association that was counted.
func (h *Home) leave(c *client) {
	if c.associations--; c.associations == 0 {
		delete(h.clients, c.key)
	}
}

// full reports whether a client may register no further PE.
func (h *Home) full(c *client) bool {
	return h.cfg.MaxClientElements > 0 && c.elements >= h.cfg.MaxClientElements
}
