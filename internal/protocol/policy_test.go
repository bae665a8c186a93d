package protocol

import (
	"math"
	"slices"
	"testing"
)

// RFC 5356 sections 4 and 5 for the first nine types, RSPLIB for its own: number,
// name, order of the fields on the wire.
func TestPolicyTypes(t *testing.T) {
	const (
		weight      = FieldWeight
		priority    = FieldPriority
		load        = FieldLoad
		degradation = FieldDegradation
		weightDPF   = FieldWeightDPF
		loadDPF     = FieldLoadDPF
		distance    = FieldDistance
	)
	tests := []struct {
		value  uint32
		name   string
		fields []PolicyField
	}{
		{0x00000001, "RoundRobin", nil},
		{0x00000002, "WeightedRoundRobin", []PolicyField{weight}},
		{0x00000003, "Random", nil},
		{0x00000004, "WeightedRandom", []PolicyField{weight}},
		{0x00000005, "Priority", []PolicyField{priority}},
		{0x40000001, "LeastUsed", []PolicyField{load}},
		{0x40000002, "LeastUsedDegradation", []PolicyField{load, degradation}},
		{0x40000003, "PriorityLeastUsed", []PolicyField{load, degradation}},
		{0x40000004, "RandomizedLeastUsed", []PolicyField{load}},
		{0xb0001001, "RandomizedPriorityLeastUsed", []PolicyField{load, degradation}},
		{0xb0001002, "RandomizedLeastUsedDegradation", []PolicyField{load, degradation}},
		{0xb0001003, "PriorityLeastUsedDegradation", []PolicyField{load, degradation}},
		{0xb0001004, "RandomizedPriorityLeastUsedDegradation", []PolicyField{load, degradation}},
		{0xb0002001, "WeightedRandomDPF", []PolicyField{weight, weightDPF, distance}},
		{0xb0002002, "LeastUsedDPF", []PolicyField{load, loadDPF, distance}},
		{0xb0002003, "LeastUsedDegradationDPF", []PolicyField{load, degradation, loadDPF, distance}},
	}
	for _, tt := range tests {
		fields, known := PolicyType(tt.value).Fields()
		if got := PolicyType(tt.value).String(); got != tt.name || !known || !slices.Equal(fields, tt.fields) {
			t.Errorf("%#010x is %s with fields %v, known %v, want %s, %v", tt.value, got, fields, known, tt.name, tt.fields)
		}
	}
	if len(policies) != len(tests) {
		t.Errorf("%d policies are known, %d are tested", len(policies), len(tests))
	}
}

// RSPLIB names two more types that have no format on the wire.
func TestUnknownPolicyTypes(t *testing.T) {
	for value, name := range map[PolicyType]string{
		0:          "policy(0x00000000)",
		0xb0002004: "policy(0xb0002004)",
		0xb0002005: "policy(0xb0002005)",
	} {
		if fields, known := value.Fields(); known || fields != nil || value.String() != name {
			t.Errorf("%v has fields %v, known %v, want the name %s and no fields", value, fields, known, name)
		}
	}
}

func TestPolicyField(t *testing.T) {
	var p Policy
	for f := FieldWeight; f <= FieldDistance; f++ {
		*p.Field(f) = uint32(f) + 1
	}
	want := Policy{Weight: 1, Priority: 2, Load: 3, Degradation: 4, WeightDPF: 5, LoadDPF: 6, Distance: 7}
	if p != want {
		t.Errorf("fields are at %+v, want %+v", p, want)
	}
}

// RFC 5356 section 3.1: "0x00000000 states that the pool element is not utilized
// (0%); 0xffffffff states that it is fully utilized (100%)."
func TestFraction(t *testing.T) {
	for f, want := range map[float64]uint32{
		0: 0, 1: MaxLoad, 0.5: 0x80000000, 1e-10: 0, 2.3e-10: 1,
		-1: 0, 2: MaxLoad, math.Inf(1): MaxLoad, math.Inf(-1): 0, math.Copysign(0, -1): 0,
	} {
		if got := Fraction(f); got != want {
			t.Errorf("Fraction(%v) = %#x, want %#x", f, got, want)
		}
	}
	if got := Fraction(math.NaN()); got != MaxLoad {
		t.Errorf("Fraction(NaN) = %#x, want %#x", got, uint32(MaxLoad))
	}
}
