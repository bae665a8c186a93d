package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rserpool/rsp/internal/protocol"
)

// message makes an ASAP message of its type and flags, and parameters in hex.
func message(t testing.TB, typ string, params ...string) []byte {
	t.Helper()
	b := unhex(t, typ+"0000"+strings.Join(params, ""))
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

const (
	echoHandle = "0009000c 4563686f506f6f6c"
	echoID     = "000e0008 0abc0001"
)

// RFC 5354 section 3: "The Parameter Types are encoded such that the two bits of the
// highest-order specify the action that must be taken if the processing endpoint does
// not recognize the Parameter Type." RSPLIB does so before an expected parameter only;
// we do at the end too.
func TestUnknownParameter(t *testing.T) {
	tests := []struct {
		what, param  string
		skip, silent bool
		report       bool
	}{
		{"00: stop processing this message and discard it", "00ff0008 61626364", false, true, false},
		{"01: stop, and report the unrecognized parameter", "40ff0008 61626364", false, false, false},
		{"10: skip this parameter and continue processing", "80ff0008 61626364", true, false, false},
		{"11: skip, but report the unrecognized parameter", "c0ff0008 61626364", true, false, true},
		{"10, padded", "80ff0005 61 000000", true, false, false},
		{"11, padded", "c0ff0005 61 000000", true, false, true},
		{"11, without value", "ffff0004", true, false, true},
		{"10, a standard number", "800d0008 61626364", true, false, false},
	}
	var d Decoder
	for _, test := range tests {
		for at := range 3 {
			params := []string{echoHandle, echoID}
			params = append(params[:at], append([]string{test.param}, params[at:]...)...)
			m, err := d.ASAP(message(t, "0200", params...))
			where := fmt.Sprintf("%s, as parameter %d", test.what, at)
			if test.skip {
				want := &Deregistration{"EchoPool", 0x0abc0001}
				if err != nil {
					t.Errorf("%s: %v", where, err)
				} else if diff := cmp.Diff(want, m); diff != "" {
					t.Errorf("%s (-want +got):\n%s", where, diff)
				}
			} else {
				wantError(t, where, err, protocol.CauseUnrecognizedParameter, test.param, test.silent)
			}
			wantUnrecognized(t, where, d.Unrecognized(), test.report, test.param)
		}
	}
}

func wantUnrecognized(t *testing.T, where string, got [][]byte, report bool, param string) {
	t.Helper()
	if !report {
		if len(got) != 0 {
			t.Errorf("%s: reports %x", where, got)
		}
		return
	}
	if want := unhex(t, param); len(got) != 1 || !bytes.Equal(got[0], withoutPadding(want)) {
		t.Errorf("%s: reports %x, want %x", where, got, want)
	}
}

// withoutPadding cuts a parameter to its length.
func withoutPadding(tlv []byte) []byte { return tlv[:binary.BigEndian.Uint16(tlv[2:])] }

// wantError checks a ParseError; data is the offending parameter in hex, "" for none.
func wantError(t *testing.T, where string, err error, cause protocol.Cause, data string, silent bool) {
	t.Helper()
	e, ok := errors.AsType[*ParseError](err)
	if !ok {
		t.Errorf("%s: error is %v", where, err)
		return
	}
	var want []byte
	if data != "" {
		want = withoutPadding(unhex(t, data))
	}
	if e.Cause != cause || !bytes.Equal(e.Data, want) || e.Silent != silent {
		t.Errorf("%s: cause 0x%04x, data %x, silent %v (%v); want 0x%04x, %x, %v",
			where, uint16(e.Cause), e.Data, e.Silent, e, uint16(cause), want, silent)
	}
}

// Unknown parameters are skipped within others as well.
func TestUnknownParameterInside(t *testing.T) {
	var d Decoder
	const unknown = "c1000006 6162 0000"
	m, err := d.ASAP(message(t, "0100", echoHandle, "000a0040 0abc0001 00000000 00015f90",
		"00040018 b001 0001", unknown, "00010008 0a320004", unknown, "00080008 00000001", unknown))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Registration{"EchoPool", registered(echoPE, 0)}, m, equateAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(d.Unrecognized()); n != 3 {
		t.Errorf("%d parameters to report, want 3", n)
	}
}

// RFC 5354 section 4: "01 Stop processing this message and discard it, and report the
// unrecognized message"; the other values discard it in silence.
func TestUnknownMessage(t *testing.T) {
	var d Decoder
	for _, enrp := range []bool{false, true} {
		for typ, silent := range map[string]bool{"00": true, "0f": true, "3f": true, "40": false, "7f": false, "80": true, "ff": true} {
			b := message(t, typ+"00", echoHandle)
			_, err := decode(&d, enrp, b)
			if !errors.Is(err, ErrUnknownMessage) {
				t.Errorf("type %s: %v is not ErrUnknownMessage", typ, err)
			}
			e, ok := errors.AsType[*ParseError](err)
			if !ok || e.Cause != protocol.CauseUnrecognizedMessage || e.Silent != silent || !bytes.Equal(e.Data, b) {
				t.Errorf("type %s: %+v", typ, e)
			}
		}
	}
}

// echoElement is a Pool Element parameter of these parameters.
func echoElement(t testing.TB, params ...string) string {
	b := unhex(t, "000a0000 0abc0001 00000000 00015f90"+strings.Join(params, ""))
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return fmt.Sprintf("%x", b)
}

func TestInvalid(t *testing.T) {
	const (
		transport  = "00040010 b001 0001 00010008 0a320004"
		policy     = "00080008 00000001"
		longHandle = "00090025 616161616161616161616161616161616161616161616161616161616161616161 000000"
	)
	manyAddrs := "0004 0210 0001 0000" + strings.Repeat("00010008 c0000201", 65)
	register := func(transport, policy string) []byte {
		return message(t, "0100", echoHandle, echoElement(t, transport, policy))
	}
	tests := []struct {
		what  string
		bytes []byte
		cause protocol.Cause
		data  string
	}{
		{"empty", nil, protocol.CauseInvalidMessage, ""},
		{"header cut", unhex(t, "020000"), protocol.CauseInvalidMessage, ""},
		{"length below 4", unhex(t, "02000003"), protocol.CauseInvalidMessage, ""},
		{"bytes behind the message", unhex(t, "0500000c 00090008 50463738 00000000"), protocol.CauseInvalidMessage, ""},
		{"fewer bytes than the length", unhex(t, "05000010 00090008 50463738"), protocol.CauseInvalidMessage, ""},
		{"last padding not there", unhex(t, "0500000b 00090007 504637"), protocol.CauseInvalidValues, ""},
		{"parameter header cut", unhex(t, "05000006 0009 0000"), protocol.CauseInvalidMessage, ""},
		{"parameter length below 4", message(t, "0500", "00090003"), protocol.CauseInvalidValues, ""},
		{"parameter longer than the message", message(t, "0500", "0009000c 50463738"), protocol.CauseInvalidValue, ""},
		{"parameter longer than the Length", unhex(t, "0500000a 00090008 50463738"), protocol.CauseInvalidValue, ""},
		{"no parameter", message(t, "0200"), protocol.CauseInvalidMessage, ""},
		{"parameter missing", message(t, "0200", echoHandle), protocol.CauseInvalidMessage, ""},
		{"parameters in another order", message(t, "0200", echoID, echoHandle), protocol.CauseInvalidMessage, ""},
		{"parameter twice", message(t, "0200", echoHandle, echoID, echoID), protocol.CauseInvalidMessage, ""},
		{"parameter of another message", message(t, "0200", echoHandle, echoID, "000d0008 00000000"), protocol.CauseInvalidMessage, ""},
		{"fixed part cut", message(t, "0a00"), protocol.CauseInvalidMessage, ""},

		{"pool handle of 0 bytes", message(t, "0500", "00090004"), protocol.CauseInvalidValue, "00090004"},
		{"pool handle of 33 bytes", message(t, "0500", longHandle), protocol.CauseInvalidValue, longHandle},
		{"PE identifier of 2 bytes", message(t, "0200", echoHandle, "000e0006 0001 0000"), protocol.CauseInvalidValues, "000e0006 0001"},
		{"PE identifier of 8 bytes", message(t, "0200", echoHandle, "000e000c 00000001 00000001"), protocol.CauseInvalidValues, "000e000c 00000001 00000001"},
		{"empty cookie", message(t, "0b00", "000d0004"), protocol.CauseInvalidValue, "000d0004"},
		{"items of 2 bytes", message(t, "0500", echoHandle, "803f0006 0001 0000"), protocol.CauseInvalidValues, "803f0006 0001"},

		{"element without all fields", message(t, "0100", echoHandle, "000a000c 00000001 00000000"), protocol.CauseInvalidValues, "000a000c 00000001 00000000"},
		{"element without transport", register("", policy), protocol.CauseInvalidMessage, ""},
		{"element without policy", register(transport, ""), protocol.CauseInvalidMessage, ""},
		{"element with two policies", register(transport, policy+policy), protocol.CauseInvalidMessage, ""},
		{"transport without port", register("00040004", policy), protocol.CauseInvalidValues, "00040004"},
		{"transport without address", register("00040008 00010000", policy), protocol.CauseInvalidValue, "00040008 00010000"},
		{"transport with 65 addresses", register(manyAddrs, policy), protocol.CauseInvalidValue, manyAddrs},
		{"transport with another parameter", register("00040018 b001 0001 00010008 0a320004 000d0008 00000000", policy), protocol.CauseInvalidMessage, ""},
		{"DCCP transport without service code", register("00030008 00010000", policy), protocol.CauseInvalidValues, "00030008 00010000"},
		{"IPv4 address of 5 bytes", register("00040014 b001 0001 00010009 0a320004 00000000", policy), protocol.CauseInvalidValues, "00010009 0a320004 00"},
		{"IPv4 address of 16 bytes", register("0004001c b001 0001 00010014 fd000050000000000000000000000005", policy), protocol.CauseInvalidValues, "00010014 fd000050000000000000000000000005"},
		{"IPv6 address of 4 bytes", register("00040010 b001 0001 00020008 0a320004", policy), protocol.CauseInvalidValues, "00020008 0a320004"},
		{"policy without type", register(transport, "00080004"), protocol.CauseInvalidValue, "00080004"},
		{"policy type 0", register(transport, "00080008 00000000"), protocol.CauseInvalidValue, "00080008 00000000"},
		{"policy too short for its type", register(transport, "00080008 00000002"), protocol.CauseInvalidValue, "00080008 00000002"},

		{"operation error without cause", message(t, "0e00", "000c0004"), protocol.CauseInvalidValue, "000c0004"},
		{"cause header cut", message(t, "0e00", "000c0006 0001 0000"), protocol.CauseInvalidValues, "000c0006 0001"},
		{"cause length below 4", message(t, "0e00", "000c0008 0001 0003"), protocol.CauseInvalidValues, "000c0008 0001 0003"},
		{"cause longer than its parameter", message(t, "0e00", "000c0008 0001 0008"), protocol.CauseInvalidValues, "000c0008 0001 0008"},
		{"neither elements nor error", message(t, "0600", echoHandle), protocol.CauseInvalidMessage, ""},
		{"business card without element", message(t, "0d00", echoHandle), protocol.CauseInvalidMessage, ""},
		{"error without operation error", message(t, "0e00"), protocol.CauseInvalidMessage, ""},
	}
	var d Decoder
	for _, test := range tests {
		m, err := d.ASAP(test.bytes)
		if m != nil {
			t.Errorf("%s: is %v", test.what, m)
		}
		wantError(t, test.what, err, test.cause, test.data, false)
	}
	if _, err := d.ASAP(message(t, "0500", longHandle)); !errors.Is(err, protocol.ErrPoolHandle) {
		t.Errorf("%v is not ErrPoolHandle", err)
	}
}

func TestInvalidENRP(t *testing.T) {
	const (
		ids        = "11111111 22222222"
		transports = "00040010 b001 0001 00010008 0a320004 00080008 00000001"
		asap       = "00040010 9449 0000 00010008 0a320004"
		noHome     = "000a0038 0abc0001 00000000 00015f90" + transports + asap
		noASAP     = "000a0028 0abc0001 11111111 00015f90" + transports
		good       = "000a0038 0abc0001 11111111 00015f90" + transports + asap
	)
	tests := []struct {
		what  string
		bytes []byte
		cause protocol.Cause
		data  string
	}{
		{"identifiers cut", message(t, "0500", "11111111"), protocol.CauseInvalidMessage, ""},
		{"request with a parameter", message(t, "0500", ids, echoHandle), protocol.CauseInvalidMessage, ""},
		{"target missing", message(t, "0700", ids), protocol.CauseInvalidMessage, ""},
		{"checksum of 4 bytes", message(t, "0100", ids, "000f0008 00000000"), protocol.CauseInvalidValues, "000f0008 00000000"},
		{"server information cut", message(t, "0100", ids, "000b0004"), protocol.CauseInvalidValues, "000b0004"},
		{"server information without transport", message(t, "0100", ids, "000b0008 11111111"), protocol.CauseInvalidMessage, ""},
		{"server information before checksum", message(t, "0100", ids, "000b0018 11111111", asap, "000f0006 ffff 0000"), protocol.CauseInvalidMessage, ""},
		{"pool handle without element", message(t, "0300", ids, echoHandle), protocol.CauseInvalidValue, echoHandle},
		{"second pool handle without element", message(t, "0300", ids, echoHandle, good, echoHandle), protocol.CauseInvalidValue, echoHandle},
		{"table with element of no home", message(t, "0300", ids, echoHandle, noHome), protocol.CauseInvalidValue, noHome},
		{"table with element without ASAP transport", message(t, "0300", ids, echoHandle, noASAP), protocol.CauseInvalidRegistrarTransport, noASAP},
		{"update without home", message(t, "0400", ids, "00000000", echoHandle, noHome), protocol.CauseInvalidValue, noHome},
		{"update without ASAP transport", message(t, "0400", ids, "00000000", echoHandle, noASAP), protocol.CauseInvalidRegistrarTransport, noASAP},
		{"update of an unknown action", message(t, "0400", ids, "00020000", echoHandle, good), protocol.CauseInvalidValue, ""},
		{"error without operation error", message(t, "0a00", ids), protocol.CauseInvalidMessage, ""},
	}
	var d Decoder
	for _, test := range tests {
		_, err := d.ENRP(test.bytes)
		wantError(t, test.what, err, test.cause, test.data, false)
	}
}

// What others may write another way than we do, and what it is to us.
func TestAcceptsBothForms(t *testing.T) {
	register := func(transport, policy string) []byte {
		return message(t, "0100", echoHandle, echoElement(t, transport, policy))
	}
	element := func(user protocol.TransportAddr, p protocol.Policy) Message {
		e := registered(echoPE, 0)
		e.User, e.Policy = user, p
		return &Registration{"EchoPool", e}
	}
	user := sctp(45057, 1, "10.50.0.4")
	addrs := strings.Repeat("00010008 0a320004", 64)
	all := user
	all.Addrs = make([]netip.Addr, 64)
	for i := range all.Addrs {
		all.Addrs[i] = user.Addrs[0]
	}
	const transport, policy = "00040010 b001 0001 00010008 0a320004", "00080008 00000001"
	tests := []struct {
		what  string
		bytes []byte
		want  Message
	}{
		{"flags that are not used", message(t, "02ff", echoHandle, echoID), &Deregistration{"EchoPool", 0x0abc0001}},
		{"padding that is not zero", message(t, "0500", "00090007 504637 ff"), &HandleResolution{Handle: "PF7"}},
		{"items 0x003f", message(t, "0500", echoHandle, "003f0008 00000005"), &HandleResolution{Handle: "EchoPool", Items: 5}},
		{"items 0xc03f", message(t, "0500", echoHandle, "c03f0008 00000005"), &HandleResolution{Handle: "EchoPool", Items: 5}},
		{"pool handle with action bits", message(t, "0500", "8009000c 4563686f506f6f6c"), &HandleResolution{Handle: "EchoPool"}},
		{"use of another value", register("00040010 b001 0002 00010008 0a320004", policy), element(sctp(45057, 0, "10.50.0.4"), roundRobin)},
		{"UDP with use", register("00060010 b001 0001 00010008 0a320004", policy), element(withProtocol(protocol.UDP, sctp(45057, 0, "10.50.0.4")), roundRobin)},
		{"IPv4-mapped address", register("0004001c b001 0001 00020014 00000000 00000000 0000ffff 0a320004", policy), element(user, roundRobin)},
		{"two addresses with TCP", register("00050018 b001 0000 00010008 0a320004 00010008 0a320005", policy), element(withProtocol(protocol.TCP, sctp(45057, 0, "10.50.0.4", "10.50.0.5")), roundRobin)},
		{"64 addresses", register("00040208 b001 0001"+addrs, policy), element(all, roundRobin)},
		{"policy longer than its type needs", register(transport, "00080010 00000002 00000003 00000004"), element(user, weighted3)},
		{"business card with policy", message(t, "0d00", echoHandle, policy, echoElement(t, transport, policy)),
			&BusinessCard{"EchoPool", roundRobin, []protocol.PoolElement{registered(echoPE, 0)}}},
	}
	var d Decoder
	for _, test := range tests {
		m, err := d.ASAP(test.bytes)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
		} else if diff := cmp.Diff(test.want, m, equateAddrs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.what, diff)
		}
	}
}

// An error says in which message, where, what is wrong, and what is reported.
func TestParseErrorText(t *testing.T) {
	for _, test := range []struct {
		bytes []byte
		text  string
	}{
		{message(t, "0200", echoHandle), "ASAP_DEREGISTRATION at byte 16: message lacks its PE identifier (invalid message)"},
		{message(t, "0500", "00090004"), "ASAP_HANDLE_RESOLUTION at byte 4: parameter 0x0009 has a wrong size (invalid parameter value): pool handle must have 1 to 32 bytes"},
		{message(t, "7f00"), "ASAP message of unknown type at byte 0: message has type 0x7f (unrecognized message): unknown message type"},
		{message(t, "0200", "40ff0004"), "ASAP_DEREGISTRATION at byte 4: parameter 0x40ff is unknown (unrecognized parameter)"},
	} {
		if _, err := new(Decoder).ASAP(test.bytes); err == nil || err.Error() != test.text {
			t.Errorf("error is %q, want %q", err, test.text)
		}
	}
}
