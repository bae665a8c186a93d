package protocol

import (
	"fmt"
	"math"
)

// PolicyType is the type of a Pool Member Selection Policy (RFC 5356 sections 4
// and 5, and RSPLIB's private ones).
type PolicyType uint32

const (
	RoundRobin                             PolicyType = 0x00000001
	WeightedRoundRobin                     PolicyType = 0x00000002
	Random                                 PolicyType = 0x00000003
	WeightedRandom                         PolicyType = 0x00000004
	Priority                               PolicyType = 0x00000005
	LeastUsed                              PolicyType = 0x40000001
	LeastUsedDegradation                   PolicyType = 0x40000002
	PriorityLeastUsed                      PolicyType = 0x40000003
	RandomizedLeastUsed                    PolicyType = 0x40000004
	RandomizedPriorityLeastUsed            PolicyType = 0xb0001001
	RandomizedLeastUsedDegradation         PolicyType = 0xb0001002
	PriorityLeastUsedDegradation           PolicyType = 0xb0001003
	RandomizedPriorityLeastUsedDegradation PolicyType = 0xb0001004
	WeightedRandomDPF                      PolicyType = 0xb0002001
	LeastUsedDPF                           PolicyType = 0xb0002002
	LeastUsedDegradationDPF                PolicyType = 0xb0002003
)

// PolicyField names one 32-bit field of a policy's parameters.
type PolicyField uint8

const (
	FieldWeight PolicyField = iota
	FieldPriority
	FieldLoad
	FieldDegradation
	FieldWeightDPF
	FieldLoadDPF
	FieldDistance
)

// policyInfo is what a type number stands for: its name and the order of its
// fields on the wire.
type policyInfo struct {
	name   string
	fields []PolicyField
}

var policies = map[PolicyType]policyInfo{
	RoundRobin:                             {"RoundRobin", nil},
	WeightedRoundRobin:                     {"WeightedRoundRobin", []PolicyField{FieldWeight}},
	Random:                                 {"Random", nil},
	WeightedRandom:                         {"WeightedRandom", []PolicyField{FieldWeight}},
	Priority:                               {"Priority", []PolicyField{FieldPriority}},
	LeastUsed:                              {"LeastUsed", []PolicyField{FieldLoad}},
	LeastUsedDegradation:                   {"LeastUsedDegradation", []PolicyField{FieldLoad, FieldDegradation}},
	PriorityLeastUsed:                      {"PriorityLeastUsed", []PolicyField{FieldLoad, FieldDegradation}},
	RandomizedLeastUsed:                    {"RandomizedLeastUsed", []PolicyField{FieldLoad}},
	RandomizedPriorityLeastUsed:            {"RandomizedPriorityLeastUsed", []PolicyField{FieldLoad, FieldDegradation}},
	RandomizedLeastUsedDegradation:         {"RandomizedLeastUsedDegradation", []PolicyField{FieldLoad, FieldDegradation}},
	PriorityLeastUsedDegradation:           {"PriorityLeastUsedDegradation", []PolicyField{FieldLoad, FieldDegradation}},
	RandomizedPriorityLeastUsedDegradation: {"RandomizedPriorityLeastUsedDegradation", []PolicyField{FieldLoad, FieldDegradation}},
	WeightedRandomDPF:                      {"WeightedRandomDPF", []PolicyField{FieldWeight, FieldWeightDPF, FieldDistance}},
	LeastUsedDPF:                           {"LeastUsedDPF", []PolicyField{FieldLoad, FieldLoadDPF, FieldDistance}},
	LeastUsedDegradationDPF:                {"LeastUsedDegradationDPF", []PolicyField{FieldLoad, FieldDegradation, FieldLoadDPF, FieldDistance}},
}

// Fields returns the order of t's fields on the wire, and whether t is known. The
// caller must not change it.
func (t PolicyType) Fields() ([]PolicyField, bool) {
	info, ok := policies[t]
	return info.fields, ok
}

func (t PolicyType) String() string {
	if info, ok := policies[t]; ok {
		return info.name
	}
	return fmt.Sprintf("policy(0x%08x)", uint32(t))
}

// MaxLoad is the load, degradation or factor that stands for 100 %.
const MaxLoad = math.MaxUint32

// Fraction returns the load, degradation or factor that stands for f. Below 0
// counts as 0; beyond 1, or not a number, as 1, which is what attracts least.
func Fraction(f float64) uint32 {
	if !(f < 1) {
		return MaxLoad
	}
	return uint32(math.Round(max(0, f) * MaxLoad))
}

// MaxOpaque is the most bytes that an unknown policy's parameters or an opaque
// transport may have, so that each PE fits in every message that passes it on.
const MaxOpaque = 1024

// Policy is a pool member selection policy and one PE's parameters for it. It is
// comparable with ==. Fields that the type does not have are 0.
type Policy struct {
	Type        PolicyType
	Weight      uint32
	Priority    uint32
	Load        uint32
	Degradation uint32
	WeightDPF   uint32
	LoadDPF     uint32
	Distance    uint32 // milliseconds
	Opaque      string // the undecoded parameters of an unknown type
}

// Field returns the place of one field in p.
func (p *Policy) Field(f PolicyField) *uint32 {
	switch f {
	case FieldWeight:
		return &p.Weight
	case FieldPriority:
		return &p.Priority
	case FieldLoad:
		return &p.Load
	case FieldDegradation:
		return &p.Degradation
	case FieldWeightDPF:
		return &p.WeightDPF
	case FieldLoadDPF:
		return &p.LoadDPF
	default:
		return &p.Distance
	}
}
