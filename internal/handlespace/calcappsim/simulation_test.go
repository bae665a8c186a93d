package main

import (
	"math"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

func testSweep(factor int, policies ...protocol.PolicyType) sweep {
	m := defaultModel()
	m.warmUp, m.duration = 1000, 3000
	return sweep{m, poolShape{12, factor}, policies, []float64{0.6, 0.7, 0.8}, 4, 1}
}

// What the field knows: the handling speed is higher with least used than with
// round robin, and higher with round robin than with random.
func TestLeastUsedBeatsRoundRobinBeatsRandom(t *testing.T) {
	for _, factor := range []int{1, 4} {
		s := testSweep(factor, protocol.LeastUsed, protocol.RoundRobin, protocol.Random)
		curves, err := s.run()
		if err != nil {
			t.Fatal(err)
		}
		for i, utilisation := range s.utilisations {
			for k, better := range curves[:2] {
				worse := curves[k+1]
				b, w := better.points[i].speed, worse.points[i].speed
				if b.low() <= w.high() {
					t.Errorf("%v, %v %%: %v has %v, %v %v, want more", s.pool, 100*utilisation,
						better.policy, b.text(100, 1), worse.policy, w.text(100, 1))
				}
			}
		}
	}
}

// As long as all jobs are handled, the PEs do what the PUs ask for, whatever the
// policy.
func TestUtilisationIsTheTarget(t *testing.T) {
	for _, factor := range []int{1, 4} {
		s := testSweep(factor, protocol.LeastUsed, protocol.Random)
		curves, err := s.run()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range curves {
			for _, p := range c.points {
				if u := p.utilisation; p.target < u.low() || p.target > u.high() || u.half > 0.05 {
					t.Errorf("%v, %v: utilisation is %v, want %v", s.pool, c.policy, u.text(1, 3), p.target)
				}
			}
		}
	}
}

func TestPoolShapes(t *testing.T) {
	tests := []struct {
		shape      poolShape
		capacities [2]float64 // of the first and the last PE
		jobs       [2]int     // that they run at once
		name       string
	}{
		{poolShape{12, 1}, [2]float64{1e6, 1e6}, [2]int{4, 4}, "Homogeneous pool: 12 PEs"},
		{poolShape{12, 4}, [2]float64{2e6, 0.5e6}, [2]int{8, 2},
			"Heterogeneous pool: 4 of 12 PEs have 4 times the capacity"},
		{poolShape{5, 16}, [2]float64{4e6, 0.25e6}, [2]int{16, 1},
			"Heterogeneous pool: 1 of 5 PEs have 16 times the capacity"},
	}
	for _, tt := range tests {
		s := scenario{pool: tt.shape, model: defaultModel()}
		last := tt.shape.pes - 1
		if got := [2]float64{tt.shape.capacity(0), tt.shape.capacity(last)}; got != tt.capacities {
			t.Errorf("%v: capacities are %v, want %v", tt.name, got, tt.capacities)
		}
		if got := [2]int{s.jobLimit(0), s.jobLimit(last)}; got != tt.jobs {
			t.Errorf("%v: job limits are %v, want %v", tt.name, got, tt.jobs)
		}
		var total float64
		for i := range tt.shape.pes {
			total += tt.shape.capacity(i)
		}
		if want := capacity * float64(tt.shape.pes); math.Abs(total-want) > 1e-3 {
			t.Errorf("%v: the capacities add up to %v, want %v", tt.name, total, want)
		}
		if got := tt.shape.String(); got != tt.name {
			t.Errorf("the pool is %q, want %q", got, tt.name)
		}
	}
}

// "CalcApp load = jobs/maxjobs". The fast PE runs 8 jobs at once and weighs 4.
func TestPolicyParameters(t *testing.T) {
	tests := []struct {
		policy protocol.PolicyType
		want   protocol.Policy
	}{
		{protocol.RoundRobin, protocol.Policy{}},
		{protocol.WeightedRandom, protocol.Policy{Weight: 4}},
		{protocol.Priority, protocol.Policy{Priority: 4}},
		{protocol.LeastUsed, protocol.Policy{Load: 0x60000000}},
		{protocol.LeastUsedDegradation, protocol.Policy{Load: 0x60000000, Degradation: 0x20000000}},
	}
	for _, tt := range tests {
		s := scenario{policy: tt.policy, pool: poolShape{12, 4}, model: defaultModel()}
		tt.want.Type = tt.policy
		if got := s.policyOf(0, 3); got != tt.want {
			t.Errorf("with 3 jobs: %v, want %v", got, tt.want)
		}
	}
}
