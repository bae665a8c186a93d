package rsp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/wire"
)

// RSPLIB's policies with a distance: each registrar counts how far it is from a PE, by way of the PE's
// home, in steps of 50 ms.
func TestDistances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 120 * time.Millisecond
		s := &scope{t: t, net: simnet.New(simnet.Config{Latency: latency})}
		home := s.host()
		s.startRegistrar(home)
		other := s.host()
		addr := other.Addrs()[0].String()
		r := rsp.NewRegistrarOn(rsp.RegistrarConfig{Address: addr + ":3863", Peers: []string{home.Addrs()[0].String()}}, other)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Abort)
		pe := s.endpoint("pe", s.host(), rsp.Config{})
		if _, err := pe.Listen(t.Context(), "EchoPool", rsp.PE{ID: 7, Policy: rsp.LeastUsedDPF(0, 0.001)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		for _, c := range []struct {
			host *simnet.Host
			want uint32
		}{{home, 100}, {other, 200}} {
			if got := distance(t, s.host(), c.host, "EchoPool"); got != c.want {
				t.Errorf("from %v the PE is %d ms away, want %d", c.host.Addrs()[0], got, c.want)
			}
		}
	})
}

// distance is that of the only PE of a pool, as a registrar tells it.
func distance(t *testing.T, from, registrar *simnet.Host, pool rsp.PoolHandle) uint32 {
	t.Helper()
	to := protocol.TransportAddr{Protocol: protocol.SCTP, Port: protocol.PortASAP, Addrs: registrar.Addrs()}
	assoc, err := from.Dial(t.Context(), to, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer assoc.Abort()
	p := &peer{TB: t, Assoc: assoc, buf: make([]byte, 1<<16)}
	m, ok := p.request(&wire.HandleResolution{Handle: pool, Items: 1}).(*wire.HandleResolutionResponse)
	if !ok || len(m.Elements) != 1 {
		t.Fatalf("resolved to %v", m)
	}
	return m.Elements[0].Policy.Distance
}
