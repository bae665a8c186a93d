package asap_test

import (
	"bytes"
	"testing"

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

// RSPLIB ignores everything else on the control channel. Section 3.9's business card
// recommends an order of failover, which the registrar gives us.
func TestControlIgnores(t *testing.T) {
	var control asap.Control
	control.Handle(asap.AppendCookie(nil, []byte("keep")))
	card := &wire.BusinessCard{Handle: pool, Elements: []protocol.PoolElement{element(1)}}
	malformed := asap.AppendCookie(nil, []byte("malformed"))
	for name, message := range map[string][]byte{
		"business card": card.AppendTo(nil),
		"other message": (&wire.Deregistration{Handle: pool, ID: 1}).AppendTo(nil),
		"unknown":       {0x77, 0, 0, 4},
		"empty":         {},
		"cut short":     malformed[:len(malformed)-4],
		"too long":      append(bytes.Clone(malformed), 0, 0, 0, 0),
		"no cookie":     {0x0b, 0, 0, 4},
		"empty cookie":  {0x0b, 0, 0, 8, 0, 0x0d, 0, 4},
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
