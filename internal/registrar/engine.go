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
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
)

// Config tunes an Engine. Every field must be set.
type Config struct {
	Home         asap.HomeConfig // its Rand drives random policies, too
	MaxIncrement int             // see handlespace.Options
}

// Change is an event that the engine tells: a PE has come, changed or gone. Its Element
// may be read under the loop's lock only.
type Change = handlespace.Change[asap.Watch]

// Engine is the registrar. It implements loop.Engine.
type Engine struct {
	effects effect.Queue
	space   *asap.Space
	home    *asap.Home
}

// New returns a registrar with an empty handlespace.
func New(cfg Config) *Engine {
	e := &Engine{}
	e.space = handlespace.New[asap.Watch](handlespace.Options{
		MaxIncrement: cfg.MaxIncrement,
		Rand:         cfg.Home.Rand,
	})
	e.space.OnChange = func(c Change) { e.effects.Tell(c) }
	e.home = asap.NewHome(cfg.Home, e.space, &e.effects)
	return e
}

// Space is the handlespace. The caller changes nothing in it.
func (e *Engine) Space() *asap.Space { return e.space }

// Stats returns the counters.
func (e *Engine) Stats() asap.HomeStats { return e.home.Stats() }

// HandleUp implements loop.Engine.
func (e *Engine) HandleUp(now time.Time, id effect.AssocID, service protocol.PPID, local, remote protocol.TransportAddr) {
	e.home.HandleUp(now, id, service, local, remote)
}

// HandleMessage implements loop.Engine.
func (e *Engine) HandleMessage(now time.Time, id effect.AssocID, ppid protocol.PPID, data []byte) {
	e.home.HandleMessage(now, id, ppid, data)
}

// HandleLost implements loop.Engine.
func (e *Engine) HandleLost(now time.Time, id effect.AssocID, err error) {
	e.home.HandleLost(now, id, err)
}

// HandleDatagram implements loop.Engine. Announces of other registrars are for those who
// look for one.
func (e *Engine) HandleDatagram(time.Time, protocol.PPID, netip.AddrPort, []byte) {}

// Advance implements loop.Engine.
func (e *Engine) Advance(now time.Time) { e.home.Advance(now) }

// Deadline implements loop.Engine.
func (e *Engine) Deadline() time.Time { return e.home.Deadline() }

// Next implements loop.Engine.
func (e *Engine) Next() (effect.Effect, bool) { return e.effects.Next() }
