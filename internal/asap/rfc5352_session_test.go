package asap_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// RFC 5352 section 3.8: "Whenever a PE wants, and a control channel exists, it can send an
// ASAP_COOKIE message to a PU via the control channel. The PU's ASAP endpoint stores the Cookie
// parameter and discards an older cookie if it is previously stored." "It is only important
// that the PU always stores the last received Cookie parameter and sends that back unmodified in
// case of a PE failure."
func TestCookie(t *testing.T) {
	var pu, pe asap.Control
	if b, ok := pu.AppendCookieEcho([]byte("x")); ok || string(b) != "x" || pu.HasCookie() || pu.Cookie() != nil {
		t.Errorf("has a cookie that nobody gave: %q", b)
	}
	for _, cookie := range []string{"a long first cookie", "short", "a", string(make([]byte, wire.MaxCookie))} {
		message := asap.AppendCookie(nil, []byte(cookie))
		if event, _ := pu.Handle(message); event != asap.CookieStored {
			t.Fatalf("cookie of %d bytes: event %d, want CookieStored", len(cookie), event)
		}
		clear(message) // it is the transport's
		if !pu.HasCookie() || string(pu.Cookie()) != cookie {
			t.Fatalf("stored %q, want %q", pu.Cookie(), cookie)
		}
		pu.Cookie()[0] ^= 1
		echo, ok := pu.AppendCookieEcho(nil)
		if !ok {
			t.Fatal("does not echo")
		}
		event, got := pe.Handle(echo)
		if event != asap.CookieEchoed || string(got) != cookie {
			t.Fatalf("the next PE gets %q (event %d), want %q", got, event, cookie)
		}
	}
	if pe.HasCookie() {
		t.Error("an echo was taken for a cookie")
	}
}

// RFC 5352 section 3.9: "First, it lists the pool handle." "Secondly, the ASAP_BUSINESS_CARD
// message tells the receiving entity a failover order that is recommended to follow." "a new
// ASAP_BUSINESS_CARD message may be sent at any time by either entity to update its failover order."
func TestBusinessCard(t *testing.T) {
	var pe asap.Control
	if handle, order := pe.Card(); handle != "" || order != nil {
		t.Errorf("has a card that nobody sent: %q, %v", handle, order)
	}
	for _, want := range [][]protocol.PoolElement{{element(2), element(1), element(3)}, {element(4)}} {
		message := asap.AppendCard(nil, pool, want)
		if event, cookie := pe.Handle(message); event != asap.CardReceived || cookie != nil {
			t.Fatalf("event %d with %q, want CardReceived", event, cookie)
		}
		pe.Handle((&wire.CookieEcho{Cookie: []byte("x")}).AppendTo(message[:0])) // uses the memory again
		if handle, got := pe.Card(); handle != pool || !cmp.Equal(got, want, cmpopts.EquateComparable(netip.Addr{})) {
			t.Errorf("card of %q: %v, want %v", handle, got, want)
		}
	}
}

// RFC 5352 section 2.2.13: type 0x0d, no flags, a Pool Handle parameter, and Pool Element parameters.
func TestBusinessCardOnTheWire(t *testing.T) {
	want := "0d000034" + // of 52 bytes
		"00090008" + hex.EncodeToString([]byte(pool)) +
		"000a0028" + "00000001" + "00000000" + "00000000" + // PE 1, home and life untold
		"00040010" + "0007" + "0000" + "00010008" + "0a000009" + // SCTP 10.0.0.9:7, data only
		"00080008" + "00000001" // Round Robin
	if got := hex.EncodeToString(asap.AppendCard(nil, pool, []protocol.PoolElement{element(1)})); got != want {
		t.Errorf("card is\n%s, want\n%s", got, want)
	}
}

// RSPLIB ignores everything else on the control channel.
func TestControlIgnores(t *testing.T) {
	var control asap.Control
	control.Handle(asap.AppendCookie(nil, []byte("keep")))
	malformed := asap.AppendCookie(nil, []byte("malformed"))
	for name, message := range map[string][]byte{
		"card of nobody": {0x0d, 0, 0, 12, 0, 9, 0, 8, 'E', 'c', 'h', 'o'},
		"other message":  (&wire.Deregistration{Handle: pool, ID: 1}).AppendTo(nil),
		"unknown":        {0x77, 0, 0, 4},
		"empty":          {},
		"cut short":      malformed[:len(malformed)-4],
		"too long":       append(bytes.Clone(malformed), 0, 0, 0, 0),
		"no cookie":      {0x0b, 0, 0, 4},
		"empty cookie":   {0x0b, 0, 0, 8, 0, 0x0d, 0, 4},
	} {
		if event, cookie := control.Handle(message); event != asap.ControlIgnored || cookie != nil {
			t.Errorf("%s: event %d with %q, want ControlIgnored", name, event, cookie)
		}
	}
	if string(control.Cookie()) != "keep" {
		t.Errorf("cookie is %q now, want %q", control.Cookie(), "keep")
	}
}

// A PE that gives a cookie with every answer costs the PU no memory.
func TestCookieAllocatesNothing(t *testing.T) {
	var control asap.Control
	message := asap.AppendCookie(nil, make([]byte, 1000))
	echo := make([]byte, 0, 2000)
	if n := testing.AllocsPerRun(100, func() {
		control.Handle(message)
		control.AppendCookieEcho(echo)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
