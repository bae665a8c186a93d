package protocol

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Each text is what String prints. The short forms are RSPLIB's spellings, and the
// values those that its programs sent for them.
func TestPolicyText(t *testing.T) {
	tests := []struct {
		text   string
		policy Policy
	}{
		{"RoundRobin", Policy{Type: RoundRobin}},
		{"WeightedRoundRobin:4294967295", Policy{Type: WeightedRoundRobin, Weight: math.MaxUint32}},
		{"Random", Policy{Type: Random}},
		{"WeightedRandom:0", Policy{Type: WeightedRandom}},
		{"WeightedRandomDPF:7:0.5", Policy{Type: WeightedRandomDPF, Weight: 7, WeightDPF: 0x80000000}},
		{"Priority:9", Policy{Type: Priority, Priority: 9}},
		{"LeastUsed", Policy{Type: LeastUsed}},
		{"LeastUsed:1", Policy{Type: LeastUsed, Load: MaxLoad}},
		{"LeastUsed:2e-10", Policy{Type: LeastUsed, Load: 1}},
		{"LeastUsed:0.9999999998", Policy{Type: LeastUsed, Load: MaxLoad - 1}},
		{"LeastUsedDegradation:0.25", Policy{Type: LeastUsedDegradation, Degradation: 0x40000000}},
		{"LeastUsedDegradation:0.5:0.25", Policy{Type: LeastUsedDegradation, Load: 0x80000000, Degradation: 0x40000000}},
		{"LeastUsedDegradation:0.5:0", Policy{Type: LeastUsedDegradation, Load: 0x80000000}},
		{"LeastUsedDPF:0.001", Policy{Type: LeastUsedDPF, LoadDPF: 0x00418937}},
		{"LeastUsedDPF:1:0.001", Policy{Type: LeastUsedDPF, Load: MaxLoad, LoadDPF: 0x00418937}},
		{"LeastUsedDegradationDPF:0.25:0.001", Policy{Type: LeastUsedDegradationDPF, Degradation: 0x40000000, LoadDPF: 0x00418937}},
		{"LeastUsedDegradationDPF:1:0.25:0.001", Policy{Type: LeastUsedDegradationDPF, Load: MaxLoad, Degradation: 0x40000000, LoadDPF: 0x00418937}},
		{"PriorityLeastUsed:0.1", Policy{Type: PriorityLeastUsed, Degradation: 0x1999999a}},
		{"PriorityLeastUsedDegradation:0.1", Policy{Type: PriorityLeastUsedDegradation, Degradation: 0x1999999a}},
		{"RandomizedLeastUsed", Policy{Type: RandomizedLeastUsed}},
		{"RandomizedPriorityLeastUsed", Policy{Type: RandomizedPriorityLeastUsed}},
		{"RandomizedPriorityLeastUsed:0.1", Policy{Type: RandomizedPriorityLeastUsed, Degradation: 0x1999999a}},
		{"RandomizedPriorityLeastUsed:0.5:0", Policy{Type: RandomizedPriorityLeastUsed, Load: 0x80000000}},
		{"RandomizedLeastUsedDegradation", Policy{Type: RandomizedLeastUsedDegradation}},
		{"RandomizedPriorityLeastUsedDegradation:1:1", Policy{Type: RandomizedPriorityLeastUsedDegradation, Load: MaxLoad, Degradation: MaxLoad}},
		{"policy(0x80000001):", Policy{Type: 0x80000001}},
		{"policy(0xb0002004):0001", Policy{Type: 0xb0002004, Opaque: "\x00\x01"}},
	}
	for _, tt := range tests {
		if got := tt.policy.String(); got != tt.text {
			t.Errorf("String() = %q, want %q", got, tt.text)
		}
		if got, err := ParsePolicy(tt.text); err != nil || got != tt.policy {
			t.Errorf("ParsePolicy(%q) = %+v, %v, want %+v", tt.text, got, err, tt.policy)
		}
	}
}

