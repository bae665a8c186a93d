package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// What does not fit in a message is left out at the end of its list, and the message
// that is left is whole.
func TestListsStopAtMaxMessage(t *testing.T) {
	elements := slices.Repeat([]protocol.PoolElement{echoPE}, 2000)
	encoded := slices.Repeat([][]byte{AppendElement(nil, &echoPE)}, 2000)
	servers := slices.Repeat([]ServerInformation{{pr1, sctp(9901, 0, "10.50.0.1")}}, 4000)
	pools := slices.Repeat([]PoolEntry{{"EchoPool", elements[:1]}}, 2000)
	transports := slices.Repeat([]protocol.TransportAddr{sctp(3863, 0, "10.50.0.1")}, 5000)
	causes := slices.Repeat([]ErrorCause{{Code: protocol.CauseUnspecified}}, 20000)
	tests := []struct {
		m     Message
		enrp  bool
		entry int // bytes that one more takes
	}{
		{&HandleResolutionResponse{Handle: "EchoPool", Policy: roundRobin, Elements: elements}, false, 56},
		{&BusinessCard{Handle: "EchoPool", Elements: elements}, false, 56},
		{&ServerAnnounce{pr1, transports}, false, 16},
		{&ASAPError{causes}, false, 4},
		{&HandleTableResponse{Sender: pr1, Receiver: pr2, Entries: pools}, true, 68},
		{&HandleTableResponse{Sender: pr1, Receiver: pr2, Entries: []PoolEntry{{"EchoPool", elements}}}, true, 56},
		{&ListResponse{Sender: pr1, Receiver: pr2, Servers: servers}, true, 24},
	}
	for _, test := range tests {
		b := test.m.AppendTo([]byte("before"))[len("before"):]
		if len(b) > MaxMessage || len(b) <= MaxMessage-test.entry {
			t.Errorf("%T has %d bytes", test.m, len(b))
		}
		if _, err := decode(new(Decoder), test.enrp, b); err != nil {
			t.Errorf("%T: %v", test.m, err)
		}
	}
	b := AppendResolution(nil, "EchoPool", roundRobin, encoded)
	if want := tests[0].m.AppendTo(nil); !bytes.Equal(b, want) {
		t.Errorf("AppendResolution gives %d bytes, want the %d of AppendTo", len(b), len(want))
	}
}

// An error that would quote more than fits quotes nothing.
func TestErrorWithoutRoomForData(t *testing.T) {
	data := make([]byte, MaxMessage-8)
	for room, want := range map[int]int{MaxMessage - 4 - 4 - 4: MaxMessage - 12, MaxMessage - 8: 0} {
		m := &ASAPError{[]ErrorCause{{protocol.CauseUnrecognizedMessage, data[:room]}}}
		got, err := new(Decoder).ASAP(m.AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got.(*ASAPError).Causes[0].Data); n != want {
			t.Errorf("%d bytes are quoted by %d, want %d", room, n, want)
		}
	}
}

// Every message that is decoded can be encoded, the longest ones too.
func TestLongest(t *testing.T) {
	longest := (&CookieEcho{make([]byte, MaxCookie)}).AppendTo(nil)
	if len(longest) != MaxMessage {
		t.Errorf("a cookie of MaxCookie makes %d bytes", len(longest))
	}
	m, err := new(Decoder).ASAP(longest)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.AppendTo(nil), longest) {
		t.Error("the longest message is encoded another way")
	}
	over := append(bytes.Clone(longest), make([]byte, 4)...)
	binary.BigEndian.PutUint16(over[2:], MaxMessage+3)
	binary.BigEndian.PutUint16(over[6:], MaxMessage+3-4)
	_, err = new(Decoder).ASAP(over)
	wantError(t, "a length without room for padding", err, protocol.CauseInvalidMessage, "", false)
}

// A cookie over MaxCookie has no message.
func TestCookieTooLong(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a cookie over MaxCookie was encoded")
		}
	}()
	(&Cookie{make([]byte, MaxCookie+1)}).AppendTo(nil)
}

// What decoding allocates is in proportion to the message, whatever it says.
func TestAllocationFitsMessage(t *testing.T) {
	const most = 64 // bytes for a byte, all growing of slices included
	for _, m := range []Message{
		&ASAPError{slices.Repeat([]ErrorCause{{Code: protocol.CauseUnspecified}}, 20000)},
		&ServerAnnounce{pr1, slices.Repeat([]protocol.TransportAddr{sctp(3863, 0, "10.50.0.1")}, 5000)},
		&BusinessCard{"EchoPool", roundRobin, slices.Repeat([]protocol.PoolElement{registered(echoPE, 0)}, 2000)},
	} {
		b := m.AppendTo(nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := new(Decoder).ASAP(b); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > most*uint64(len(b)) {
			t.Errorf("%T of %d bytes takes %d", m, len(b), got)
		}
	}
}

// A line stays a line, however long the cookie.
func TestTextOfLongCookie(t *testing.T) {
	got := (&Cookie{make([]byte, 1000)}).String()
	if want := "ASAP_COOKIE " + strings.Repeat("00", 40) + "... of 1000 bytes"; got != want {
		t.Errorf("text is %q, want %q", got, want)
	}
}

// The largest element that is decoded fits in every message that passes it on.
func TestLargestElement(t *testing.T) {
	e := echoPE
	e.User = protocol.TransportAddr{Protocol: protocol.OpaqueTransport, Opaque: strings.Repeat("x", protocol.MaxOpaque)}
	e.Policy = protocol.Policy{Type: 0x7fff0001, Opaque: strings.Repeat("y", protocol.MaxOpaque)}
	if _, err := new(Decoder).ASAP((&Registration{"EchoPool", e}).AppendTo(nil)); err != nil {
		t.Error(err)
	}
	e.User.Opaque += "x"
	if _, err := new(Decoder).ASAP((&Registration{"EchoPool", e}).AppendTo(nil)); err == nil {
		t.Error("a longer transport is accepted")
	}
	e.User, e.Policy.Opaque = echoPE.User, e.Policy.Opaque+"y"
	if _, err := new(Decoder).ASAP((&Registration{"EchoPool", e}).AppendTo(nil)); err == nil {
		t.Error("a longer policy is accepted")
	}
}

// The registration life is a number of milliseconds without sign, for RSPLIB.
func TestLife(t *testing.T) {
	for life, want := range map[time.Duration]time.Duration{
		-time.Second:                  0,
		1500 * time.Microsecond:       time.Millisecond,
		50 * 24 * time.Hour:           0xffffffff * time.Millisecond,
		0xffffffff * time.Millisecond: 0xffffffff * time.Millisecond,
	} {
		e := echoPE
		e.Life = life
		m, err := new(Decoder).ASAP((&Registration{"EchoPool", e}).AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(*Registration).Element.Life; got != want {
			t.Errorf("life %v is read as %v, want %v", life, got, want)
		}
	}
}

// A Decoder keeps no more pool handles than it has places, and tells those apart that
// share one.
func TestInterned(t *testing.T) {
	var d Decoder
	for i := range 10 * len(d.strings) {
		want := protocol.PoolHandle(fmt.Sprintf("pool %d", i))
		m, err := d.ASAP((&HandleResolution{Handle: want}).AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(*HandleResolution).Handle; got != want {
			t.Fatalf("handle is %q, want %q", got, want)
		}
	}
}
