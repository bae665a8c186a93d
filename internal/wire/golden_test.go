package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rserpool/rsp/internal/protocol"
)

// golden is one message in its three forms. The tables are RSPLIB's messages of
// every type (rsplibMessages), and the forms that RFC 5352 to 5354 add to them
// (rfcMessages).
type golden struct {
	name string
	enrp bool
	hex  string // blanks and bars are for the reader
	want Message
	text string
}

func (g golden) bytes(t testing.TB) []byte { return unhex(t, g.hex) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(strings.ReplaceAll(s, "|", " ")), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(d *Decoder, enrp bool, b []byte) (Message, error) {
	if enrp {
		return d.ENRP(b)
	}
	return d.ASAP(b)
}

var equateAddrs = cmpopts.EquateComparable(netip.Addr{})

func sctp(port uint16, use protocol.TransportUse, addrs ...string) protocol.TransportAddr {
	a := protocol.TransportAddr{Protocol: protocol.SCTP, Port: port, Use: use}
	for _, s := range addrs {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
	}
	return a
}

const life = 90 * time.Second

var (
	roundRobin = protocol.Policy{Type: protocol.RoundRobin}
	weighted3  = protocol.Policy{Type: protocol.WeightedRoundRobin, Weight: 3}
	dpf        = protocol.Policy{Type: protocol.LeastUsedDPF, Load: 0x10000000, LoadDPF: 0x28f5c}

	echoPE = protocol.PoolElement{ID: 0x0abc0001, Home: 0x11111111, Life: life, User: sctp(45057, 1, "10.50.0.4"),
		Policy: roundRobin, ASAP: sctp(37961, 0, "10.50.0.4")}
	pingPE = protocol.PoolElement{ID: 0x0abc0002, Home: 0x11111111, Life: life, User: sctp(51012, 1, "10.50.0.5"),
		Policy: weighted3, ASAP: sctp(33035, 0, "10.50.0.5")}
)

// registered is e as it stands in ASAP messages, with this home.
func registered(e protocol.PoolElement, home protocol.RegistrarID) protocol.PoolElement {
	e.Home, e.ASAP = home, protocol.TransportAddr{}
	return e
}

func TestGolden(t *testing.T) {
	for _, g := range append(rsplibMessages, rfcMessages...) {
		t.Run(g.name, func(t *testing.T) {
			b := g.bytes(t)
			got, err := decode(new(Decoder), g.enrp, b)
			if err != nil {
				t.Fatalf("decode: %v", err)
			}
			if diff := cmp.Diff(g.want, got, equateAddrs); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
			if out := g.want.AppendTo(nil); !bytes.Equal(out, b) {
				t.Errorf("encoded\n%x, want\n%x", out, b)
			}
			if got.String() != g.text {
				t.Errorf("text is\n%s, want\n%s", got, g.text)
			}
		})
	}
}

// A message goes behind what is in the buffer already, wherever that ends.
func TestAppendToKeepsPrefix(t *testing.T) {
	for _, g := range append(rsplibMessages, rfcMessages...) {
		got := g.want.AppendTo([]byte("xyz"))
		if want := append([]byte("xyz"), g.bytes(t)...); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%x, want\n%x", g.name, got, want)
		}
	}
}

// A datagram that ends early is an error wherever it ends; one whose Length field
// is as short as itself may be a shorter message, but never panics.
func TestTruncated(t *testing.T) {
	var d Decoder
	for _, g := range append(rsplibMessages, rfcMessages...) {
		b := g.bytes(t)
		for n := range len(b) {
			if m, err := decode(&d, g.enrp, b[:n]); err == nil {
				t.Errorf("%s: first %d of %d bytes decode as %v", g.name, n, len(b), m)
			}
		}
		for n := 4; n < len(b); n++ {
			short := bytes.Clone(b[:pad4(n)])
			binary.BigEndian.PutUint16(short[2:], uint16(n))
			if m, err := decode(&d, g.enrp, short); (m == nil) == (err == nil) {
				t.Errorf("%s: of length %d: message %v, error %v", g.name, n, m, err)
			}
		}
	}
}

// RFC 5354 section 4: "Note, the value in the Message Length field will NOT cover any
// padding at the end of this message." RSPLIB's covers it. Both are read.
func TestLengthWithoutPadding(t *testing.T) {
	var d Decoder
	for _, g := range append(rsplibMessages, rfcMessages...) {
		b := g.bytes(t)
		padding := lastPadding(b)
		if padding == 0 {
			continue
		}
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-padding))
		got, err := decode(&d, g.enrp, b)
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
		} else if diff := cmp.Diff(g.want, got, equateAddrs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", g.name, diff)
		}
	}
}

// lastPadding returns how many bytes of padding end an ASAP message whose last
// parameter is a pool handle or an operation error, as those of our tables that have any.
func lastPadding(b []byte) int {
	for at := 4; at+4 <= len(b); {
		typ, n := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		if typ == 0 || typ > 0x10 || n < 4 || at+n > len(b) {
			return 0 // not at a parameter: a message with a fixed part
		}
		if at+pad4(n) == len(b) {
			return pad4(n) - n
		}
		at += pad4(n)
	}
	return 0
}
