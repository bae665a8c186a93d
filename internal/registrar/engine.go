// Package registrar is a registrar as a pure engine: one handlespace, and the protocols
// that work on it.
//
// The life of a PE, as the registrar sees it (RFC 5352 section 3):
//
//	PE                          registrar                              PU
//	 |-- REGISTRATION ----------->| the pool is there, or begins: the PE |
//	 |<-- REGISTRATION_RESPONSE --| is ours, over this association       |
//	 |                            |<------------------ HANDLE_RESOLUTION --|
//	 |                            |-- .._RESPONSE: PEs by the policy ---->|
//	 |<- ENDPOINT_KEEP_ALIVE -----| it was quiet for 5 s                  |
//	 |-- .._ACK ----------------->|                                       |
//	 |-- REGISTRATION ----------->| a new load; the PE's place changes    |
//	 |                            |<--------------- ENDPOINT_UNREACHABLE --|
//	 |<- ENDPOINT_KEEP_ALIVE -----| is it so? Once it answers, it stays,  |
//	 |-- .._ACK ----------------->| but the third report ends it          |
//	 |-- DEREGISTRATION --------->| the PE is gone, and with its last PE  |
//	 |<-- .._RESPONSE ------------| the pool                              |
//
// A PE also goes when its association ends, or when it answers no keep-alive for 5 s.
package registrar

import (
	"net/netip"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/enrp"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
)

// Config tunes an Engine. Every field but Rules must be set; the two halves have one identifier.
type Config struct {
	Home         asap.HomeConfig // its Rand drives random policies, too
	ENRP         enrp.Config
	MaxIncrement int                                      // see handlespace.Options
	Rules        map[protocol.PolicyType]handlespace.Rule // likewise
}

// Change is an event that the engine tells: a PE has come, changed or gone. Its Element
// may be read under the loop's lock only. Beside it the engine tells package enrp's events.
type Change = handlespace.Change[asap.Watch]

// Engine is the registrar: its ASAP half, which knows the PEs, and its ENRP half, which knows
// the peers, on one handlespace. It implements loop.Engine.
//
//	            registered, removed
//	asap.Home ─────────────────────▶ enrp.Engine
//	          ◀─────────────────────
//	            adopt, release
type Engine struct {
	// Trace, if set, is told of each message that comes or goes. It must not call the Engine.
	Trace func(now time.Time, m Traced)

	effects effect.Queue
	space   *asap.Space
	home    *asap.Home
	enrp    *enrp.Engine[asap.Watch]

	now        time.Time // of the call under way
	announcing bool
}

// Traced is a message that comes or goes.
type Traced struct {
	Sent      bool // else it has come
	Multicast bool
	PPID      protocol.PPID
	Data      []byte // valid during the call only
}

func (e *Engine) trace(m Traced) {
	if e.Trace != nil {
		e.Trace(e.now, m)
	}
}

// New returns a registrar with an empty handlespace, which does nothing before Start.
func New(cfg Config) *Engine {
	e := &Engine{}
	e.space = handlespace.New[asap.Watch](handlespace.Options{
		MaxIncrement: cfg.MaxIncrement,
		Rand:         cfg.Home.Rand,
		Rules:        cfg.Rules,
	})
	e.space.OnChange = e.handleChange
	e.home = asap.NewHome(cfg.Home, e.space, &e.effects)
	e.enrp = enrp.New(cfg.ENRP, enrp.Owner[asap.Watch]{Adopt: e.home.Adopt, Release: e.home.Release}, e.space, &e.effects)
	e.home.Registered = e.enrp.Registered
	return e
}

// handleChange tells of a change, and peers of the end of a PE; of what registers they are told
// whether it is a change or not.
func (e *Engine) handleChange(c Change) {
	e.effects.Tell(c)
	if c.Kind == handlespace.Removed {
		e.enrp.Removed(e.now, c.Element)
	}
}

// Start begins the registrar's life in its operation scope; peers reach it at own. multicast says
// whether there is a group of registrars.
func (e *Engine) Start(now time.Time, own protocol.TransportAddr, multicast bool) {
	e.enter(now)
	defer e.leave()
	e.enrp.Start(now, own, multicast)
}

