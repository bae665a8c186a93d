package sctp

import (
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guestAddr is the address of a guest; nobody has strangerAddr in its network.
var (
	guestAddr    = netip.MustParseAddr("192.168.77.1")
	strangerAddr = netip.MustParseAddr("192.168.77.99")
)

func at(port uint16, addrs ...netip.Addr) protocol.TransportAddr {
	return protocol.TransportAddr{Protocol: protocol.SCTP, Port: port, Addrs: addrs}
}

func newTestNetwork(t testing.TB) transport.Network {
	t.Helper()
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestContract(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		transporttest.Run(t, func(t *testing.T) transporttest.Setup {
			n := newTestNetwork(t)
			return transporttest.Setup{
				Client: n, ClientAddr: at(0, guestAddr),
				Server: n, ServerAddr: at(0, guestAddr),
				Dead: strangerAddr, Silent: at(9, strangerAddr),
			}
		})
	})
}

func BenchmarkKernel(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		n := newTestNetwork(b)
		transporttest.Bench(b, func(*testing.B) transporttest.Setup {
			return transporttest.Setup{Client: n, ClientAddr: at(0, guestAddr), Server: n, ServerAddr: at(0, guestAddr)}
		})
	})
}
