package tcp

import (
	"encoding/binary"
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

type chunkType uint8

const (
	chunkData         chunkType = 0
	chunkInit         chunkType = 1
	chunkAck          chunkType = 3
	chunkHeartbeat    chunkType = 4
	chunkHeartbeatAck chunkType = 5
	chunkShutdown     chunkType = 7
)

const (
	headerLen     = 4
	dataHeaderLen = 16
	ackLen        = 8
	beatHeaderLen = 8
	maxChunk      = 1<<16 - 1
	maxBeat       = beatHeaderLen + 256

	// maxMessage is the longest message: DATA has no fragments.
	maxMessage = maxChunk - dataHeaderLen

	flagUnordered = 0x04
	initFlags     = 0x01 | 0x02 | 0x04 // fields that the peer leaves out
	beatInfo      = 1                  // type of the value of a HEARTBEAT
)

// header is the common start of all chunks.
type header struct {
	typ    chunkType
	flags  uint8
	length int // without padding
}

// padding is the number of bytes behind the chunk.
func (h header) padding() int { return -h.length & 3 }

// parseHeader takes the first headerLen bytes of a chunk. It refuses types that are
// unknown and lengths that the type cannot have.
func parseHeader(b []byte) (header, error) {
	h := header{chunkType(b[0]), b[1], int(binary.BigEndian.Uint16(b[2:]))}
	shortest, longest := 0, 0
	switch h.typ {
	case chunkData:
		shortest, longest = dataHeaderLen, maxChunk
	case chunkInit, chunkShutdown:
		shortest, longest = headerLen, headerLen
	case chunkAck:
		shortest, longest = ackLen, ackLen
	case chunkHeartbeat, chunkHeartbeatAck:
		shortest, longest = beatHeaderLen, maxBeat
	default:
		return h, fmt.Errorf("unknown chunk type %d", h.typ)
	}
	if h.length < shortest || h.length > longest {
		return h, fmt.Errorf("chunk type %d has length %d", h.typ, h.length)
	}
	return h, nil
}

// dataChunk is the start of a DATA chunk. It leaves out the stream sequence number,
// which nobody reads.
type dataChunk struct {
	tsn       uint32
	stream    uint16
	ppid      protocol.PPID
	unordered bool
	length    int // without padding
}

// parseData takes the first dataHeaderLen bytes of a DATA chunk.
func parseData(b []byte) dataChunk {
	return dataChunk{
		unordered: b[1]&flagUnordered != 0,
		length:    int(binary.BigEndian.Uint16(b[2:])),
		tsn:       binary.BigEndian.Uint32(b[4:]),
		stream:    binary.BigEndian.Uint16(b[8:]),
		ppid:      protocol.PPID(binary.BigEndian.Uint32(b[12:])),
	}
}

func appendHeader(b []byte, t chunkType, flags uint8, length int) []byte {
	b = append(b, byte(t), flags)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

// padding is what follows on n bytes.
func padding(n int) []byte { return zeros[:-n&3] }

var zeros [3]byte

func paddedLen(n int) int { return n + -n&3 }

func appendPadded(b, message []byte) []byte {
	return append(append(b, message...), padding(len(message))...)
}

func appendInit(b []byte) []byte { return appendHeader(b, chunkInit, 0, headerLen) }

func appendShutdown(b []byte) []byte { return appendHeader(b, chunkShutdown, 0, headerLen) }

// appendDataHeader appends the start of the DATA chunk of a message of n bytes, at most maxMessage.
func appendDataHeader(b []byte, tsn uint32, info transport.SendInfo, ssn uint16, n int) []byte {
	flags := uint8(0)
	if info.Unordered {
		flags = flagUnordered
	}
	b = appendHeader(b, chunkData, flags, dataHeaderLen+n)
	b = binary.BigEndian.AppendUint32(b, tsn)
	b = binary.BigEndian.AppendUint16(b, info.Stream)
	b = binary.BigEndian.AppendUint16(b, ssn)
	return binary.BigEndian.AppendUint32(b, uint32(info.PPID))
}

func appendAck(b []byte, tsn uint32) []byte {
	b = appendHeader(b, chunkAck, 0, ackLen)
	return binary.BigEndian.AppendUint32(b, tsn)
}

// appendBeat appends HEARTBEAT or HEARTBEAT ACK with opaque bytes.
func appendBeat(b []byte, t chunkType, opaque []byte) []byte {
	length := beatHeaderLen + len(opaque)
	b = appendHeader(b, t, 0, length)
	b = binary.BigEndian.AppendUint16(b, beatInfo)
	b = binary.BigEndian.AppendUint16(b, uint16(length-headerLen))
	return appendPadded(b, opaque)
}

// parseBeat returns the opaque bytes of a HEARTBEAT's value.
func parseBeat(value []byte) ([]byte, error) {
	t, length := binary.BigEndian.Uint16(value), binary.BigEndian.Uint16(value[2:])
	if t != beatInfo || int(length) != len(value) {
		return nil, fmt.Errorf("heartbeat holds type %d, length %d in %d bytes", t, length, len(value))
	}
	return value[4:], nil
}
