package simnet_test

import (
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// suite sets up two hosts with two addresses each for the suite of all transports.
func suite(config simnet.Config) transporttest.Setup {
	n := simnet.New(config)
	client, server := n.Host("10.0.0.1", "10.1.0.1"), n.Host("10.0.0.2", "10.1.0.2")
	n.Host("10.0.0.3")
	n.Cut(addr("10.0.0.1"), addr("10.0.0.3"))
	return transporttest.Setup{
		Client:     client,
		Server:     server,
		ClientAddr: protocol.TransportAddr{Protocol: protocol.SCTP, Addrs: client.Addrs()},
		ServerAddr: protocol.TransportAddr{Protocol: protocol.SCTP, Addrs: server.Addrs()},
		Dead:       addr("10.0.0.9"),
		Silent:     protocol.TransportAddr{Protocol: protocol.SCTP, Port: 1, Addrs: []netip.Addr{addr("10.0.0.3")}},
	}
}

var configs = map[string]simnet.Config{
	"Plain":   {},
	"Latency": {Latency: time.Millisecond},
	"Loss":    {Latency: 3 * time.Millisecond, Loss: 0.1, Seed: 1},
}

func TestSuite(t *testing.T) {
	t.Run("Plain", func(t *testing.T) {
		transporttest.Run(t, func(*testing.T) transporttest.Setup { return suite(configs["Plain"]) })
	})
	t.Run("Latency", func(t *testing.T) {
		transporttest.Run(t, func(*testing.T) transporttest.Setup { return suite(configs["Latency"]) })
	})
}

func TestSuiteInBubble(t *testing.T) {
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			transporttest.RunInBubble(t, func(*testing.T) transporttest.Setup { return suite(config) })
		})
	}
	t.Run("Default", func(t *testing.T) {
		h := simnet.Default()
		local := protocol.TransportAddr{Protocol: protocol.SCTP, Addrs: h.Addrs()}
		transporttest.RunInBubble(t, func(*testing.T) transporttest.Setup {
			return transporttest.Setup{Client: h, Server: h, ClientAddr: local, ServerAddr: local}
		})
	})
}

func BenchmarkSuite(b *testing.B) {
	transporttest.Bench(b, func(*testing.B) transporttest.Setup { return suite(simnet.Config{}) })
}
