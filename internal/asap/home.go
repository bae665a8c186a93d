package asap

import (
	"container/list"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// HomeConfig tunes a Home. Every field must be set.
type HomeConfig struct {
	ID   protocol.RegistrarID // never 0
	Rand *rand.Rand           // varies the times between keep-alives

	EndpointKeepAliveTransmissionInterval time.Duration  // how long a PE is quiet before it is asked for a sign of life, give or take an eighth
	EndpointKeepAliveTimeoutInterval      time.Duration  // how long it has to answer
	MaxBadPEReports                       int            // which report of a PE as unreachable ends its registration
	MaxHResItems                          int            // how many PEs an answer lists where the PU names no number
	MinAddressScope                       protocol.Scope // of a PE's addresses
	MaxElements                           int            // how many PEs may be registered
	MaxClientAssociations                 int            // of one client; 0: unlimited
	MaxClientElements                     int            // registered by one client; 0: unlimited
	MaxHRRate, MaxEURate                  float64        // resolutions and failure reports a second of one association; 0: unlimited
	AutoClose                             time.Duration  // after which silence an association without a PE is closed
	ServerAnnounceCycle                   time.Duration  // between announcements, give or take an eighth

	// Owner is who is at the other end of an association, by its certificate; "" without TLS.
	Owner func(effect.AssocID) string
	// Distance is how far the other end of an association is, in milliseconds. It is asked for
	// PEs of policies that count it.
	Distance func(effect.AssocID) uint32
}

// HomeStats counts what a Home has done since its start.
type HomeStats struct {
	Registrations   uint64 // of new PEs, accepted
	Reregistrations uint64 // of known PEs, accepted
	Rejections      uint64 // of either
	Deregistrations uint64 // answered, of unknown PEs too
	Resolutions     uint64 // answered, well or not
	UnknownPools    uint64 // resolutions of pools that are not there
	FailureReports  uint64 // ENDPOINT_UNREACHABLE about known PEs
	KeepAlives      uint64 // sent
	KeepAliveAcks   uint64 // received in time
	Lost            uint64 // PEs that were removed without having asked for it
	Refused         uint64 // resolutions and failure reports beyond MaxHRRate and MaxEURate, associations beyond MaxClientAssociations
	Unauthorized    uint64 // requests that were refused because of who asked
	Malformed       uint64 // messages that could not be read
	Ignored         uint64 // messages that are not for a registrar, or say nothing new
	WrongPPIDs      uint64 // messages that are not ASAP's
}

// Home is a registrar's half of ASAP (RFC 5352 section 3): it registers PEs, watches
// them, and answers resolutions. It is a pure engine: it works on the handlespace
// that it is given, and queues what is to be done. The registrar calls it; see
// loop.Engine for the calls.
type Home struct {
	// Registered, if set, is called whenever a PE has registered here, anew or again, or
	// has answered to being adopted: the peers are to be told (RFC 5353 section 3.3.1), before the PE
	// gets its answer. Set it before the first call.
	Registered func(now time.Time, el *Element)

	cfg     HomeConfig
	space   *Space
	effects *effect.Queue
	stats   HomeStats

	decoder   wire.Decoder
	assocs    map[effect.AssocID]*homeAssoc
	clients   map[clientKey]*client
	adoptions map[effect.AssocID]*adoption // being dialed
	idle      list.List                    // of *homeAssoc, the longest silent first

	t6Serverannounce time.Time // zero before StartAnnouncing

	watches watchQueue // of every PE registered here, the earliest deadline first

	// Memory that is used again for every answer.
	addrs    []netip.Addr
	param    []byte
	selected []*Element
	answers  answers
}

// Space is a registrar's handlespace. With each PE goes the Watch that its home
// keeps.
type Space = handlespace.Space[Watch]

// Element is a PE in a Space.
type Element = handlespace.Element[Watch]

// homeAssoc is an association with a PE or a PU; which one, only its messages tell.
type homeAssoc struct {
	id        effect.AssocID
	remote    protocol.TransportAddr
	owner     string // of the PEs that it registers
	client    *client
	elements  []*Element // registered over it; Watch.slot is the index
	lastHeard time.Time
	idle      *list.Element // its place in Home.idle
	malformed int           // errors reported since its last good message

	resolutions, reports rate
}

// maxMalformed is how many errors are reported to an association that sends no good
// message between them, before it is aborted.
const maxMalformed = 64

// NewHome returns the engine of a registrar's half of ASAP. It works on space, and its
// effects go to effects.
func NewHome(cfg HomeConfig, space *Space, effects *effect.Queue) *Home {
	return &Home{
		cfg:       cfg,
		space:     space,
		effects:   effects,
		assocs:    make(map[effect.AssocID]*homeAssoc),
		clients:   make(map[clientKey]*client),
		adoptions: make(map[effect.AssocID]*adoption),
	}
}

// Stats returns the counters.
func (h *Home) Stats() HomeStats { return h.stats }

// HandleUp takes note of a new association.
func (h *Home) HandleUp(now time.Time, id effect.AssocID, _ protocol.PPID, _, remote protocol.TransportAddr) {
	owner := h.cfg.Owner(id)
	client := h.admit(id, owner, remote)
	if client == nil {
		h.stats.Refused++
		h.effects.Abort(id)
		return
	}
	a := &homeAssoc{id: id, remote: remote, owner: owner, client: client, lastHeard: now}
	a.idle = h.idle.PushBack(a)
	h.assocs[id] = a
	if visited := h.adoptions[id]; visited != nil {
		h.visit(now, a, visited)
	}
}

// Knows reports whether an association, or one being dialed, is the Home's.
func (h *Home) Knows(id effect.AssocID) bool {
	return h.assocs[id] != nil || h.adoptions[id] != nil
}

// HandleLost removes every PE that was registered over an association which has
// ended: RSPLIB does so at once, however it ended.
func (h *Home) HandleLost(_ time.Time, id effect.AssocID, _ error) {
	if a := h.assocs[id]; a != nil {
		h.forget(a)
	} else if h.adoptions[id] != nil {
		h.failVisit(id)
	}
}

// HandleMessage acts on a message of a PE or PU, and answers it.
func (h *Home) HandleMessage(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte) {
	a := h.assocs[id]
	if a == nil {
		return
	}
	h.heard(now, a)
	if ppid != protocol.PPIDASAP {
		h.handleWrongPPID(a, ppid)
		return
	}
	m, err := h.decoder.ASAP(data)
	if err != nil {
		h.handleMalformed(a, data, err)
		return
	}
	a.malformed = 0
	h.handle(now, a, m)
	h.reportUnrecognized(a)
}

func (h *Home) handle(now time.Time, a *homeAssoc, m wire.Message) {
	switch m := m.(type) {
	case *wire.Registration:
		h.handleRegistration(now, a, m)
	case *wire.Deregistration:
		h.handleDeregistration(now, a, m)
	case *wire.HandleResolution:
		h.handleResolution(now, a, m)
	case *wire.EndpointKeepAliveAck:
		h.handleKeepAliveAck(now, a, m)
	case *wire.EndpointUnreachable:
		h.handleUnreachable(now, a, m)
	default:
		// What registrars send, what sessions carry, and ASAP_ERROR.
		h.stats.Ignored++
	}
}

// handleMalformed reports what is wrong with a message to its sender, if anything is
// to be reported. ASAP_ERROR is never answered, lest two endpoints quarrel for ever.
func (h *Home) handleMalformed(a *homeAssoc, data []byte, err error) {
	h.stats.Malformed++
	const errorType = 0x0e
	parseErr, ok := errors.AsType[*wire.ParseError](err)
	if !ok || parseErr.Silent || len(data) > 0 && data[0] == errorType {
		return
	}
	if a.malformed++; a.malformed > maxMalformed {
		h.abort(a)
		return
	}
	h.sendError(a, parseErr.Cause, parseErr.Data)
}

// reportUnrecognized tells the sender of the last message that a parameter of it was
// skipped, where that asks for it (RFC 5354 section 3). Only the first is told: one
// message shall not cost us thousands.
func (h *Home) reportUnrecognized(a *homeAssoc) {
	if skipped := h.decoder.Unrecognized(); len(skipped) > 0 {
		h.sendError(a, protocol.CauseUnrecognizedParameter, skipped[0])
	}
}

// maxCauseData is the longest offending parameter that is sent back. Longer ones are left
// out, since nobody shall have us repeat 64 KiB.
const maxCauseData = 1 << 10

func (h *Home) sendError(a *homeAssoc, cause protocol.Cause, data []byte) {
	if len(data) > maxCauseData {
		data = nil
	}
	h.answers.err = wire.ASAPError{Causes: h.causes(cause, data)}
	h.effects.Send(a.id, protocol.PPIDASAP, &h.answers.err)
}

// handleWrongPPID follows RSPLIB: ENRP on an ASAP association is fatal to it, anything
// else is passed over.
func (h *Home) handleWrongPPID(a *homeAssoc, ppid protocol.PPID) {
	h.stats.WrongPPIDs++
	if ppid == protocol.PPIDENRP {
		h.abort(a)
	}
}

// heard notes that an association is in use. The order of h.idle is that of
// lastHeard.
func (h *Home) heard(now time.Time, a *homeAssoc) {
	a.lastHeard = now
	h.idle.MoveToBack(a.idle)
}

// abort ends an association as its peer does not deserve better.
func (h *Home) abort(a *homeAssoc) {
	h.forget(a)
	h.effects.Abort(a.id)
}

// forget drops an association, and removes the PEs that were registered over it, but not those
// that go on over the association of a visit.
func (h *Home) forget(a *homeAssoc) {
	for len(a.elements) > 0 {
		el := a.elements[len(a.elements)-1]
		if v := el.Value.visited; v != nil && v != a && h.assocs[v.id] == v {
			h.attach(el, v)
			continue
		}
		h.lose(el, handlespace.AssociationLost)
	}
	h.idle.Remove(a.idle)
	delete(h.assocs, a.id)
	h.leave(a.client)
}

// Deadline is when Advance has something to do; zero: never.
func (h *Home) Deadline() time.Time {
	d := h.t6Serverannounce
	if len(h.watches) > 0 {
		d = effect.Earliest(d, h.watches[0].Value.deadline)
	}
	if front := h.idle.Front(); front != nil {
		d = effect.Earliest(d, front.Value.(*homeAssoc).lastHeard.Add(h.cfg.AutoClose))
	}
	return d
}

// Advance does what is due: announcements, keep-alives and their timeouts, and the end of
// idle associations.
func (h *Home) Advance(now time.Time) {
	if !h.t6Serverannounce.IsZero() && !h.t6Serverannounce.After(now) {
		h.announce(now)
	}
	for len(h.watches) > 0 && !h.watches[0].Value.deadline.After(now) {
		h.watchExpired(now, h.watches[0])
	}
	for front := h.idle.Front(); front != nil; front = h.idle.Front() {
		a := front.Value.(*homeAssoc)
		if a.lastHeard.Add(h.cfg.AutoClose).After(now) {
			return
		}
		if len(a.elements) > 0 { // its keep-alives decide
			h.heard(now, a)
			continue
		}
		h.forget(a)
		h.effects.Close(a.id)
	}
}
