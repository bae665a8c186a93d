package handlespace

import (
	"math"

	"github.com/rserpool/rsp/internal/protocol"
)

// byValue ranks by a value of the registration, the least first: LeastUsed (RFC
// 5356 section 5.1) by load, Priority (section 4.5) by how far the priority is
// from the highest.
type byValue func(*protocol.Policy) uint64

func (value byValue) added(s *standing, p *protocol.Policy, _ *standing) { s.major = value(p) }

func (value byValue) renewed(s *standing, p *protocol.Policy, _ bool) { s.major = value(p) }

func (value byValue) selected(*standing, *protocol.Policy, bool) {}

// byDegradedLoad ranks for LeastUsedDegradation by "load value + degradation
// counter * load degradation value" (RFC 5356 section 5.2.2). The counter is as
// the RFC has it: 0 after each registration and re-registration, one more
// whenever the PE "is selected for being returned to a pool user". RSPLIB starts
// with 1 and adds 2, and that only to the PEs that make way.
type byDegradedLoad struct{}

func (byDegradedLoad) added(s *standing, p *protocol.Policy, _ *standing) { s.major = uint64(p.Load) }

func (byDegradedLoad) renewed(s *standing, p *protocol.Policy, _ bool) {
	s.degradationCounter = 0
	s.major = uint64(p.Load)
}

// selected cannot overflow: MaxUint32 * MaxUint32 + MaxUint32 is less than 1<<64.
func (byDegradedLoad) selected(s *standing, p *protocol.Policy, _ bool) {
	if s.degradationCounter < math.MaxUint32 {
		s.degradationCounter++
	}
	s.major = uint64(p.Load) + uint64(s.degradationCounter)*uint64(p.Degradation)
}

// byRound ranks for WeightedRoundRobin, so that each PE gets as many turns as it
// weighs, evenly distributed (RFC 5356 section 4.2.2), by RSPLIB's rules: major
// is the round of the PE, minor what is left of its weight in this round. A
// selection takes two steps. A weight of 0 counts as 1.
type byRound struct{}

func (byRound) added(s *standing, p *protocol.Policy, first *standing) {
	if first != nil {
		s.major = first.major
	}
	s.minor = p.Weight
	s.step(p)
}

// renewed limits what is left of a round to the new weight: with RSPLIB, a PE
// that lowers its weight would still get the turns of the old one.
func (byRound) renewed(s *standing, p *protocol.Policy, changed bool) {
	if changed {
		s.minor = min(s.minor, p.Weight)
		s.step(p)
	}
}

func (byRound) selected(s *standing, p *protocol.Policy, advance bool) {
	if advance {
		s.step(p)
		s.step(p)
	}
}

// step takes one off what is left of the round, or enters the next one.
func (s *standing) step(p *protocol.Policy) {
	if s.minor > 1 {
		s.minor--
	} else {
		s.major++
		s.minor = p.Weight
	}
}
