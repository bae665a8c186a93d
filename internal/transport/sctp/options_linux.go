//go:build !386

package sctp

import (
	"encoding/binary"
	"math"
	"os"
	"time"

	"github.com/ishidawataru/sctp"
	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/transport"
)

// recvRcvInfo is SCTP_RECVRCVINFO (RFC 6458 section 8.1.29), which the sctp
// package lacks.
const recvRcvInfo = 32

// Flags of SCTP_PEER_ADDR_PARAMS (RFC 6458 section 8.1.12).
const (
	heartbeatEnable  = 1
	heartbeatDisable = 2
)

// setOptions prepares a socket that is neither listening nor connecting yet.
// Accepted sockets inherit all of it.
func setOptions(fd int, opts transport.Options) error {
	for _, option := range []struct{ level, number, value int }{
		{unix.SOL_SOCKET, unix.SO_SNDBUF, opts.Buffer},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, opts.Buffer},
		{unix.IPPROTO_SCTP, sctp.SCTP_NODELAY, 1},
		{unix.IPPROTO_SCTP, recvRcvInfo, 1},
	} {
		if err := unix.SetsockoptInt(fd, option.level, option.number, option.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	for _, option := range []struct {
		number int
		value  []byte
	}{
		{sctp.SCTP_EVENTS, events},
		{sctp.SCTP_INITMSG, initMsg(opts)},
		{sctp.SCTP_RTOINFO, rtoInfo(opts)},
		{sctp.SCTP_ASSOCINFO, assocInfo(opts)},
		{sctp.SCTP_PEER_ADDR_PARAMS, peerAddrParams(opts)},
	} {
		if err := unix.SetsockoptString(fd, unix.IPPROTO_SCTP, option.number, string(option.value)); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// events is struct sctp_event_subscribe: association, address, send failure
// and shutdown events.
var events = []byte{0, 1, 1, 1, 0, 1, 0, 0, 0, 0}

// The structures of the options follow (RFC 6458 section 8.1, layout of
// linux/sctp.h). Zero in a field leaves its value as it is.

// initMsg bounds the timeout of an INIT, too: RTOMax does not, and the kernel
// doubles it eight times.
func initMsg(opts transport.Options) []byte {
	b := make([]byte, 8)
	binary.NativeEndian.PutUint16(b, opts.Streams)
	binary.NativeEndian.PutUint16(b[6:], uint16(min(milliseconds(opts.RTOMax), math.MaxUint16)))
	return b
}

func rtoInfo(opts transport.Options) []byte {
	b := make([]byte, 16)
	binary.NativeEndian.PutUint32(b[4:], milliseconds(opts.RTOInitial))
	binary.NativeEndian.PutUint32(b[8:], milliseconds(opts.RTOMax))
	binary.NativeEndian.PutUint32(b[12:], milliseconds(opts.RTOMin))
	return b
}

func assocInfo(opts transport.Options) []byte {
	b := make([]byte, 20)
	binary.NativeEndian.PutUint16(b[4:], uint16(opts.AssocMaxRetrans))
	return b
}

// peerAddrParams is for all paths: its address is the wildcard.
func peerAddrParams(opts transport.Options) []byte {
	b := make([]byte, 156)
	binary.NativeEndian.PutUint16(b[4:], unix.AF_INET)
	flags := uint32(heartbeatDisable)
	if opts.HeartbeatInterval > 0 {
		flags = heartbeatEnable
		binary.NativeEndian.PutUint32(b[132:], milliseconds(opts.HeartbeatInterval))
	}
	binary.NativeEndian.PutUint16(b[136:], uint16(opts.PathMaxRetrans))
	binary.NativeEndian.PutUint32(b[146:], flags)
	return b
}

func milliseconds(d time.Duration) uint32 { return uint32(max(d, time.Millisecond) / time.Millisecond) }
