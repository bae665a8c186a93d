package asap

import (
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// StartAnnouncing makes the registrar known to the group of PEs and PUs, now and at every
// ServerAnnounceCycle (RFC 5352 section 3.6, T6-Serverannounce). Like RSPLIB it names no
// address: its port is that which the announcement comes from.
func (h *Home) StartAnnouncing(now time.Time) { h.announce(now) }

func (h *Home) announce(now time.Time) {
	h.t6Serverannounce = now.Add(h.spread(h.cfg.ServerAnnounceCycle))
	h.effects.Announce(protocol.PPIDASAP, &wire.ServerAnnounce{Registrar: h.cfg.ID})
}
