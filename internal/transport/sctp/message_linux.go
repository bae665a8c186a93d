//go:build !386

package sctp

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// Kinds of control messages and flags of messages (RFC 6458 section 5.3,
// numbers of linux/sctp.h).
const (
	cmsgSndInfo      = 2
	cmsgRcvInfo      = 3
	flagUnordered    = 1
	flagNotification = 0x8000
)

// sndInfo and rcvInfo are struct sctp_sndinfo and sctp_rcvinfo. The kernel does not
// touch the PPID: both ends must keep it in network order.
type sndInfo struct {
	stream, flags uint16
	ppid          [4]byte
	_             [8]byte // context, association id
}

type rcvInfo struct {
	stream, _, flags, _ uint16 // among them the stream sequence number
	ppid                [4]byte
	_                   [16]byte // TSN, cumulative TSN, context, association id
}

// msghdr is what sendmsg and recvmsg take, with one piece of control data. It
// belongs to one association, so that a message costs no allocation.
type msghdr[Info any] struct {
	header  unix.Msghdr
	buffer  unix.Iovec
	control struct {
		header unix.Cmsghdr
		info   Info
	}
	n     int           // bytes that the call has copied
	errno syscall.Errno // its error
}

// prepare points the header to b and to the control data.
func (m *msghdr[Info]) prepare(b []byte) {
	m.buffer.Base = unsafe.SliceData(b)
	m.buffer.SetLen(len(b))
	m.header = unix.Msghdr{Iov: &m.buffer, Control: (*byte)(unsafe.Pointer(&m.control))}
	m.header.SetIovlen(1)
	m.header.SetControllen(int(unsafe.Sizeof(m.control)))
}

// release lets go of the caller's buffer.
func (m *msghdr[Info]) release() { m.buffer.Base = nil }

// short is up to how many bytes a call copies so quickly that the scheduler is better not told:
// it would take the goroutine's processor away, and wake a thread for it, in the middle of the call.
const short = 64 << 10

// call makes a system call, which never waits, until it is not interrupted, and reports whether
// it has ended otherwise than by EAGAIN.
func (m *msghdr[Info]) call(trap, fd, flags uintptr) bool {
	for {
		var n uintptr
		var errno syscall.Errno
		if m.buffer.Len <= short {
			n, _, errno = unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&m.header)), flags)
		} else {
			n, _, errno = unix.Syscall(trap, fd, uintptr(unsafe.Pointer(&m.header)), flags)
		}
		m.n, m.errno = int(n), errno
		if errno != unix.EINTR {
			return errno != unix.EAGAIN
		}
	}
}

// sender is the sending half of an association.
type sender struct{ msghdr[sndInfo] }

func (s *sender) prepare(b []byte, info transport.SendInfo) {
	s.msghdr.prepare(b)
	header := &s.control.header
	header.Level, header.Type = unix.IPPROTO_SCTP, cmsgSndInfo
	header.SetLen(int(unsafe.Sizeof(s.control)))
	s.control.info = sndInfo{stream: info.Stream}
	if info.Unordered {
		s.control.info.flags = flagUnordered
	}
	binary.BigEndian.PutUint32(s.control.info.ppid[:], uint32(info.PPID))
}

func (s *sender) send(fd uintptr) bool {
	return s.call(unix.SYS_SENDMSG, fd, unix.MSG_NOSIGNAL)
}

// receiver is the receiving half of an association.
type receiver struct {
	msghdr[rcvInfo]
	notification []byte // of the one that is being received: its first bytes that came so far
}

func (r *receiver) receive(fd uintptr) bool {
	// The kernel overwrites these with what it gives.
	r.header.SetControllen(int(unsafe.Sizeof(r.control)))
	r.control.header.Type = 0
	return r.call(unix.SYS_RECVMSG, fd, 0)
}

// restSize is the size of a buffer for the rest of a notification, which may
// end with the message that failed.
const restSize = 8 << 10

// amidNotification reports whether the next part received belongs to a
// notification.
func (r *receiver) amidNotification() bool { return len(r.notification) > 0 }

// addNotification takes the next part of a notification and gives the whole
// once it has come.
func (r *receiver) addNotification(part []byte) (n notification, whole bool) {
	have := r.notification
	have = append(have, part[:min(len(part), cap(have)-len(have))]...)
	r.notification = have
	if r.header.Flags&unix.MSG_EOR == 0 {
		return notification{}, false
	}
	r.notification = have[:0]
	return parseNotification(have), true
}

func (r *receiver) isNotification() bool { return r.header.Flags&flagNotification != 0 }

// isEOF: no message is empty in SCTP, so nothing at all means the end.
func (r *receiver) isEOF() bool { return r.n == 0 && r.header.Flags&unix.MSG_EOR == 0 }

// info describes the message that was received.
func (r *receiver) info() transport.RecvInfo {
	info := transport.RecvInfo{EOR: r.header.Flags&unix.MSG_EOR != 0}
	if c := &r.control; c.header.Level == unix.IPPROTO_SCTP && c.header.Type == cmsgRcvInfo {
		info.PPID = protocol.PPID(binary.BigEndian.Uint32(c.info.ppid[:]))
		info.Stream = c.info.stream
		info.Unordered = c.info.flags&flagUnordered != 0
	}
	return info
}
