package enrp

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// link is an association with another registrar, or one that is being dialed. There may be
// two to the same peer, when both have dialed: each side sends over one, and hears both.
type link[V any] struct {
	id       effect.AssocID
	local    protocol.TransportAddr
	remote   protocol.TransportAddr
	up       bool
	seed     *seed[V]  // that we have dialed; nil otherwise
	peer     *peer[V]  // that we have dialed or, once it is known, that speaks; nil: a stranger
	known    bool      // peer has told its identifier here
	greeted  bool      // we have asked for its PRESENCE
	proving  bool      // we have dialed it to learn whether it is a registrar
	deadline time.Time // by when it must be known

	malformed int // errors reported since its last good message
}

const (
	// maxStrangers is how many associations may be of unknown registrars at a time.
	maxStrangers = 256
	// maxLinks is how many associations one peer may have with us: we have one, it has one, and each may
	// have lost one without knowing it yet.
	maxLinks = 8
	// maxMalformed is how many errors are reported to a peer that sends no good message
	// between them, before its association is aborted.
	maxMalformed = 64
)

// HandleUp takes note of a new association. One that we have dialed is greeted; who has
// dialed us greets first.
func (e *Engine[V]) HandleUp(now time.Time, id effect.AssocID, local, remote protocol.TransportAddr) {
	l := e.links[id]
	if l == nil {
		if len(e.strangers) >= maxStrangers {
			e.effects.Abort(id)
			return
		}
		l = &link[V]{id: id}
		e.addStranger(now, l)
	}
	l.local, l.remote, l.up = local.Clone(), remote.Clone(), true
	switch {
	case l.peer != nil && l.peer.link != l, l.seed != nil && l.seed.peer != nil:
		e.close(l) // who was dialed has dialed us meanwhile
	case l.peer != nil || l.seed != nil || l.proving:
		e.greet(l)
	}
}

// addStranger keeps a link whose peer is still to tell its identifier.
func (e *Engine[V]) addStranger(now time.Time, l *link[V]) {
	l.deadline = now.Add(e.cfg.PeerMaxTimeNoResponse)
	e.strangers = append(e.strangers, l)
	e.links[l.id] = l
}

// dial opens an association.
func (e *Engine[V]) dial(now time.Time, to protocol.TransportAddr) *link[V] {
	l := &link[V]{id: e.effects.Dial(to, protocol.PPIDENRP)}
	e.addStranger(now, l)
	return l
}

// HandleLost follows the end of an association, or a dial that failed.
func (e *Engine[V]) HandleLost(now time.Time, id effect.AssocID, err error) {
	l := e.links[id]
	if l == nil {
		return
	}
	e.forget(l)
	if l.peer != nil {
		e.linkLost(now, l.peer, l, refused(err))
	}
	e.lookForMentor(now)
}

// refused reports whether nobody serves where we have dialed, in contrast to a
// network that is cut.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// giveUpStranger ends an association whose peer has not told who it is.
func (e *Engine[V]) giveUpStranger(now time.Time, l *link[V]) {
	e.effects.Abort(l.id)
	e.HandleLost(now, l.id, nil)
}

// close ends an association that is not needed any more.
func (e *Engine[V]) close(l *link[V]) {
	e.forget(l)
	e.effects.Close(l.id)
}

func (e *Engine[V]) forget(l *link[V]) {
	delete(e.links, l.id)
	if l.seed != nil {
		l.seed.link = nil
	}
	if i := slices.Index(e.strangers, l); i >= 0 {
		e.strangers = slices.Delete(e.strangers, i, i+1)
	}
}

// HandleMessage acts on a message of another registrar.
func (e *Engine[V]) HandleMessage(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte) {
	l := e.links[id]
	if l == nil {
		return
	}
	if ppid != protocol.PPIDENRP {
		e.handleWrongPPID(now, l, ppid)
		return
	}
	m, err := e.decoder.ENRP(data)
	if err != nil {
		e.handleMalformed(now, l, data, err)
		return
	}
	l.malformed = 0
	e.handle(now, l, m)
	if skipped := e.decoder.Unrecognized(); len(skipped) > 0 && e.links[id] == l {
		e.sendError(l, senderOf(data), protocol.CauseUnrecognizedParameter, skipped[0])
	}
}

