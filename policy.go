package rsp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rserpool/rsp/internal/protocol"
)

// Policy is how a pool's elements are selected, with one element's parameters. All
// elements of a pool have one type of policy; the first sets it. The zero value is
// round robin. Policies are comparable with ==.
//
// Loads and degradations are fractions from 0, idle, to 1, fully used; what is below
// counts as 0, what is beyond, or not a number, as 1. Where several elements are
// equal in what a policy looks at, they are selected in turn.
//
// Registrar and pool user select by the rules of RFC 5356 where RSPLIB's differ. With a
// registrar of RSPLIB, its rules hold.
type Policy struct{ p protocol.Policy }

// RoundRobin selects each element in turn (RFC 5356 section 4.1).
func RoundRobin() Policy { return Policy{protocol.Policy{Type: protocol.RoundRobin}} }

// WeightedRoundRobin selects each element weight times in each round, its turns spread
// evenly over the round (RFC 5356 section 4.2); 0: never. RSPLIB crowds the turns of
// a heavy element at the end of its rounds, and takes a weight of 0 for 1.
func WeightedRoundRobin(weight uint32) Policy {
	return Policy{protocol.Policy{Type: protocol.WeightedRoundRobin, Weight: weight}}
}

// Random selects each element with the same probability (RFC 5356 section 4.3).
func Random() Policy { return Policy{protocol.Policy{Type: protocol.Random}} }

// WeightedRandom selects each element with a probability in proportion to weight; 0:
// never (RFC 5356 section 4.4).
func WeightedRandom(weight uint32) Policy {
	return Policy{protocol.Policy{Type: protocol.WeightedRandom, Weight: weight}}
}

// Priority selects the elements with the highest priority (RFC 5356 section 4.5).
func Priority(priority uint32) Policy {
	return Policy{protocol.Policy{Type: protocol.Priority, Priority: priority}}
}

// LeastUsed selects the element with the lowest load (RFC 5356 section 5.1). A pool
// element tells a new load by registering again.
func LeastUsed(load float64) Policy {
	return Policy{protocol.Policy{Type: protocol.LeastUsed, Load: protocol.Fraction(load)}}
}

// LeastUsedDegradation selects as LeastUsed, but each selection counts as so much more
// load until the element registers again (RFC 5356 section 5.2). RSPLIB counts one selection
// at the registration and two at each selection, of which it counts the first of an answer alone.
func LeastUsedDegradation(load, degradation float64) Policy {
	return loadPolicy(protocol.LeastUsedDegradation, load, degradation)
}

// PriorityLeastUsed selects the element with the lowest sum of load and degradation, which
// is the load it would have with one more request (RFC 5356 section 5.3).
func PriorityLeastUsed(load, degradation float64) Policy {
	return loadPolicy(protocol.PriorityLeastUsed, load, degradation)
}

// RandomizedLeastUsed selects each element with a probability in proportion to 1 - load
// (RFC 5356 section 5.4): a fully used one only when no others are left, and then each
// with the same probability. RSPLIB leaves a fully used one a small chance.
func RandomizedLeastUsed(load float64) Policy {
	return loadPolicy(protocol.RandomizedLeastUsed, load, 0)
}

// RandomizedPriorityLeastUsed selects as RandomizedLeastUsed, with the sum of load and degradation
// for the load. It is RSPLIB's, not in RFC 5356.
func RandomizedPriorityLeastUsed(load, degradation float64) Policy {
	return loadPolicy(protocol.RandomizedPriorityLeastUsed, load, degradation)
}

// RandomizedLeastUsedDegradation selects as RandomizedLeastUsed, but each selection counts as so
// much more load until the element registers again. It is RSPLIB's, not in RFC 5356; RSPLIB
// never counts, so that there it is RandomizedLeastUsed.
func RandomizedLeastUsedDegradation(load, degradation float64) Policy {
	return loadPolicy(protocol.RandomizedLeastUsedDegradation, load, degradation)
}

// PriorityLeastUsedDegradation selects as LeastUsedDegradation, with one degradation added at
// once, as PriorityLeastUsed has it. It is RSPLIB's, not in RFC 5356; selections are counted
// as for LeastUsedDegradation.
func PriorityLeastUsedDegradation(load, degradation float64) Policy {
	return loadPolicy(protocol.PriorityLeastUsedDegradation, load, degradation)
}

// RandomizedPriorityLeastUsedDegradation selects as RandomizedLeastUsedDegradation, with
// one degradation added at once. It is RSPLIB's, not in RFC 5356; RSPLIB never counts, so that
// there it is RandomizedPriorityLeastUsed.
func RandomizedPriorityLeastUsedDegradation(load, degradation float64) Policy {
	return loadPolicy(protocol.RandomizedPriorityLeastUsedDegradation, load, degradation)
}

