//go:build !386

package sctp

import (
	"encoding/binary"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	optStatus  = 14  // SCTP_STATUS (RFC 6458 section 8.2.1)
	statusSize = 176 // of struct sctp_status
	srttOffset = 164 // of sstat_primary.spinfo_srtt in it
)

// RTT is that of the primary path. Against RFC 6458 section 8.2.2, Linux tells it in ticks of
// its timer, not in milliseconds.
func (a *assoc) RTT() (rtt time.Duration) {
	a.conn.Control(func(fd uintptr) {
		var status [statusSize]byte
		size := uint32(len(status))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_SCTP, optStatus,
			uintptr(unsafe.Pointer(&status)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && size == statusSize {
			rtt = time.Duration(binary.NativeEndian.Uint32(status[srttOffset:])) * tick()
		}
	})
	return rtt
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
