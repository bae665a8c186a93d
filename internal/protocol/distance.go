package protocol

import (
	"math"
	"time"
)

// HasDistance reports whether a policy counts how far its PEs are: RSPLIB's DPF policies do.
func (t PolicyType) HasDistance() bool {
	switch t {
	case WeightedRandomDPF, LeastUsedDPF, LeastUsedDegradationDPF:
		return true
	}
	return false
}

// Distance is what a registrar counts for a smoothed round-trip time: half of it in milliseconds,
// rounded to a multiple of step, so that it does not change with every measurement.
func Distance(rtt, step time.Duration) uint32 {
	ms := (rtt / 2).Round(step).Milliseconds()
	return uint32(min(max(ms, 0), math.MaxUint32))
}