// WeightedRandomDPF selects as WeightedRandom, with a weight that the distance of the element
// lowers: dpf, 0 to 1, is the part of it that a millisecond costs, down to a weight of 1. It is
// RSPLIB's, not in RFC 5356. The registrar measures the distance. A weight of 0 is never
// selected; RSPLIB takes it for 1.
func WeightedRandomDPF(weight uint32, dpf float64) Policy {
	return Policy{protocol.Policy{Type: protocol.WeightedRandomDPF, Weight: weight, WeightDPF: protocol.Fraction(dpf)}}
}

// LeastUsedDPF selects as LeastUsed, where each millisecond of the distance of the element counts
// as dpf more load. It is RSPLIB's, not in RFC 5356. The registrar measures the distance.
func LeastUsedDPF(load, dpf float64) Policy {
	return Policy{protocol.Policy{Type: protocol.LeastUsedDPF, Load: protocol.Fraction(load), LoadDPF: protocol.Fraction(dpf)}}
}

// LeastUsedDegradationDPF selects as LeastUsedDegradation, where each millisecond of the distance
// of the element counts as dpf more load. It is RSPLIB's, not in RFC 5356; selections are
// counted as for LeastUsedDegradation. The registrar measures the distance.
func LeastUsedDegradationDPF(load, degradation, dpf float64) Policy {
	p := loadPolicy(protocol.LeastUsedDegradationDPF, load, degradation)
	p.p.LoadDPF = protocol.Fraction(dpf)
	return p
}

func loadPolicy(t protocol.PolicyType, load, degradation float64) Policy {
	return Policy{protocol.Policy{Type: t, Load: protocol.Fraction(load), Degradation: protocol.Fraction(degradation)}}
}

// CustomPolicy returns a policy of a type of the user's own, with parameters, at most 1024 bytes,
// that every registrar of this package carries untouched. Those that have no rule for
// the type select in turn. RFC 5356 section 7.1 leaves the types from 0x80000000 on for
// private use. It is an error if the type is 0 or has a constructor of its own. RSPLIB's
// registrars refuse types that they do not know.
func CustomPolicy(policyType uint32, parameters []byte) (Policy, error) {
	t := protocol.PolicyType(policyType)
	_, known := t.Fields()
	switch {
	case t == 0:
		return Policy{}, errors.New("rsp: policy type 0 is invalid")
	case known:
		return Policy{}, fmt.Errorf("rsp: policy type 0x%08x is %v", policyType, t)
	case len(parameters) > protocol.MaxOpaque:
		return Policy{}, fmt.Errorf("rsp: policy has %d bytes of parameters, more than %d", len(parameters), protocol.MaxOpaque)
	}
	return Policy{protocol.Policy{Type: t, Opaque: string(parameters)}}, nil
}

// ParsePolicy reads a policy as Policy.String prints it and as RSPLIB's programs take it
// after -policy=, which is without the load: "WeightedRoundRobin:3",
// "LeastUsedDegradation:0.1", "LeastUsedDegradation:0.3:0.1". Names are case-sensitive, weights
// and priorities are 32-bit integers, all else fractions from 0 to 1.
func ParsePolicy(text string) (Policy, error) {
	p, err := protocol.ParsePolicy(text)
	if err != nil {
		return Policy{}, fmt.Errorf("rsp: %w", err)
	}
	return Policy{p}, nil
}

// WithLoad returns the policy with another load: what a pool element registers when its
// load changes, whatever its policy. A policy without a load is returned as it is.
func (p Policy) WithLoad(load float64) Policy {
	fields, _ := p.p.Type.Fields()
	if slices.Contains(fields, protocol.FieldLoad) {
		p.p.Load = protocol.Fraction(load)
	}
	return p
}

// Type returns the policy's number on the wire (RFC 5356 section 7.1, and RSPLIB's private
// ones).
func (p Policy) Type() uint32 { return uint32(p.wire().Type) }

// Parameters returns a copy of the parameters of a policy of the user's own, and nil for
// all others.
func (p Policy) Parameters() []byte {
	if p.p.Opaque == "" {
		return nil
	}
	return []byte(p.p.Opaque)
}

// String prints the policy with all its parameters but the distance, as ParsePolicy reads it: as
// RSPLIB's programs spell it when the load is 0, "WeightedRoundRobin:3", "LeastUsedDegradation:0.1",
// else with the load, "LeastUsedDegradation:0.3:0.1". A policy of the user's own is
// printed as "policy(0x80000001):002a", its parameters in hexadecimal.
func (p Policy) String() string { return p.wire().String() }

// wire returns the policy as it is told to registrars.
func (p Policy) wire() protocol.Policy {
	if p.p.Type == 0 {
		return RoundRobin().p
	}
	return p.p
}
