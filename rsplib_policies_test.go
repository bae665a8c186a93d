package rsp_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// rsplibPolicies is how RSPLIB's rspserver spells each policy that its registrar takes.
var rsplibPolicies = []string{
	"RoundRobin", "WeightedRoundRobin:3", "Random", "WeightedRandom:4", "WeightedRandomDPF:7:0.5", "Priority:9",
	"LeastUsed", "LeastUsedDegradation:0.25", "LeastUsedDPF:0.001", "LeastUsedDegradationDPF:0.25:0.001",
	"PriorityLeastUsed:0.1", "PriorityLeastUsedDegradation:0.1",
	"RandomizedLeastUsed", "RandomizedPriorityLeastUsed",
}

// Each pool has a PE of each make, which spells its policy in the same way. So both mean the same
// by it, or the registrar, of either make, would refuse the second one.
func TestPoliciesWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		for i, registrar := range []maker{ours, rsplib} {
			m := mix{registrar: registrar, port: 5000 + 10*i}
			t.Run(m.registrar.String(), m.testPolicies)
		}
	})
}

func (m mix) testPolicies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	m.startRegistrar(ctx, t)
	e := m.endpoint(t, "both")
	for i, text := range rsplibPolicies {
		policy, err := rsp.ParsePolicy(text)
		if err != nil {
			t.Error(err)
			continue
		}
		pool := rsp.PoolHandle(fmt.Sprint("Pool ", i))
		if _, err := e.Listen(ctx, pool, rsp.PE{ID: 1, Policy: policy}); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		lab.Start(t, lab.RSPLIB(t, "rspserver", append(m.libraryArgs(), "-echo", "-identifier=2",
			"-poolhandle="+string(pool), "-policy="+text)...)).Expect(ctx, t, "Identifier")
		m.wantPolicies(ctx, t, e, pool, policy)
	}
}

// wantPolicies waits until a pool has the PEs 1 and 2, and compares their policies.
func (m mix) wantPolicies(ctx context.Context, t *testing.T, e *rsp.Endpoint, pool rsp.PoolHandle, want rsp.Policy) {
	t.Helper()
	for ; ; time.Sleep(10 * time.Millisecond) {
		r, err := e.Resolve(ctx, pool, rsp.AllElements)
		if err != nil {
			t.Fatalf("%v: %v", want, err)
		}
		if len(r.Elements) == 2 {
			for _, el := range r.Elements {
				if el.Policy != want {
					t.Errorf("PE %v has policy %v, want %v", el.ID, el.Policy, want)
				}
			}
			ids := []rsp.PEID{r.Elements[0].ID, r.Elements[1].ID}
			if slices.Sort(ids); !slices.Equal(ids, []rsp.PEID{1, 2}) {
				t.Errorf("%v: PEs %v", want, ids)
			}
			return
		}
	}
}