// Zeros may be written out, and fractions with as many digits as one likes.
func TestParsePolicyLonger(t *testing.T) {
	for text, want := range map[string]string{
		"LeastUsed:0.000":                     "LeastUsed",
		"LeastUsedDegradation:0:.250":         "LeastUsedDegradation:0.25",
		"RandomizedPriorityLeastUsed:0:0":     "RandomizedPriorityLeastUsed",
		"LeastUsed:0.33333333333333333333333": "LeastUsed:0.3333333333",
		"policy(0x8000ABCD):AB":               "policy(0x8000abcd):ab",
	} {
		if got, err := ParsePolicy(text); err != nil || got.String() != want {
			t.Errorf("ParsePolicy(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestParsePolicyErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                `policy "": unknown name ""`,
		"leastused":                       `policy "leastused": unknown name "leastused"`,
		" RoundRobin":                     `policy " RoundRobin": unknown name " RoundRobin"`,
		"RoundRobin:":                     `policy "RoundRobin:": RoundRobin takes 0 values, not 1`,
		"Priority":                        `policy "Priority": Priority takes 1 values, not 0`,
		"LeastUsedDegradation":            `policy "LeastUsedDegradation": LeastUsedDegradation takes 1 or 2 values, not 0`,
		"LeastUsedDPF:0:0:0":              `policy "LeastUsedDPF:0:0:0": LeastUsedDPF takes 1 or 2 values, not 3`,
		"Priority:-1":                     `policy "Priority:-1": priority "-1" is not an integer from 0 to 4294967295`,
		"WeightedRandom:4294967296":       `policy "WeightedRandom:4294967296": weight "4294967296" is not an integer from 0 to 4294967295`,
		"WeightedRandomDPF:1:1.1":         `policy "WeightedRandomDPF:1:1.1": weight DPF "1.1" is not a number from 0 to 1`,
		"LeastUsed:NaN":                   `policy "LeastUsed:NaN": load "NaN" is not a number from 0 to 1`,
		"LeastUsed:":                      `policy "LeastUsed:": load "" is not a number from 0 to 1`,
		"LeastUsedDegradation:-0.1":       `policy "LeastUsedDegradation:-0.1": degradation "-0.1" is not a number from 0 to 1`,
		"LeastUsedDPF:1e400":              `policy "LeastUsedDPF:1e400": load DPF "1e400" is not a number from 0 to 1`,
		"PriorityLeastUsedDPF:0.1":        `policy "PriorityLeastUsedDPF:0.1": PriorityLeastUsedDPF has no format on the wire`,
		"PriorityLeastUsedDegradationDPF": `policy "PriorityLeastUsedDegradationDPF": PriorityLeastUsedDegradationDPF has no format on the wire`,
		"policy(0x1):":                    `policy "policy(0x1):": "policy(0x1)" is no policy type: policy(0x and 8 hexadecimal digits)`,
		"policy(0x80000001:":              `policy "policy(0x80000001:": "policy(0x80000001" is no policy type: policy(0x and 8 hexadecimal digits)`,
		"policy(0x8000_001):":             `policy "policy(0x8000_001):": "policy(0x8000_001)" is no policy type: policy(0x and 8 hexadecimal digits)`,
		"policy(0x00000000):":             `policy "policy(0x00000000):": policy type 0 is invalid`,
		"policy(0x40000001):":             `policy "policy(0x40000001):": type 0x40000001 is written LeastUsed`,
		"policy(0x80000001)":              `policy "policy(0x80000001)": policy(0x80000001) takes 1 value, not 0`,
		"policy(0x80000001):0":            `policy "policy(0x80000001):0": parameters "0": encoding/hex: odd length hex string`,
	} {
		if p, err := ParsePolicy(text); err == nil || err.Error() != want || p != (Policy{}) {
			t.Errorf("ParsePolicy(%q) = %v, %v\nwant %s", text, p, err, want)
		}
	}
	long := "policy(0x80000001):" + strings.Repeat("00", MaxOpaque)
	if p, err := ParsePolicy(long); err != nil || len(p.Opaque) != MaxOpaque {
		t.Errorf("ParsePolicy of the longest parameters: %v", err)
	}
	if _, err := ParsePolicy(long + "00"); err == nil {
		t.Error("ParsePolicy took more parameters than fit in a message")
	}
}

// The text of every policy is that policy again, but for the distance.
func TestPolicyTextOfAll(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	types := slices.Sorted(maps.Keys(policies))
	value := func() uint32 {
		return [...]uint32{0, 1, MaxLoad - 1, MaxLoad, r.Uint32(), r.Uint32N(1 << 20), Fraction(float64(r.IntN(1001)) / 1000)}[r.IntN(7)]
	}
	for range 20_000 {
		p := Policy{Type: PolicyType(0xc0000000 | r.Uint32()), Opaque: string([]byte{byte(r.Uint32()), 0})}
		if i := r.IntN(len(types) + 1); i < len(types) {
			p = Policy{Type: types[i]}
			fields, _ := p.Type.Fields()
			for _, f := range fields {
				*p.Field(f) = value()
			}
		}
		want := p
		want.Distance = 0
		if got, err := ParsePolicy(p.String()); err != nil || got != want {
			t.Fatalf("ParsePolicy(%q) = %+v, %v, want %+v", p, got, err, want)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, text := range []string{"RoundRobin", "LeastUsedDPF:0.3:1e-9", "policy(0x80000001):2a", "WeightedRandomDPF:7:0.5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			if p != (Policy{}) {
				t.Errorf("ParsePolicy(%q) = %+v beside an error", text, p)
			}
			return
		}
		again, err := ParsePolicy(p.String())
		if err != nil || again != p {
			t.Errorf("%q is %+v, whose text %q is %+v, %v", text, p, p, again, err)
		}
	})
}
