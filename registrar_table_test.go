package rsp

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/tcp"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5352 section 3.6: the list of ENRP servers.

const announceTimeout = 5 * time.Second

// tableTest is a table with one configured registrar.
type tableTest struct {
	*testing.T
	*registrarTable
	now time.Time
}

func newTableTest(t *testing.T, networks ...transport.Network) *tableTest {
	if len(networks) == 0 {
		networks = []transport.Network{simnet.Default()}
	}
	table := newRegistrarTable(protocolsOf(networks), announceTimeout)
	table.handleLookup(overEach(table.protocols, netip.MustParseAddrPort("10.0.0.1:3863")), nil)
	return &tableTest{t, table, time.Unix(1e9, 0)}
}

// announce gives an announce to the table, and returns the new addresses.
func (t *tableTest) announce(from string, transports ...protocol.TransportAddr) []string {
	m := &wire.ServerAnnounce{Registrar: 1, Transports: transports}
	return texts(t.handleAnnounce(t.now, m, netip.MustParseAddrPort(from)))
}

func texts(addrs []protocol.TransportAddr) (all []string) {
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return all
}

func (t *tableTest) want(reason string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", reason, got, want)
	}
}

func (t *tableTest) wantKnown(reason string, want ...string) {
	t.Helper()
	t.want(reason, texts(t.candidates(t.now)), want...)
}

func sctpAt(port uint16, addrs ...string) protocol.TransportAddr {
	to := protocol.TransportAddr{Protocol: protocol.SCTP, Port: port}
	for _, a := range addrs {
		to.Addrs = append(to.Addrs, netip.MustParseAddr(a))
	}
	return to
}

// "it SHOULD insert all new included transport addresses into its list of ENRP server
// addresses and start a T7-ENRPoutdate timer for each address. For all already-known, included
// transport addresses, the T7-ENRPoutdate timer MUST be restarted for each address."
// "If a T7-ENRPoutdate timer for a transport address expires, the corresponding address is deleted".
func TestT7ENRPoutdate(t *testing.T) {
	tt := newTableTest(t)
	two, three := sctpAt(3863, "10.0.0.2", "10.1.0.2"), sctpAt(4711, "10.0.0.3")
	tt.want("new", tt.announce("10.9.9.9:1", two, three), "sctp 10.0.0.2,10.1.0.2:3863", "sctp 10.0.0.3:4711")
	tt.wantKnown("inserted", "sctp 10.0.0.1:3863", "sctp 10.0.0.2,10.1.0.2:3863", "sctp 10.0.0.3:4711")
	tt.now = tt.now.Add(announceTimeout - 1)
	tt.want("known", tt.announce("10.9.9.9:1", two))
	tt.wantKnown("T7 has not expired", "sctp 10.0.0.1:3863", "sctp 10.0.0.2,10.1.0.2:3863", "sctp 10.0.0.3:4711")
	tt.now = tt.now.Add(1)
	tt.wantKnown("T7 has expired", "sctp 10.0.0.1:3863", "sctp 10.0.0.2,10.1.0.2:3863")
	tt.now = tt.now.Add(announceTimeout - 2)
	tt.wantKnown("T7 was restarted", "sctp 10.0.0.1:3863", "sctp 10.0.0.2,10.1.0.2:3863")
	tt.now = tt.now.Add(1)
	tt.wantKnown("configured ones stay", "sctp 10.0.0.1:3863")
	tt.want("new again", tt.announce("10.9.9.9:1", two), "sctp 10.0.0.2,10.1.0.2:3863")
}

// "If no transport parameters are included in the ASAP_SERVER_ANNOUNCE message, the SCTP
// transport protocol is assumed to be used and the source IP address" is used; and the source
// port, as with RSPLIB, and every transport that there is.
func TestAnnounceWithoutTransport(t *testing.T) {
	tt := newTableTest(t, simnet.Default(), tcp.Network{})
	tt.want("source", tt.announce("10.0.0.2:35805"), "sctp 10.0.0.2:35805", "tcp 10.0.0.2:35805")
	tt.want("configured already", tt.announce("10.0.0.1:3863"))
}

