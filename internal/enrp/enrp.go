// Package enrp is a registrar's half of ENRP (RFC 5353) as a pure engine: it keeps the
// handlespaces of all registrars of an operation scope the same, and takes over the PEs of
// those that die.
//
// A start with a mentor (section 3.2):
//
//	new registrar                                   its peers
//	 |-- dial each static peer, or PRESENCE to the group -->|
//	 |== association is up ================================ | the first one is the mentor
//	 |-- PRESENCE (reply required), LIST_REQUEST, --------->|
//	 |   HANDLE_TABLE_REQUEST                               |
//	 |<- PRESENCE, LIST_RESPONSE: further peers are dialed -|
//	 |<- HANDLE_TABLE_RESPONSE, more to send ---------------|
//	 |-- HANDLE_TABLE_REQUEST ----------------------------->| until nothing is left to send:
//	 |   Serving                                            | the registrar begins its service
//
// Afterwards each registrar says of the PEs that it is the home of, and of no others, what
// becomes of them: by HANDLE_UPDATE at once, and by the checksum of its PRESENCE, so that
// a peer that has missed something asks for all of them (audit.go). A registrar that dies:
//
//	target        initiating registrar                another peer
//	 X             | its association ends               |
//	               | PRESENCE over a new one: refused   |
//	               |-- INIT_TAKEOVER(target) ---------->|
//	               |<- INIT_TAKEOVER_ACK ---------------|
//	               |-- TAKEOVER_SERVER(target) -------->| the target's PEs have a new home
//	               | Adopt: visits each PE              |
//	               |-- HANDLE_UPDATE, as each answers ->|
//
// # One home per PE
//
// All tables become the same once every registrar reaches every other one, for these
// reasons. A peer's copy of the PEs with home X follows X alone: updates, deletions and
// audits by X, and what a takeover of X does. So two registrars can only differ for ever over
// a PE that two of them call their own, as when both sides of a network that was cut have
// taken it over. Then the PE's association decides, because a PE accepts one home and ends its
// association with any other one. Who has it keeps the PE whatever the others say. Who
// does not have it, because its visit to the PE is still under way, gives the PE up to a lower
// identifier that claims it, and never both to each other; else the visit makes the PE
// decide. And whose association ends removes the PE, and learns of its home by the next audit. A deletion by one that is not the PE's home any more is ignored, so that
// the loser's farewell does not hit the winner.
package enrp

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// Config tunes an Engine. Every field must be set, but Proven.
type Config struct {
	ID   protocol.RegistrarID // never 0
	Rand *rand.Rand           // varies the times between heartbeats

	PeerHeartbeatCycle      time.Duration  // between two PRESENCEs to all peers, give or take an eighth
	PeerMaxTimeLastHeard    time.Duration  // silence after which a peer is asked for a sign of life
	PeerMaxTimeNoResponse   time.Duration  // how long a peer may take to answer a request
	MentorDiscoveryTimeout  time.Duration  // how long a new registrar looks for a mentor
	TakeoverExpiryInterval  time.Duration  // how long other peers may take to acknowledge a takeover
	MaxElementsPerHTRequest int            // PEs in one HANDLE_TABLE_RESPONSE
	MinAddressScope         protocol.Scope // of a peer's addresses
	MaxElements             int            // how many PEs the handlespace may have, foreign ones included
	MaxPeers                int            // how many peers are known at a time

	// Proven says that an association proves a registrar, as TLS does, and that the group's datagrams prove nothing.
	Proven bool
	// Distance is how far the other end of an association is, in milliseconds. It is asked for
	// PEs of policies that count it.
	Distance func(effect.AssocID) uint32
}

// Owner is what the engine has done by the registrar's other half, which knows the PEs.
// Neither function may call the engine.
type Owner[V any] struct {
	// Adopt: el is ours since now, by a takeover. It is to be visited with the H bit
	// (RFC 5353 section 3.5.2); once it answers, Registered is called, if not, Removed.
	Adopt func(now time.Time, el *handlespace.Element[V])
	// Release: el was ours and has another home now. It is not watched any more.
	Release func(el *handlespace.Element[V])
}

// Stats counts what an Engine has done since its start.
type Stats struct {
	PresencesSent    uint64 // over associations
	PresencesHeard   uint64 // over associations and from the group
	UpdatesSent      uint64
	UpdatesHeard     uint64
	UpdatesIgnored   uint64 // deletions by others than the home, additions of our own PEs
	TablesServed     uint64 // HANDLE_TABLE_RESPONSEs that were not rejections
	Audits           uint64 // checksums that differed, so that a peer's PEs were asked for
	TakeoversStarted uint64
	TakeoversWon     uint64
	ElementsTaken    uint64 // PEs adopted by takeovers and hand-overs
	Expired          uint64 // PEs of others that were not renewed within their life
	Refused          uint64 // PEs of others that do not fit into their pool, or are too many
	Collisions       uint64 // messages from others with our identifier
	Unauthorized     uint64 // associations with others than registrars of ours
	Malformed        uint64 // messages that could not be read
	Ignored          uint64 // messages that have no meaning here
	WrongPPIDs       uint64 // messages that are not ENRP's
}

