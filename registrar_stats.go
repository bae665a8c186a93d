package rsp

import (
	"time"

	"github.com/rserpool/rsp/internal/registrar"
)

// RegistrarStats is what a Registrar has and what it has done since NewRegistrar.
type RegistrarStats struct {
	Pools         int
	Elements      int
	OwnedElements int // that it is the home of
	Peers         int // that have been heard of, and are not given up

	// The same on average over the time since NewRegistrar.
	AveragePools         float64
	AverageElements      float64
	AverageOwnedElements float64
	AveragePeers         float64

	Registrations    uint64 // of new PEs, accepted
	Reregistrations  uint64 // of known PEs, accepted
	Rejections       uint64 // registrations that were refused
	Deregistrations  uint64 // answered, those of unknown PEs among them
	Lost             uint64 // PEs that were removed without having asked for it
	Resolutions      uint64 // answered, UnknownPools among them
	UnknownPools     uint64 // resolutions of pools that the registrar does not have
	FailureReports   uint64 // about PEs that the registrar has
	Refused          uint64 // resolutions and failure reports beyond MaxHRRate and MaxEURate, associations beyond MaxClientAssociations
	Unauthorized     uint64 // requests that were refused because of who asked, and peers
	KeepAlives       uint64 // sent
	KeepAliveAcks    uint64 // received in time
	Malformed        uint64 // ASAP messages that could not be read
	WrongPPIDs       uint64 // other messages where ASAP is spoken
	Ignored          uint64 // ASAP messages that are not for a registrar, or say nothing new
	HandleUpdates    uint64 // received from peers
	Synchronizations uint64 // with peers whose checksum was not ours, begun
	Takeovers        uint64 // of peers' PEs, completed
}

// Stats returns the counters; all are 0 once the registrar has ended.
func (r *Registrar) Stats() RegistrarStats {
	var stats RegistrarStats
	r.loop.Do(func(now time.Time, e *registrar.Engine) {
		home, peers := e.Stats(), e.PeerStats()
		stats = RegistrarStats{
			Registrations:    home.Registrations,
			Reregistrations:  home.Reregistrations,
			Rejections:       home.Rejections,
			Deregistrations:  home.Deregistrations,
			Lost:             home.Lost,
			Resolutions:      home.Resolutions,
			UnknownPools:     home.UnknownPools,
			FailureReports:   home.FailureReports,
			Refused:          home.Refused,
			Unauthorized:     home.Unauthorized + peers.Unauthorized,
			KeepAlives:       home.KeepAlives,
			KeepAliveAcks:    home.KeepAliveAcks,
			Malformed:        home.Malformed,
			WrongPPIDs:       home.WrongPPIDs,
			Ignored:          home.Ignored,
			HandleUpdates:    peers.UpdatesHeard,
			Synchronizations: peers.Audits,
			Takeovers:        peers.TakeoversWon,
		}
		r.usage.fill(now, &stats)
	})
	return stats
}

// usage is what a registrar has, and integrates it over time for the averages. It belongs to
// the loop's owner.
type usage struct {
	engine *registrar.Engine
	own    RegistrarID

	start, last time.Time
	current     [usages]int // since last
	seconds     [usages]float64
}

const (
	usedPools = iota
	usedElements
	usedOwned
	usedPeers
	usages // how many there are
)

func newUsage(engine *registrar.Engine, own RegistrarID) usage {
	now := time.Now()
	return usage{engine: engine, own: own, start: now, last: now}
}

// advance integrates what there was until now.
func (u *usage) advance(now time.Time) {
	elapsed := now.Sub(u.last).Seconds()
	u.last = now
	for i, n := range u.current {
		u.seconds[i] += float64(n) * elapsed
	}
}

// handlespaceChanged is called after each change of the handlespace.
func (u *usage) handlespaceChanged(now time.Time) {
	u.advance(now)
	space := u.engine.Space()
	u.current[usedPools], u.current[usedElements], u.current[usedOwned] = space.LenPools(), space.Len(), space.Owned(u.own)
}

// peersChanged is called after a peer has come or gone.
func (u *usage) peersChanged(now time.Time) {
	u.advance(now)
	u.current[usedPeers] = 0
	for _, p := range u.engine.Peers() {
		if p.ID != 0 {
			u.current[usedPeers]++
		}
	}
}

func (u *usage) fill(now time.Time, stats *RegistrarStats) {
	u.peersChanged(now)
	stats.Pools, stats.Elements = u.current[usedPools], u.current[usedElements]
	stats.OwnedElements, stats.Peers = u.current[usedOwned], u.current[usedPeers]
	total := now.Sub(u.start).Seconds()
	if total <= 0 {
		return
	}
	stats.AveragePools, stats.AverageElements = u.seconds[usedPools]/total, u.seconds[usedElements]/total
	stats.AverageOwnedElements, stats.AveragePeers = u.seconds[usedOwned]/total, u.seconds[usedPeers]/total
}
