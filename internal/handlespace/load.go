package handlespace

import (
	"math"
	"math/bits"

	"github.com/rserpool/rsp/internal/protocol"
)

// The loads by which the policies with LeastUsed in their names select. Their terms
// are below 1<<32, or products of two such numbers. A sum may be beyond 100 %.

// load is "Current load of the pool element" (RFC 5356 section 5.1.4).
func load(p *protocol.Policy, _ uint32) uint64 { return uint64(p.Load) }

// nextLoad is the "sum of load and degradation value" (RFC 5356 section 5.3.2).
func nextLoad(p *protocol.Policy, _ uint32) uint64 { return uint64(p.Load) + uint64(p.Degradation) }

// degradedLoad is the "sum of load value + degradation counter * load degradation
// value" (RFC 5356 section 5.2.2). The counter is as the RFC has it: 0 after each
// registration and re-registration, one more whenever the PE "is selected for
// being returned to a pool user". RSPLIB starts with 1 and adds 2, and that only to
// the PEs that make way.
func degradedLoad(p *protocol.Policy, selections uint32) uint64 {
	return uint64(p.Load) + uint64(selections)*uint64(p.Degradation)
}

// degradedNextLoad is what degradedLoad would be with one more selection. It is at
// most 1<<64 - 1, which is (1<<32 - 1) * (1<<32 - 1) + 2 * (1<<32 - 1).
func degradedNextLoad(p *protocol.Policy, selections uint32) uint64 {
	return degradedLoad(p, selections) + uint64(p.Degradation)
}

// remoteLoad adds what RSPLIB calls the distance penalty.
func remoteLoad(p *protocol.Policy, _ uint32) uint64 {
	return uint64(p.Load) + uint64(p.Distance)*uint64(p.LoadDPF)
}

// degradedRemoteLoad does not pass its limit.
func degradedRemoteLoad(p *protocol.Policy, selections uint32) uint64 {
	sum, carry := bits.Add64(remoteLoad(p, 0), uint64(selections)*uint64(p.Degradation), 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}