// AddPeer names a peer that the configuration knows.
func (e *Engine) AddPeer(now time.Time, addr protocol.TransportAddr) {
	e.enter(now)
	defer e.leave()
	e.enrp.AddPeer(now, addr)
}

// RemovePeer takes back a peer that it does not know any more.
func (e *Engine) RemovePeer(now time.Time, addr protocol.TransportAddr) {
	e.enter(now)
	defer e.leave()
	e.enrp.RemovePeer(now, addr)
}

// HandOver hands all PEs to a peer, see enrp.Engine.
func (e *Engine) HandOver(now time.Time) {
	e.enter(now)
	defer e.leave()
	e.enrp.HandOver(now, 0)
}

// enter begins a call.
func (e *Engine) enter(now time.Time) { e.now = now }

// leave ends a call: the registrar announces itself to PEs and PUs once its handlespace is
// there (RFC 5353 section 3.2).
func (e *Engine) leave() {
	if !e.announcing && e.enrp.Serving() {
		e.announcing = true
		e.home.StartAnnouncing(e.now)
	}
}

// Serving reports whether the handlespace is there.
func (e *Engine) Serving() bool { return e.enrp.Serving() }

// Space is the handlespace. The caller changes nothing in it.
func (e *Engine) Space() *asap.Space { return e.space }

// Stats returns the counters of the ASAP half.
func (e *Engine) Stats() asap.HomeStats { return e.home.Stats() }

// PeerStats returns the counters of the ENRP half.
func (e *Engine) PeerStats() enrp.Stats { return e.enrp.Stats() }

// Peers lists the peers.
func (e *Engine) Peers() []enrp.Peer { return e.enrp.Peers() }

// HandleUp implements loop.Engine.
func (e *Engine) HandleUp(now time.Time, id effect.AssocID, service protocol.PPID, local, remote protocol.TransportAddr) {
	e.enter(now)
	defer e.leave()
	if service == protocol.PPIDENRP {
		e.enrp.HandleUp(now, id, local, remote)
	} else {
		e.home.HandleUp(now, id, service, local, remote)
	}
}

// HandleMessage implements loop.Engine.
func (e *Engine) HandleMessage(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte) {
	e.enter(now)
	defer e.leave()
	e.trace(Traced{PPID: ppid, Data: data})
	if e.home.Knows(id) {
		e.home.HandleMessage(now, id, ppid, data)
	} else {
		e.enrp.HandleMessage(now, id, ppid, data)
	}
}

// HandleRefused implements loop.Refuser: a PE or PU is told, a registrar is left.
func (e *Engine) HandleRefused(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte) {
	e.enter(now)
	defer e.leave()
	e.trace(Traced{PPID: ppid, Data: data})
	if e.home.Knows(id) {
		e.home.HandleRefused(now, id, data)
	} else {
		e.enrp.HandleRefused(now, id)
	}
}

// HandleLost implements loop.Engine.
func (e *Engine) HandleLost(now time.Time, id effect.AssocID, err error) {
	e.enter(now)
	defer e.leave()
	if e.home.Knows(id) {
		e.home.HandleLost(now, id, err)
	} else {
		e.enrp.HandleLost(now, id, err)
	}
}

// HandleDatagram implements loop.Engine. Announces of other registrars are for those who
// look for one.
func (e *Engine) HandleDatagram(now time.Time, service protocol.PPID, from netip.AddrPort, data []byte) {
	e.enter(now)
	defer e.leave()
	if service == protocol.PPIDENRP {
		e.trace(Traced{Multicast: true, PPID: service, Data: data})
		e.enrp.HandleDatagram(now, from, data)
	}
}

// Advance implements loop.Engine.
func (e *Engine) Advance(now time.Time) {
	e.enter(now)
	defer e.leave()
	e.home.Advance(now)
	e.enrp.Advance(now)
}

// Deadline implements loop.Engine.
func (e *Engine) Deadline() time.Time {
	return effect.Earliest(e.home.Deadline(), e.enrp.Deadline())
}

// Next implements loop.Engine.
func (e *Engine) Next() (effect.Effect, bool) {
	f, ok := e.effects.Next()
	if ok && (f.Kind == effect.Send || f.Kind == effect.Announce) {
		e.trace(Traced{Sent: true, Multicast: f.Kind == effect.Announce, PPID: f.PPID, Data: f.Data})
	}
	return f, ok
}
