package rsp_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/rserpool/rsp"
)

// RFC 5356 section 7.1 has the numbers of the first nine, RSPLIB those of the others. A
// new load changes nothing but the load.
func TestPolicies(t *testing.T) {
	custom, err := rsp.CustomPolicy(0x80000001, []byte{0, 42})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		policy         rsp.Policy
		number         uint32
		text, withLoad string // of 0.75
	}{
		{rsp.Policy{}, 0x00000001, "RoundRobin", "RoundRobin"},
		{rsp.RoundRobin(), 0x00000001, "RoundRobin", "RoundRobin"},
		{rsp.WeightedRoundRobin(3), 0x00000002, "WeightedRoundRobin:3", "WeightedRoundRobin:3"},
		{rsp.Random(), 0x00000003, "Random", "Random"},
		{rsp.WeightedRandom(4), 0x00000004, "WeightedRandom:4", "WeightedRandom:4"},
		{rsp.Priority(9), 0x00000005, "Priority:9", "Priority:9"},
		{rsp.LeastUsed(0.3), 0x40000001, "LeastUsed:0.3", "LeastUsed:0.75"},
		{rsp.LeastUsedDegradation(0.3, 0.1), 0x40000002, "LeastUsedDegradation:0.3:0.1", "LeastUsedDegradation:0.75:0.1"},
		{rsp.PriorityLeastUsed(0.3, 0.1), 0x40000003, "PriorityLeastUsed:0.3:0.1", "PriorityLeastUsed:0.75:0.1"},
		{rsp.RandomizedLeastUsed(0.3), 0x40000004, "RandomizedLeastUsed:0.3", "RandomizedLeastUsed:0.75"},
		{rsp.RandomizedPriorityLeastUsed(0.3, 0.1), 0xb0001001, "RandomizedPriorityLeastUsed:0.3:0.1", "RandomizedPriorityLeastUsed:0.75:0.1"},
		{rsp.RandomizedLeastUsedDegradation(0.3, 0.1), 0xb0001002, "RandomizedLeastUsedDegradation:0.3:0.1", "RandomizedLeastUsedDegradation:0.75:0.1"},
		{rsp.PriorityLeastUsedDegradation(0.3, 0.1), 0xb0001003, "PriorityLeastUsedDegradation:0.3:0.1", "PriorityLeastUsedDegradation:0.75:0.1"},
		{rsp.RandomizedPriorityLeastUsedDegradation(0.3, 0.1), 0xb0001004, "RandomizedPriorityLeastUsedDegradation:0.3:0.1", "RandomizedPriorityLeastUsedDegradation:0.75:0.1"},
		{rsp.WeightedRandomDPF(7, 0.5), 0xb0002001, "WeightedRandomDPF:7:0.5", "WeightedRandomDPF:7:0.5"},
		{rsp.LeastUsedDPF(0.3, 0.001), 0xb0002002, "LeastUsedDPF:0.3:0.001", "LeastUsedDPF:0.75:0.001"},
		{rsp.LeastUsedDegradationDPF(0.3, 0.1, 0.001), 0xb0002003, "LeastUsedDegradationDPF:0.3:0.1:0.001", "LeastUsedDegradationDPF:0.75:0.1:0.001"},
		{custom, 0x80000001, "policy(0x80000001):002a", "policy(0x80000001):002a"},
	}
	for _, tt := range tests {
		if p := tt.policy; p.Type() != tt.number || p.String() != tt.text || p.WithLoad(0.75).String() != tt.withLoad {
			t.Errorf("policy %v of type %#08x, with a new load %v\nwant   %s of type %#08x, with a new load %s", p, p.Type(), p.WithLoad(0.75), tt.text, tt.number, tt.withLoad)
		}
		if again, err := rsp.ParsePolicy(tt.text); err != nil || again != tt.policy && tt.policy != (rsp.Policy{}) {
			t.Errorf("ParsePolicy(%q) = %v, %v", tt.text, again, err)
		}
	}
}

func TestPolicyLoadBounds(t *testing.T) {
	for load, want := range map[float64]string{-1: "LeastUsed", 0: "LeastUsed", 2: "LeastUsed:1", math.Inf(1): "LeastUsed:1"} {
		if got := rsp.LeastUsed(load).String(); got != want {
			t.Errorf("LeastUsed(%v) is %s, want %s", load, got, want)
		}
	}
	if got := rsp.LeastUsed(0).WithLoad(math.NaN()).String(); got != "LeastUsed:1" {
		t.Errorf("a load that is not a number is %s, want LeastUsed:1", got)
	}
}

func TestCustomPolicy(t *testing.T) {
	parameters := []byte{1, 2, 3}
	p, err := rsp.CustomPolicy(0xffffffff, parameters)
	if err != nil {
		t.Fatal(err)
	}
	parameters[0] = 9
	p.Parameters()[1] = 9
	if want := []byte{1, 2, 3}; !bytes.Equal(p.Parameters(), want) {
		t.Errorf("Parameters() = %v, want %v", p.Parameters(), want)
	}
	if p, err := rsp.CustomPolicy(0x80000001, nil); err != nil || p.Parameters() != nil {
		t.Errorf("without parameters: %v, %v", p.Parameters(), err)
	}
	if got := rsp.LeastUsed(1).Parameters(); got != nil {
		t.Errorf("Parameters() of LeastUsed = %v, want nil", got)
	}
	for _, tt := range []struct {
		number     uint32
		parameters []byte
		want       string
	}{
		{0, nil, "rsp: policy type 0 is invalid"},
		{0x40000001, nil, "rsp: policy type 0x40000001 is LeastUsed"},
		{0xb0002001, nil, "rsp: policy type 0xb0002001 is WeightedRandomDPF"},
		{0x80000001, make([]byte, 1025), "rsp: policy has 1025 bytes of parameters, more than 1024"},
	} {
		if p, err := rsp.CustomPolicy(tt.number, tt.parameters); err == nil || err.Error() != tt.want || p != (rsp.Policy{}) {
			t.Errorf("CustomPolicy(%#08x, %d bytes) = %v, %v, want %s", tt.number, len(tt.parameters), p, err, tt.want)
		}
	}
}

func TestParsePolicyError(t *testing.T) {
	p, err := rsp.ParsePolicy("leastused")
	if err == nil || !strings.HasPrefix(err.Error(), `rsp: policy "leastused": `) || p != (rsp.Policy{}) {
		t.Errorf("ParsePolicy = %v, %v", p, err)
	}
}

func ExampleParsePolicy() {
	p, err := rsp.ParsePolicy("LeastUsedDegradation:0.1")
	if err != nil {
		panic(err)
	}
	fmt.Println(p.WithLoad(0.5))
	// Output: LeastUsedDegradation:0.5:0.1
}
