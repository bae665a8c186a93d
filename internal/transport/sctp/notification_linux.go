//go:build !386

package sctp

import "encoding/binary"

// Values in notifications (RFC 6458 section 6.1, numbers of linux/sctp.h).
const (
	assocChange    = 0x8001
	peerAddrChange = 0x8002
	sendFailed     = 0x8003
	shutdownEvent  = 0x8005

	commLost     = 1
	restart      = 2
	shutdownComp = 3

	addrAvailable   = 0
	addrUnreachable = 1
	addrPF          = 6 // potentially failed (RFC 7829 section 7.1)

	lastFragment = 1
)

// notificationSize is the size of the longest fixed part of a notification that
// is of interest; what follows is payload.
const notificationSize = 148

// notification is what an association's socket tells beside messages.
type notification struct {
	kind  uint16
	state uint16 // of ASSOC_CHANGE and PEER_ADDR_CHANGE; of SEND_FAILED the fragment's flags
	cause uint16 // of ASSOC_CHANGE: the error cause that an ABORT gives, 0 if none
	path  path   // of PEER_ADDR_CHANGE
}

// path is the peer's address as the kernel gives it: struct sockaddr_in or sockaddr_in6.
type path [28]byte

// parseNotification reads the fixed part of a notification. One that is too short is of
// kind 0.
func parseNotification(b []byte) notification {
	if len(b) < 8 {
		return notification{}
	}
	n := notification{kind: binary.NativeEndian.Uint16(b)}
	switch {
	case n.kind == shutdownEvent:
	case n.kind == assocChange && len(b) >= 20:
		n.state = binary.NativeEndian.Uint16(b[8:])
		n.cause = binary.BigEndian.Uint16(b[10:]) // Linux leaves it as it came
	case n.kind == peerAddrChange && len(b) >= 148:
		n.state = uint16(binary.NativeEndian.Uint32(b[136:]))
		n.path = path(b[8:])
	case n.kind == sendFailed && len(b) >= 48:
		n.state = binary.NativeEndian.Uint16(b[16:])
	default:
		return notification{}
	}
	return n
}
