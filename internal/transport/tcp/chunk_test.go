package tcp

import (
	"bytes"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// "Each of these is a protocol error [...]: an unknown type, a length that the chunk
// cannot have".
// appendData appends the DATA chunk of a message.
func appendData(b []byte, tsn uint32, info transport.SendInfo, ssn uint16, message []byte) []byte {
	return appendPadded(appendDataHeader(b, tsn, info, ssn, len(message)), message)
}

func TestParseHeader(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want header // zero: refused
	}{
		{"DATA, empty", "\x00\x00\x00\x10", header{chunkData, 0, 16}},
		{"DATA, longest, unordered", "\x00\x04\xff\xff", header{chunkData, 4, 65535}},
		{"DATA, shorter than its header", "\x00\x00\x00\x0f", header{}},
		{"DATA, length 0", "\x00\x00\x00\x00", header{}},
		{"INIT", "\x01\x07\x00\x04", header{chunkInit, 7, 4}},
		{"INIT, length 3", "\x01\x00\x00\x03", header{}},
		{"INIT with a value", "\x01\x00\x00\x08", header{}},
		{"reserved type 2", "\x02\x00\x00\x04", header{}},
		{"ACK", "\x03\x00\x00\x08", header{chunkAck, 0, 8}},
		{"ACK without TSN", "\x03\x00\x00\x04", header{}},
		{"HEARTBEAT, shortest", "\x04\x00\x00\x08", header{chunkHeartbeat, 0, 8}},
		{"HEARTBEAT, longest", "\x04\x00\x01\x08", header{chunkHeartbeat, 0, 264}},
		{"HEARTBEAT, too long", "\x04\x00\x01\x09", header{}},
		{"HEARTBEAT without value", "\x04\x00\x00\x04", header{}},
		{"HEARTBEAT ACK", "\x05\x00\x00\x09", header{chunkHeartbeatAck, 0, 9}},
		{"unknown type 6", "\x06\x00\x00\x04", header{}},
		{"SHUTDOWN", "\x07\x00\x00\x04", header{chunkShutdown, 0, 4}},
		{"SHUTDOWN with a value", "\x07\x00\x00\x05", header{}},
		{"unknown type 255", "\xff\x00\x00\x04", header{}},
	} {
		got, err := parseHeader([]byte(c.in))
		if c.want == (header{}) {
			if err == nil {
				t.Errorf("%s: taken as %+v", c.name, got)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestAppend(t *testing.T) {
	ordered := transport.SendInfo{PPID: protocol.PPIDASAP, Stream: 0x0102}
	unordered := transport.SendInfo{PPID: 0xdeadbeef, Unordered: true}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"INIT", appendInit(nil), "\x01\x00\x00\x04"},
		{"SHUTDOWN", appendShutdown(nil), "\x07\x00\x00\x04"},
		{"ACK", appendAck(nil, 0x01020304), "\x03\x00\x00\x08\x01\x02\x03\x04"},
		{"DATA", appendData(nil, 5, ordered, 7, []byte("hello")),
			"\x00\x00\x00\x15" + "\x00\x00\x00\x05" + "\x01\x02\x00\x07" + "\x00\x00\x00\x0b" + "hello\x00\x00\x00"},
		{"DATA, unordered, no padding", appendData(nil, 0xffffffff, unordered, 0, []byte("four")),
			"\x00\x04\x00\x14" + "\xff\xff\xff\xff" + "\x00\x00\x00\x00" + "\xde\xad\xbe\xef" + "four"},
		{"DATA, empty", appendData(nil, 0, transport.SendInfo{}, 0, nil),
			"\x00\x00\x00\x10" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"},
		{"HEARTBEAT", appendBeat(nil, chunkHeartbeat, nil), "\x04\x00\x00\x08\x00\x01\x00\x04"},
		{"HEARTBEAT ACK", appendBeat(nil, chunkHeartbeatAck, []byte("xyz")),
			"\x05\x00\x00\x0b\x00\x01\x00\x07xyz\x00"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: % x, want % x", c.name, c.got, c.want)
		}
	}
}

func TestParseBeat(t *testing.T) {
	if opaque, err := parseBeat([]byte("\x00\x01\x00\x07xyz")); err != nil || string(opaque) != "xyz" {
		t.Errorf("%q, %v", opaque, err)
	}
	for _, bad := range []string{"\x00\x02\x00\x04", "\x00\x01\x00\x03", "\x00\x01\x00\x05", "\x00\x01\x00\x00xyz"} {
		if opaque, err := parseBeat([]byte(bad)); err == nil {
			t.Errorf("% x: taken as %q", bad, opaque)
		}
	}
}

// What is accepted is what would be sent, apart from flags, padding and the stream
// sequence number, which receivers ignore.
func FuzzChunk(f *testing.F) {
	f.Add(appendInit(nil))
	f.Add(appendAck(nil, 1))
	f.Add(appendBeat(nil, chunkHeartbeat, []byte("abc")))
	f.Add(appendData(nil, 3, transport.SendInfo{Stream: 1, PPID: 11, Unordered: true}, 0, []byte("abc")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerLen {
			return
		}
		h, err := parseHeader(b)
		if err != nil || len(b) < h.length {
			return
		}
		b = b[:h.length]
		var again []byte
		switch h.typ {
		case chunkData:
			d := parseData(b)
			if d.length != h.length {
				t.Fatalf("DATA has length %d and %d", d.length, h.length)
			}
			info := transport.SendInfo{PPID: d.ppid, Stream: d.stream, Unordered: d.unordered}
			again = appendData(nil, d.tsn, info, uint16(b[10])<<8|uint16(b[11]), b[dataHeaderLen:])
		case chunkHeartbeat, chunkHeartbeatAck:
			opaque, err := parseBeat(b[headerLen:])
			if err != nil {
				return
			}
			again = appendBeat(nil, h.typ, opaque)
		default:
			return // fixed size
		}
		if len(again) != h.length+h.padding() {
			t.Fatalf("% x has %d bytes and %d of padding; again % x", b, h.length, h.padding(), again)
		}
		again[1], b[1] = 0, 0
		if !bytes.Equal(again[:h.length], b) {
			t.Fatalf("% x, again % x", b, again)
		}
	})
}
