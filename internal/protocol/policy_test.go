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

// The fractions are those that RSPLIB's programs sent for these texts.
func TestPolicyString(t *testing.T) {
	tests := []struct {
		policy Policy
		want   string
	}{
		{Policy{Type: RoundRobin}, "RoundRobin"},
		{Policy{Type: WeightedRoundRobin, Weight: math.MaxUint32}, "WeightedRoundRobin:4294967295"},
		{Policy{Type: Priority, Priority: 9, Weight: 7}, "Priority:9"},
		{Policy{Type: LeastUsed}, "LeastUsed:0"},
		{Policy{Type: LeastUsed, Load: MaxLoad}, "LeastUsed:1"},
		{Policy{Type: LeastUsedDegradation, Load: 0x80000000, Degradation: 0x40000000}, "LeastUsedDegradation:0.5:0.25"},
		{Policy{Type: PriorityLeastUsed, Degradation: 0x1999999a}, "PriorityLeastUsed:0:0.1"},
		{Policy{Type: LeastUsedDPF, LoadDPF: 0x00418937, Distance: 12}, "LeastUsedDPF:0:0.001"},
		{Policy{Type: WeightedRandomDPF, Weight: 7, WeightDPF: 0x80000000, Distance: 12}, "WeightedRandomDPF:7:0.5"},
		{Policy{Type: 0xb0002004, Opaque: "\x00\x01"}, "policy(0xb0002004):0001"},
	}
	for _, tt := range tests {
		if got := tt.policy.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}
