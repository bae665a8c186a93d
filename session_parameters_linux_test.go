package rsp_test

import (
	"errors"
	"net"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// SetSessionParameters sets the kernel's timers of an association that is up, on this side alone.
func TestSessionParametersKernelSCTP(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		_, dialed, accepted := accepting(t, rsp.KernelSCTP, ":0")
		p := rsp.AssociationConfig{RTOInitial: 300 * time.Millisecond, RTOMin: 200 * time.Millisecond, RTOMax: 400 * time.Millisecond}
		if err := dialed.SetSessionParameters(p); err != nil {
			t.Fatal(err)
		}
		if got, want := rtoInfo(t, dialed), [3]uint32{300, 400, 200}; got != want {
			t.Errorf("the kernel's RTO initial, maximum and minimum are %v, want %v", got, want)
		}
		if got, want := rtoInfo(t, accepted), [3]uint32{20, 20, 20}; got != want {
			t.Errorf("the other side's are %v, want %v", got, want)
		}
		dialed.Close()
		if err := dialed.SetSessionParameters(p); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// rtoInfo reads SCTP_RTOINFO (RFC 6458 section 8.1.1): initial, maximum and minimum in milliseconds.
func rtoInfo(t *testing.T, s *rsp.Socket) [3]uint32 {
	t.Helper()
	conn, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const optRTOInfo = 0
	var info [4]uint32 // struct sctp_rtoinfo; the first is the association
	if err := conn.Control(func(fd uintptr) {
		size := uint32(unsafe.Sizeof(info))
		if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_SCTP, optRTOInfo,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
			t.Error(errno)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return [3]uint32(info[1:])
}
