//go:build !386

package sctp

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/transport"
)

// Socket options (numbers of linux/sctp.h; RFC 6458 section 8 where nothing else is said).
const (
	optRTOInfo            = 0
	optAssocInfo          = 1
	optInitMsg            = 2
	optNoDelay            = 3
	optPeerAddrParams     = 9
	optEvents             = 11
	optStatus             = 14
	optPeerAddrInfo       = 15
	optDelayedSack        = 16
	optPeerAddrThresholds = 31 // RFC 7829 section 7.2
	optRecvRcvInfo        = 32
	optExposePF           = 131 // RFC 7829 section 7.3
)

// Flags of SCTP_PEER_ADDR_PARAMS (RFC 6458 section 8.1.12).
const (
	heartbeatEnable  = 1
	heartbeatDisable = 2
	heartbeatDemand  = 4
)

// exposeEnable is SCTP_PF_EXPOSE_ENABLE: a path that is potentially failed is told of.
const exposeEnable = 2

// setOptions prepares a socket that is neither listening nor connecting yet.
// Accepted sockets inherit all of it.
func setOptions(fd int, opts transport.Options) error {
	for _, option := range []struct{ level, number, value int }{
		{unix.SOL_SOCKET, unix.SO_SNDBUF, opts.Buffer},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, opts.Buffer},
		{unix.IPPROTO_SCTP, optNoDelay, 1},
		{unix.IPPROTO_SCTP, optRecvRcvInfo, 1},
	} {
		if err := unix.SetsockoptInt(fd, option.level, option.number, option.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return setStructs(fd, append([]structOption{
		{optEvents, events},
		{optInitMsg, initMsg(opts)},
		{optExposePF, assocValue(exposeEnable)},
	}, timers(opts)...))
}

// structOption is an option whose value is a structure.
type structOption struct {
	number int
	value  []byte
}

// timers are those options that may also change while an association is up.
func timers(opts transport.Options) []structOption {
	return []structOption{
		{optRTOInfo, rtoInfo(opts)},
		{optAssocInfo, assocInfo(opts)},
		{optPeerAddrParams, peerAddrParams(opts)},
		{optPeerAddrThresholds, thresholds(opts)},
		{optDelayedSack, sackInfo(opts)},
	}
}

func setStructs(fd int, options []structOption) error {
	for _, option := range options {
		err := unix.SetsockoptString(fd, unix.IPPROTO_SCTP, option.number, string(option.value))
		if err == unix.ENOPROTOOPT && option.number == optExposePF {
			continue // before Linux 5.5: suspicion comes when the last path is down
		}
		if err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// Tune sets the kernel's timers of the association, which has the socket for itself. A timer that runs is
// not set anew.
func (a *assoc) Tune(opts transport.Options) error {
	opts = opts.Or(*a.opts.Load())
	var err error
	if e := a.conn.Control(func(fd uintptr) { err = setStructs(int(fd), timers(opts)) }); e != nil {
		return cmp.Or(a.end.sendErr(), e)
	}
	if err == nil {
		a.opts.Store(&opts)
	}
	return err
}

// events is struct sctp_event_subscribe: association, address, send failure
// and shutdown events.
var events = []byte{0, 1, 1, 1, 0, 1, 0, 0, 0, 0}

// The structures of the options follow (RFC 6458 section 8.1, layout of
// linux/sctp.h). Zero in a field leaves its value as it is.

const (
	// maxInitRetrans is Max.Init.Retransmits (RFC 4960 section 15), half of the kernel's: with
	// RTOInitial of 20 ms a dead peer is given up after 0.62 s.
	maxInitRetrans = 4
	// minInitTimeout lets the timeout of an INIT grow beyond RTOMax, so that a peer that is far away
	// can be reached, but the kernel's minute is too long.
	minInitTimeout = time.Second
)

// initMsg bounds the timeout of an INIT, too: RTOMax does not.
func initMsg(opts transport.Options) []byte {
	b := make([]byte, 8)
	binary.NativeEndian.PutUint16(b, opts.Streams)
	binary.NativeEndian.PutUint16(b[4:], maxInitRetrans)
	binary.NativeEndian.PutUint16(b[6:], uint16(min(milliseconds(max(opts.RTOMax, minInitTimeout)), math.MaxUint16)))
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

// thresholds are Path.Max.Retrans, and 0 for the number of errors above which a path is potentially
// failed (PotentiallyFailed.Max.Retrans, RFC 7829 section 3.2).
func thresholds(opts transport.Options) []byte {
	b := make([]byte, 144)
	binary.NativeEndian.PutUint16(b[8:], unix.AF_INET)
	binary.NativeEndian.PutUint16(b[136:], uint16(opts.PathMaxRetrans))
	return b
}

// sackInfo is how long the peer's DATA may wait for its SACK, unless there is a second one (RFC 4960
// section 6.2). The kernel's 200 ms would outlast a small RTO.Min of the peer, which then sends
// each lone message twice.
func sackInfo(opts transport.Options) []byte {
	b := make([]byte, 12)
	binary.NativeEndian.PutUint32(b[4:], milliseconds(min(opts.RTOMin/4, maxSackDelay)))
	binary.NativeEndian.PutUint32(b[8:], 2)
	return b
}

const maxSackDelay = 200 * time.Millisecond

// assocValue is struct sctp_assoc_value.
func assocValue(value uint32) []byte {
	b := make([]byte, 8)
	binary.NativeEndian.PutUint32(b[4:], value)
	return b
}

func milliseconds(d time.Duration) uint32 { return uint32(max(d, time.Millisecond) / time.Millisecond) }

// getOption reads an option of SCTP into b, which may hold its argument.
func getOption(fd uintptr, option int, b []byte) error {
	size, err := getsockopt(fd, option, b)
	if err == nil && size != len(b) {
		err = fmt.Errorf("option %d has %d bytes, not %d", option, size, len(b))
	}
	return err
}

// getsockopt is getOption for an option that may be shorter than b; size is how long the kernel says
// that it is.
func getsockopt(fd uintptr, option int, b []byte) (size int, err error) {
	n := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_SCTP, uintptr(option),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("getsockopt", errno)
	}
	return int(n), nil
}