// What an Endpoint cannot reach is not kept.
func TestAnnounceOfNoUse(t *testing.T) {
	tt := newTableTest(t)
	udp := sctpAt(3863, "10.0.0.2")
	udp.Protocol = protocol.UDP
	tt.want("no transport for it", tt.announce("10.0.0.2:3863", udp))
	tt.want("no port", tt.announce("10.0.0.2:0"))
	tt.want("no port", tt.announce("10.0.0.2:3863", sctpAt(0, "10.0.0.2")))
	tt.want("no address", tt.announce("10.0.0.2:3863", sctpAt(3863)))
	tt.want("no address of a machine", tt.announce("10.0.0.2:3863", sctpAt(3863, "0.0.0.0", "224.0.0.1", "::", "ff02::1")))
	tt.wantKnown("none of these", "sctp 10.0.0.1:3863")
	data := sctpAt(3863, "10.0.0.2")
	data.Use = protocol.DataAndControl
	tt.want("its use does not matter", tt.announce("10.0.0.2:3863", data, sctpAt(3863, "10.0.0.2")), "sctp 10.0.0.2:3863")
}

// Whoever floods the group fills the list, but displaces nobody and is forgotten.
func TestFloodOfAnnounces(t *testing.T) {
	tt := newTableTest(t)
	tt.announce("10.0.0.2:3863")
	added := 0
	for i := range uint32(100_000) {
		var fake [4]byte
		binary.BigEndian.PutUint32(fake[:], 0x0b000000+i)
		added += len(tt.announce(fmt.Sprint(netip.AddrFrom4(fake), ":3863")))
		tt.now = tt.now.Add(time.Microsecond)
	}
	if known := tt.candidates(tt.now); added != 63 || len(known) != 1+64 || !known[1].Equal(sctpAt(3863, "10.0.0.2")) {
		t.Errorf("%d added, knows %v", added, known)
	}
	tt.now = tt.now.Add(announceTimeout)
	tt.wantKnown("all are forgotten", "sctp 10.0.0.1:3863")
}

// "Default: off if Registrars or RSP_REGISTRARS say which ones to use, else auto."
func TestAnnounceDefault(t *testing.T) {
	for _, test := range []struct {
		name, env string
		cfg       Config
		want      string
	}{
		{"no configuration", "", Config{}, "auto"},
		{"registrars", "", Config{Registrars: []string{"10.0.0.1:3863"}}, "off"},
		{"environment", "10.0.0.1:3863", Config{}, "off"},
		{"both", "10.0.0.1:3863", Config{Announce: "auto"}, "auto"},
		{"neither", "", Config{Announce: "off"}, "off"},
	} {
		t.Setenv(registrarsEnv, test.env)
		if got := test.cfg.withDefaults().Announce; got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAnnounceFlags(t *testing.T) {
	for _, test := range []struct {
		arg   string
		group string // "": the flag is refused
	}{
		{"auto", "239.0.0.50:3863"},
		{"off", "invalid AddrPort"},
		{"224.0.1.185:3863", "224.0.1.185:3863"},
		{"[ff05::133]:3863", "[ff05::133]:3863"},
		{"239.0.0.50", ""},
		{"239.0.0.50:0", ""},
		{"10.0.0.1:3863", ""},
		{"on", ""},
	} {
		var c Config
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		c.RegisterFlags(fs)
		err := fs.Parse([]string{"-asapannounce=" + test.arg, "-asapannounceinterface=lo", "-registrarannouncetimeout=250"})
		if (err != nil) != (test.group == "") {
			t.Errorf("-asapannounce=%s: %v", test.arg, err)
		}
		if err != nil {
			if _, err := NewEndpoint(&Config{Announce: test.arg}); err == nil {
				t.Errorf("Announce %q is taken", test.arg)
			}
			continue
		}
		group, err := parseGroup(c.Announce, asapAnnounces)
		if err != nil || group.String() != test.group {
			t.Errorf("-asapannounce=%s is %v, %v", test.arg, group, err)
		}
		if c.RegistrarAnnounceTimeout != 250*time.Millisecond || !slices.Equal(c.AnnounceInterfaces, []string{"lo"}) {
			t.Errorf("flags give %v, %q", c.RegistrarAnnounceTimeout, c.AnnounceInterfaces)
		}
	}
}
