package rsp

import (
	"math"

	"github.com/rserpool/rsp/internal/protocol"
)

// Policy is how a pool's elements are selected (RFC 5356), with one element's
// parameters. All elements of a pool have one type of policy; the first sets it. The
// zero value is round robin. Policies are comparable with ==.
type Policy struct{ p protocol.Policy }

// RoundRobin selects each element in turn (RFC 5356 section 4.2).
func RoundRobin() Policy { return Policy{protocol.Policy{Type: protocol.RoundRobin}} }

// WeightedRoundRobin selects each element in turn, weight times as often as one of
// weight 1 (RFC 5356 section 4.3).
func WeightedRoundRobin(weight uint32) Policy {
	return Policy{protocol.Policy{Type: protocol.WeightedRoundRobin, Weight: weight}}
}

// Random selects each element with the same probability (RFC 5356 section 4.4).
func Random() Policy { return Policy{protocol.Policy{Type: protocol.Random}} }

// WeightedRandom selects each element with a probability in proportion to weight; 0:
// never (RFC 5356 section 4.5).
func WeightedRandom(weight uint32) Policy {
	return Policy{protocol.Policy{Type: protocol.WeightedRandom, Weight: weight}}
}

// Priority selects the elements of the highest priority (RFC 5356 section 4.6).
func Priority(priority uint32) Policy {
	return Policy{protocol.Policy{Type: protocol.Priority, Priority: priority}}
}

// LeastUsed selects the element with the lowest load, 0 to 1 (RFC 5356 section
// 4.7). A pool element tells a new load by registering again.
func LeastUsed(load float64) Policy {
	return Policy{protocol.Policy{Type: protocol.LeastUsed, Load: fraction(load)}}
}

// LeastUsedDegradation is LeastUsed, where every selection counts as so much more load, 0 to 1,
// until the element tells its load anew (RFC 5356 section 4.8).
func LeastUsedDegradation(load, degradation float64) Policy {
	return Policy{protocol.Policy{Type: protocol.LeastUsedDegradation, Load: fraction(load), Degradation: fraction(degradation)}}
}

// fraction turns 0..1 into its wire form; what is beyond counts as the end.
func fraction(f float64) uint32 {
	return uint32(math.Round(max(0, min(1, f)) * protocol.MaxLoad))
}

// String prints the policy as RSPLIB's programs spell it, with all its parameters:
// "WeightedRoundRobin:3", "LeastUsedDegradation:0.3:0.1".
func (p Policy) String() string { return p.wire().String() }

// wire returns the policy as it is told to registrars.
func (p Policy) wire() protocol.Policy {
	if p.p.Type == 0 {
		return RoundRobin().p
	}
	return p.p
}
