//go:build !386

package sctp

import (
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// RTT is that of the primary path. Against RFC 6458 section 8.2.2, Linux tells it in ticks of
// its timer, not in milliseconds.
func (a *assoc) RTT() (rtt time.Duration) {
	a.conn.Control(func(fd uintptr) {
		if s, ok := getStatus(fd); ok {
			rtt = time.Duration(s.srtt) * tick()
		}
	})
	return rtt
}

// status is what is of use in struct sctp_status (RFC 6458 section 8.2.1).
type status struct {
	unacked uint16        // DATA chunks that are not acknowledged
	srtt    uint32        // of the primary path, in ticks
	rto     time.Duration // of the primary path
}

// getStatus fails when the association has ended.
func getStatus(fd uintptr) (s status, ok bool) {
	var b [176]byte
	if getOption(fd, optStatus, b[:]) != nil {
		return s, false
	}
	return status{
		unacked: binary.NativeEndian.Uint16(b[12:]),
		srtt:    binary.NativeEndian.Uint32(b[164:]),
		rto:     time.Duration(binary.NativeEndian.Uint32(b[168:])) * time.Millisecond,
	}, true
}

// tick is the time between two of the kernel's timer interrupts, which is the resolution of its
// coarse clock.
var tick = sync.OnceValue(func() time.Duration {
	var resolution unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &resolution); err != nil {
		return 0
	}
	return time.Duration(resolution.Nano())
})
