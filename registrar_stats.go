package rsp

import (
	"time"

	"github.com/rserpool/rsp/internal/registrar"
)

// RegistrarStats counts what a Registrar has done since NewRegistrar. Only Elements
// is what it has at the moment.
type RegistrarStats struct {
	Elements        int
	Registrations   uint64 // of new PEs, accepted
	Reregistrations uint64 // of known PEs, accepted
	Rejections      uint64 // registrations that were refused
	Deregistrations uint64 // answered, those of unknown PEs among them
	Lost            uint64 // PEs that were removed without having asked for it
	Resolutions     uint64 // answered, UnknownPools among them
	UnknownPools    uint64 // resolutions of pools that the registrar does not have
	FailureReports  uint64 // about PEs that the registrar has
	Refused         uint64 // resolutions and failure reports beyond MaxHRRate and MaxEURate
	KeepAlives      uint64 // sent
	KeepAliveAcks   uint64 // received in time
	Malformed       uint64 // messages that could not be read
	WrongPPIDs      uint64 // messages that are not ASAP
	Ignored         uint64 // messages that are not for a registrar, or say nothing new
}

// Stats returns the counters; all are 0 once the registrar has ended.
func (r *Registrar) Stats() RegistrarStats {
	var stats RegistrarStats
	r.loop.Do(func(_ time.Time, e *registrar.Engine) {
		s := e.Stats()
		stats = RegistrarStats{
			Elements:        e.Space().Len(),
			Registrations:   s.Registrations,
			Reregistrations: s.Reregistrations,
			Rejections:      s.Rejections,
			Deregistrations: s.Deregistrations,
			Lost:            s.Lost,
			Resolutions:     s.Resolutions,
			UnknownPools:    s.UnknownPools,
			FailureReports:  s.FailureReports,
			Refused:         s.Refused,
			KeepAlives:      s.KeepAlives,
			KeepAliveAcks:   s.KeepAliveAcks,
			Malformed:       s.Malformed,
			WrongPPIDs:      s.WrongPPIDs,
			Ignored:         s.Ignored,
		}
	})
	return stats
}
