//go:build !386

package sctp

import (
	"encoding/binary"

	"github.com/ishidawataru/sctp"
)

// Values in notifications (RFC 6458 section 6.1, numbers of linux/sctp.h).
const (
	commLost     = uint16(sctp.SCTP_COMM_LOST)
	restart      = uint16(sctp.SCTP_RESTART)
	shutdownComp = uint16(sctp.SCTP_SHUTDOWN_COMP)

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
	kind  sctp.SCTPNotificationType
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
	n := notification{kind: sctp.SCTPNotificationType(binary.NativeEndian.Uint16(b))}
	switch {
	case n.kind == sctp.SCTP_SHUTDOWN_EVENT:
	case n.kind == sctp.SCTP_ASSOC_CHANGE && len(b) >= 20:
		n.state = binary.NativeEndian.Uint16(b[8:])
		n.cause = binary.BigEndian.Uint16(b[10:]) // Linux leaves it as it came
	case n.kind == sctp.SCTP_PEER_ADDR_CHANGE && len(b) >= 148:
		n.state = uint16(binary.NativeEndian.Uint32(b[136:]))
		n.path = path(b[8:])
	case n.kind == sctp.SCTP_SEND_FAILED && len(b) >= 48:
		n.state = binary.NativeEndian.Uint16(b[16:])
	default:
		return notification{}
	}
	return n
}