func (e *Engine[V]) handle(now time.Time, l *link[V], m wire.Message) {
	switch m := m.(type) {
	case *wire.Presence:
		e.handlePresence(now, l, m)
	case *wire.HandleTableRequest:
		if p, ok := e.speaker(now, l, m.Sender); ok {
			e.handleTableRequest(now, l, p, m)
		}
	case *wire.HandleTableResponse:
		if p, ok := e.speaker(now, l, m.Sender); ok {
			e.handleTableResponse(now, p, m)
		}
	case *wire.HandleUpdate:
		if p, ok := e.speaker(now, l, m.Sender); ok {
			e.handleUpdate(now, p, m)
		}
	case *wire.ListRequest:
		if _, ok := e.speaker(now, l, m.Sender); ok {
			e.handleListRequest(l, m.Sender)
		}
	case *wire.ListResponse:
		if p, ok := e.speaker(now, l, m.Sender); ok {
			e.handleListResponse(now, p, m)
		}
	case *wire.InitTakeover:
		if _, ok := e.speaker(now, l, m.Sender); ok {
			e.handleInitTakeover(now, l, m)
		}
	case *wire.InitTakeoverAck:
		if p, ok := e.speaker(now, l, m.Sender); ok {
			e.handleInitTakeoverAck(now, p, m)
		}
	case *wire.TakeoverServer:
		if p, ok := e.speaker(now, l, m.Sender); ok {
			e.handleTakeoverServer(now, p, m)
		}
	default: // ENRP_ERROR
		e.stats.Ignored++
	}
}

// speaker returns who sent a message other than a PRESENCE, nil if it has not told us more
// than its identifier: "If a message of any type is received from a previously unknown
// peer, ... The ENRP server MUST send an ENRP_PRESENCE message with the Reply-required
// flag set to '1'" (RFC 5353 section 3.4.1). It is false for messages that nobody shall
// act on.
func (e *Engine[V]) speaker(now time.Time, l *link[V], sender protocol.RegistrarID) (*peer[V], bool) {
	switch {
	case sender == e.cfg.ID:
		e.stats.Collisions++
		return nil, false
	case sender == 0, l.known && l.peer.id != sender:
		e.stats.Ignored++
		return nil, false
	case l.known:
		e.heard(now, l.peer)
		return l.peer, true
	}
	if !l.greeted {
		e.greet(l)
	}
	return nil, true
}

// handleWrongPPID follows RSPLIB: ASAP on an ENRP association is fatal to it, anything
// else is passed over.
func (e *Engine[V]) handleWrongPPID(now time.Time, l *link[V], ppid protocol.PPID) {
	e.stats.WrongPPIDs++
	if ppid == protocol.PPIDASAP {
		e.abort(now, l)
	}
}

// HandleRefused ends the association with who must not be a registrar here.
func (e *Engine[V]) HandleRefused(now time.Time, id effect.AssocID) {
	if l := e.links[id]; l != nil {
		e.stats.Unauthorized++
		e.abort(now, l)
	}
}

// abort ends an association as its peer does not deserve better.
func (e *Engine[V]) abort(now time.Time, l *link[V]) {
	e.effects.Abort(l.id)
	e.HandleLost(now, l.id, nil)
}

// handleMalformed reports what is wrong with a message to its sender, if anything is to be
// reported. ENRP_ERROR is never answered, lest two registrars quarrel for ever.
func (e *Engine[V]) handleMalformed(now time.Time, l *link[V], data []byte, err error) {
	e.stats.Malformed++
	const errorType = 0x0a
	parseErr, ok := errors.AsType[*wire.ParseError](err)
	if !ok || parseErr.Silent || len(data) > 0 && data[0] == errorType {
		return
	}
	if l.malformed++; l.malformed > maxMalformed {
		e.abort(now, l)
		return
	}
	e.sendError(l, senderOf(data), parseErr.Cause, parseErr.Data)
}

// senderOf returns the identifier of the sender of a message that may not be one.
func senderOf(data []byte) protocol.RegistrarID {
	if len(data) < 8 {
		return 0
	}
	return protocol.RegistrarID(uint32(data[4])<<24 | uint32(data[5])<<16 | uint32(data[6])<<8 | uint32(data[7]))
}

// usable returns the addresses at which a peer can be reached whose association proves the given
// ones. RSPLIB also advertises others.
func (e *Engine[V]) usable(told, proven []netip.Addr) []netip.Addr {
	return protocol.AppendUsable(nil, told, proven, e.cfg.MinAddressScope)
}
