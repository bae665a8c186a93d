package enrp

import (
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// sent is one of each message that an Engine sends, so that sending allocates nothing.
type sent struct {
	presence      wire.Presence
	tableRequest  wire.HandleTableRequest
	tableResponse wire.HandleTableResponse
	update        wire.HandleUpdate
	listRequest   wire.ListRequest
	listResponse  wire.ListResponse
	initTakeover  wire.InitTakeover
	ack           wire.InitTakeoverAck
	takeover      wire.TakeoverServer
	err           wire.ENRPError
	cause         [1]wire.ErrorCause
}

// receiver is the identifier of who hears l, 0 as long as that is unknown.
func (l *link[V]) receiver() protocol.RegistrarID {
	if l.known {
		return l.peer.id
	}
	return 0
}

func (e *Engine[V]) send(l *link[V], m wire.Message) {
	e.effects.Send(l.id, protocol.PPIDENRP, m)
}

// sendPresence sends our PRESENCE over one association. It names the addresses of
// the association, since those are the ones that its other end has seen.
func (e *Engine[V]) sendPresence(l *link[V], replyRequired bool) {
	addrs := e.usable(l.local.Addrs, l.local.Addrs)
	if len(addrs) == 0 {
		addrs = e.own.Addrs
	}
	e.fillPresence(l.receiver(), replyRequired)
	e.sent.presence.Server.Transport.Addrs = addrs
	e.stats.PresencesSent++
	e.send(l, &e.sent.presence)
}

// announce sends our PRESENCE to the group.
func (e *Engine[V]) announce(replyRequired bool) {
	if e.multicast {
		e.fillPresence(0, replyRequired)
		e.effects.Announce(protocol.PPIDENRP, &e.sent.presence)
	}
}

func (e *Engine[V]) fillPresence(receiver protocol.RegistrarID, replyRequired bool) {
	e.sent.presence = wire.Presence{
		ReplyRequired: replyRequired,
		Sender:        e.cfg.ID,
		Receiver:      receiver,
		HasChecksum:   true,
		Checksum:      e.space.Checksum(e.cfg.ID),
		Server:        wire.ServerInformation{ID: e.cfg.ID, Transport: e.own},
	}
}

// greet asks for the PRESENCE of whoever is at the other end.
func (e *Engine[V]) greet(l *link[V]) {
	l.greeted = true
	e.sendPresence(l, true)
}

// maxCauseData is the longest offending parameter that is sent back. Longer ones are left
// out, since nobody shall have us repeat 64 KiB.
const maxCauseData = 1 << 10

// sendError reports an error in a message of sender. RSPLIB leaves the identifiers as
// they were in the message; here the sender is who sends.
func (e *Engine[V]) sendError(l *link[V], sender protocol.RegistrarID, cause protocol.Cause, data []byte) {
	if len(data) > maxCauseData {
		data = nil
	}
	e.sent.cause[0] = wire.ErrorCause{Code: cause, Data: data}
	e.sent.err = wire.ENRPError{Sender: e.cfg.ID, Receiver: sender, Causes: e.sent.cause[:]}
	e.send(l, &e.sent.err)
}
