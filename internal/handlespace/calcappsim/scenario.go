package main

import (
	"fmt"
	"math"

	"github.com/rserpool/rsp/internal/protocol"
)

// scenario is all that one run depends on, but for chance.
type scenario struct {
	policy      protocol.PolicyType
	pool        poolShape
	utilisation float64 // the target: what the PUs ask for, as a part of the pool's capacity
	model
}

// model is what the runs of a sweep have in common.
type model struct {
	pusPerPE   int
	maxJobs    int     // of a PE of average capacity; others in proportion
	jobSize    float64 // calculations, mean
	startup    float64 // seconds from the choice of a PE to the arrival of the request
	retryPause float64 // seconds from a refusal to the next choice
	warmUp     float64 // seconds that are not measured
	duration   float64 // seconds that are
}

// capacity is that of the average PE in calculations per second, RSPLIB's default
// of -capcapacity.
const capacity = 1e6

// defaultModel has jobs that keep a PE alone busy for ten seconds on average. A
// refused CalcApp client of RSPLIB pauses for 1 s; its sessions were seen to start
// up in 20 ms.
func defaultModel() model {
	return model{
		pusPerPE:   10,
		maxJobs:    4,
		jobSize:    10 * capacity,
		startup:    0.02,
		retryPause: 1,
		warmUp:     2000,
		duration:   10000,
	}
}

// poolShape says how the capacity of a pool is spread over its PEs: the first
// third have factor times the capacity of the others. The average is always the
// constant capacity.
type poolShape struct {
	pes    int
	factor int // 1: all are alike
}

func (s poolShape) String() string {
	if s.factor == 1 {
		return fmt.Sprintf("Homogeneous pool: %d PEs", s.pes)
	}
	return fmt.Sprintf("Heterogeneous pool: %d of %d PEs have %d times the capacity", s.fast(), s.pes, s.factor)
}

// fast is how many PEs have more capacity than the others.
func (s poolShape) fast() int { return s.pes / 3 }

// weight is the i-th PE's capacity as a multiple of the slowest PE's.
func (s poolShape) weight(i int) int {
	if i < s.fast() {
		return s.factor
	}
	return 1
}

// capacity is that of the i-th PE in calculations per second.
func (s poolShape) capacity(i int) float64 {
	weights := s.fast()*s.factor + s.pes - s.fast()
	return capacity * float64(s.weight(i)*s.pes) / float64(weights)
}

// jobLimit is how many jobs the i-th PE runs at once, so that a job gets about
// the same at a full PE, whichever it is.
func (s scenario) jobLimit(i int) int {
	return max(1, int(math.Round(float64(s.maxJobs)*s.pool.capacity(i)/capacity)))
}

// jobInterval is the mean interval of the jobs of one PU in seconds.
func (s scenario) jobInterval() float64 {
	return float64(s.pusPerPE) * s.jobSize / (s.utilisation * capacity)
}

// policyOf is what the i-th PE registers while it has some jobs. Its load is
// CalcApp's; by its degradation it expects to get one more job.
func (s scenario) policyOf(i, jobs int) protocol.Policy {
	policy := protocol.Policy{Type: s.policy}
	limit := float64(s.jobLimit(i))
	fields, _ := s.policy.Fields()
	for _, f := range fields {
		var value uint32
		switch f {
		case protocol.FieldWeight, protocol.FieldPriority:
			value = uint32(s.pool.weight(i))
		case protocol.FieldLoad:
			value = protocol.Fraction(float64(jobs) / limit)
		case protocol.FieldDegradation:
			value = protocol.Fraction(1 / limit)
		}
		*policy.Field(f) = value
	}
	return policy
}