// Events that the engine tells.
type (
	// Serving: the handlespace is there; the registrar may announce itself.
	Serving struct {
		Mentor protocol.RegistrarID // that it came from; 0: there was none
	}
	// PeerUp: a peer has shown itself.
	PeerUp struct {
		ID   protocol.RegistrarID
		Addr protocol.TransportAddr
	}
	// PeerLost: a peer is gone from the list.
	PeerLost struct{ ID protocol.RegistrarID }
	// TakenOver: a peer's PEs have a new home.
	TakenOver struct {
		Target, By protocol.RegistrarID
		Elements   int
	}
	// HandedOver: HandOver has come to an end.
	HandedOver struct{ Left int } // PEs that nobody has taken
)

// Engine is a registrar's half of ENRP. It works on the handlespace that it is given and
// queues what is to be done; the registrar calls it. V is of no concern to it.
type Engine[V any] struct {
	cfg     Config
	owner   Owner[V]
	space   *handlespace.Space[V]
	effects *effect.Queue
	stats   Stats
	decoder wire.Decoder

	own       protocol.TransportAddr // where peers reach us
	multicast bool
	heartbeat time.Time // when the next one is due; zero before Start

	peers     []*peer[V] // by ascending identifier
	seeds     []*seed[V]
	links     map[effect.AssocID]*link[V]
	strangers []*link[V] // whose peer has not told its identifier, the earliest deadline first
	start     start[V]
	leases    leases[V]
	unvisited map[*handlespace.Element[V]]struct{} // ours by takeover, but not yet by their own word
	handOver  handOver

	// Memory that is used again for every PE and every message.
	param        []byte
	pageEntries  []wire.PoolEntry
	pageElements []protocol.PoolElement
	sent         sent
}

// New returns an engine that works on space, and whose effects go to effects. It does
// nothing before Start.
func New[V any](cfg Config, owner Owner[V], space *handlespace.Space[V], effects *effect.Queue) *Engine[V] {
	return &Engine[V]{
		cfg:       cfg,
		owner:     owner,
		space:     space,
		effects:   effects,
		links:     make(map[effect.AssocID]*link[V]),
		leases:    newLeases[V](),
		unvisited: make(map[*handlespace.Element[V]]struct{}),

		pageElements: make([]protocol.PoolElement, 0, cfg.MaxElementsPerHTRequest),
	}
}

// Stats returns the counters.
func (e *Engine[V]) Stats() Stats { return e.stats }

// Deadline is when Advance has something to do; zero: never.
func (e *Engine[V]) Deadline() time.Time {
	d := effect.Earliest(e.heartbeat, e.start.deadline)
	d = effect.Earliest(d, e.handOver.deadline)
	d = effect.Earliest(d, e.leases.deadline())
	if len(e.strangers) > 0 {
		d = effect.Earliest(d, e.strangers[0].deadline)
	}
	for _, p := range e.peers {
		d = effect.Earliest(d, p.deadline)
		d = effect.Earliest(d, p.sync.deadline)
	}
	return d
}

// due reports whether a deadline has come.
func due(deadline, now time.Time) bool { return !deadline.IsZero() && !deadline.After(now) }

// Advance does what is due.
func (e *Engine[V]) Advance(now time.Time) {
	e.expireLeases(now)
	for len(e.strangers) > 0 && due(e.strangers[0].deadline, now) {
		e.giveUpStranger(now, e.strangers[0])
	}
	for _, p := range slices.Clone(e.peers) {
		if e.peer(p.id) != p { // another's deadline was its end
			continue
		}
		if due(p.sync.deadline, now) {
			e.failSync(now, p)
		}
		if due(p.deadline, now) {
			e.peerExpired(now, p)
		}
	}
	if due(e.heartbeat, now) {
		e.beat(now)
	}
	if due(e.start.deadline, now) {
		e.discoveryExpired(now)
	}
	if due(e.handOver.deadline, now) {
		e.endHandOver()
	}
}

// spread varies an interval by an eighth to either side, as RSPLIB varies its timers, so that
// registrars that started together do not stay together.
func (e *Engine[V]) spread(interval time.Duration) time.Duration {
	return interval + time.Duration((e.cfg.Rand.Float64()-0.5)*float64(interval)/4)
}
