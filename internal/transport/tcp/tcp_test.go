package tcp_test

import (
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport/tcp"
	"github.com/rserpool/rsp/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func loopback() transporttest.Setup {
	local := protocol.TransportAddr{Protocol: protocol.TCP, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	return transporttest.Setup{
		Client: tcp.Network{}, Server: tcp.Network{},
		ClientAddr: local, ServerAddr: local,
		Dead: netip.MustParseAddr("127.0.0.2"),
	}
}

func TestTransport(t *testing.T) {
	transporttest.Run(t, func(*testing.T) transporttest.Setup { return loopback() })
}
