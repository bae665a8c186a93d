package enrp

import (
	"math"
	"testing"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RSPLIB: "non-home PR: received distance + own measured distance to the home PR".
func TestDistanceOfPeersElements(t *testing.T) {
	e := newServing(t, 2, func(cfg *Config) { cfg.Distance = func(id effect.AssocID) uint32 { return uint32(id) * 50 } })
	for _, c := range []struct {
		name     string
		policy   protocol.PolicyType
		received uint32
		want     uint32
	}{
		{"counted", protocol.LeastUsedDPF, 100, 200},
		{"farthest", protocol.WeightedRandomDPF, math.MaxUint32 - 10, math.MaxUint32},
		{"not counted", protocol.LeastUsed, 0, 0},
	} {
		update := func() *wire.HandleUpdate {
			m := add(2, protocol.PoolHandle(c.name), 7)
			m.Element.Policy = protocol.Policy{Type: c.policy, Distance: c.received}
			return m
		}
		for range 2 {
			e.receive(2, update())
			if got := e.space.Get(protocol.PoolHandle(c.name), 7).Policy.Distance; got != c.want {
				t.Errorf("%s: %d, want %d", c.name, got, c.want)
			}
		}
	}
}
