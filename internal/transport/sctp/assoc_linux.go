//go:build !386

package sctp

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// assoc is one association, which is one socket.
type assoc struct {
	file          *os.File
	conn          syscall.RawConn
	local, remote protocol.TransportAddr
	maxMessage    int
	opts          atomic.Pointer[transport.Options]
	end           end
	suspicion     suspicion

	// in belongs to the goroutine in Recv. sending guards out; like the poller's own
	// lock of writers, it is held while Send waits.
	in      receiver
	sending sync.Mutex
	out     sender

	tryRecv, trySend func(fd uintptr) bool // bound once, so that a call allocates nothing
}

var _ transport.Assoc = (*assoc)(nil)

// newAssoc takes over the socket of an association that is up, or was when it was dialed.
func newAssoc(s *socket, dialed protocol.TransportAddr, opts transport.Options) (*assoc, error) {
	a := &assoc{file: s.file, conn: s.conn}
	opts = opts.WithDefaults()
	a.opts.Store(&opts)
	err := s.control(func(fd int) (err error) {
		if a.local, a.remote, err = assocAddrs(fd, dialed); err != nil {
			return err
		}
		a.maxMessage, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
		return os.NewSyscallError("getsockopt", err)
	})
	if err != nil {
		return nil, err
	}
	a.in.notification = make([]byte, 0, notificationSize)
	a.trySend = a.out.send
	a.tryRecv = func(fd uintptr) bool {
		// Once it is lost, what has arrived is still received, but nothing is waited for.
		return a.in.receive(fd) || a.end.isLost()
	}
	return a, nil
}

func (a *assoc) LocalAddr() protocol.TransportAddr  { return a.local }
func (a *assoc) RemoteAddr() protocol.TransportAddr { return a.remote }
func (a *assoc) MaxMessage() int                    { return a.maxMessage }

func (a *assoc) Send(b []byte, info transport.SendInfo) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	if err := a.end.sendErr(); err != nil {
		return err
	}
	a.out.prepare(b, info)
	err := a.conn.Write(a.trySend)
	a.out.release()
	if err != nil { // the deadline, or Close, Abort or Shutdown here
		return cmp.Or(a.end.sendErr(), err)
	}
	errno := a.out.errno
	switch errno {
	case 0:
		return nil
	case unix.EMSGSIZE:
		return fmt.Errorf("%w: %d bytes, not more than %d", transport.ErrMessageTooLong, len(b), a.maxMessage)
	case unix.EPIPE, unix.ESHUTDOWN:
		a.end.shut()
	case unix.ECONNRESET, unix.ETIMEDOUT:
		a.end.lose(func() error { return lostError("sendmsg", errno) })
	}
	return cmp.Or(a.end.sendErr(), os.NewSyscallError("sendmsg", errno))
}

// Recv is as in transport.Assoc; b must not be empty.
func (a *assoc) Recv(b []byte) (int, transport.RecvInfo, error) {
	if len(b) == 0 {
		return 0, transport.RecvInfo{}, io.ErrShortBuffer
	}
	for {
		err := a.end.recvErr()
		if notice := a.suspicion.next(); notice != transport.NoticeNone && err != net.ErrClosed {
			return 0, transport.RecvInfo{Notice: notice}, nil
		}
		if err != nil {
			return 0, transport.RecvInfo{}, err
		}
		buf := b
		if a.in.amidNotification() {
			buf = make([]byte, restSize)
		}
		a.in.prepare(buf)
		err = a.conn.Read(a.tryRecv)
		a.in.release()
		switch {
		case err != nil: // the deadline, or Close or Abort here
			return 0, transport.RecvInfo{}, cmp.Or(a.end.recvErr(), err)
		case a.in.errno != 0:
			// EAGAIN: what there was before the loss has been received.
			if errno := a.in.errno; errno != unix.EAGAIN {
				a.end.lose(func() error { return lostError("recvmsg", errno) })
			}
			a.end.drain()
		case a.in.isNotification():
			if notice := a.notified(buf[:a.in.n]); notice != transport.NoticeNone {
				return 0, transport.RecvInfo{Notice: notice}, nil
			}
		case a.in.isEOF():
			a.end.drain()
		default:
			info := a.in.info()
			if info.EOR {
				a.suspicion.received()
			}
			return a.in.n, info, nil
		}
	}
}

// notified takes b, a notification or, if the buffer was small, a part of one.
func (a *assoc) notified(b []byte) transport.Notice {
	n, whole := a.in.addNotification(b)
	if !whole {
		return transport.NoticeNone
	}
	switch n.kind {
	case assocChange:
		a.changed(n)
	case shutdownEvent:
		a.end.shut()
	case peerAddrChange:
		a.pathChanged(n)
	case sendFailed:
		// One comes for each fragment of the message.
		if n.state&lastFragment != 0 {
			return transport.NoticeSendFailed
		}
	}
	return transport.NoticeNone
}

// changed takes an ASSOC_CHANGE notification.
func (a *assoc) changed(n notification) {
	switch n.state {
	case commLost:
		a.end.lose(func() error { return a.lostCause(n.cause) })
	case shutdownComp:
		a.end.drain()
	case restart:
		// RFC 4960 section 5.2: the peer has lost all state and begins anew under the
		// same addresses. What it sends is not of this association.
		a.end.lose(func() error { return fmt.Errorf("%w: it has restarted", transport.ErrAborted) })
		a.end.drain()
	}
}

// lostCause says why the association was lost. It takes the socket's error,
// which the kernel gives once; without it the cause in the ABORT must do.
func (a *assoc) lostCause(cause uint16) error {
	var errno int
	a.conn.Control(func(fd uintptr) {
		errno, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	})
	switch {
	case cause != 0:
		return fmt.Errorf("%w: error cause %d", transport.ErrAborted, cause)
	case errno != 0:
		return lostError("recvmsg", syscall.Errno(errno))
	}
	return lostError("recvmsg", unix.ETIMEDOUT)
}

// lostError gives a system call's error its meaning for an association.
func lostError(call string, errno syscall.Errno) error {
	err := os.NewSyscallError(call, errno)
	switch errno {
	case unix.ECONNRESET:
		return fmt.Errorf("%w: %w", transport.ErrAborted, err)
	case unix.ETIMEDOUT:
		return fmt.Errorf("%w: %w", transport.ErrLost, err)
	}
	return err
}

func (a *assoc) SetDeadline(t time.Time) error      { return fileErr(a.file.SetDeadline(t)) }
func (a *assoc) SetReadDeadline(t time.Time) error  { return fileErr(a.file.SetReadDeadline(t)) }
func (a *assoc) SetWriteDeadline(t time.Time) error { return fileErr(a.file.SetWriteDeadline(t)) }

// fileErr makes the error of a closed file that of a closed connection.
func fileErr(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

func (a *assoc) Shutdown() error {
	if err := a.end.sendErr(); err != nil {
		return err
	}
	a.end.shut()
	var err error
	if e := a.conn.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) }); e != nil {
		return cmp.Or(a.end.sendErr(), e)
	}
	// The kernel does not wake a Send that waits for room.
	a.file.SetWriteDeadline(past)
	return os.NewSyscallError("shutdown", err)
}

func (a *assoc) Close() error {
	if !a.end.close() {
		return net.ErrClosed
	}
	end := endGracefully
	if a.suspicion.abandoned.Load() {
		end = abortOnClose
	}
	if err := a.conn.Control(func(fd uintptr) { end(int(fd)) }); err != nil {
		return err
	}
	return a.file.Close()
}

// endGracefully keeps close from sending an ABORT, as it does when there is data
// that nobody has read. After SHUT_RDWR the kernel throws away what still arrives, so
// the loop ends when the receive buffer is empty.
func endGracefully(fd int) {
	unix.Shutdown(fd, unix.SHUT_RDWR) // fails if it has ended already
	var b [4096]byte
	for {
		n, err := unix.Read(fd, b[:])
		if n <= 0 && err != unix.EINTR {
			return
		}
	}
}

func (a *assoc) Abort() error {
	if !a.end.close() {
		return net.ErrClosed
	}
	if err := a.conn.Control(func(fd uintptr) { abortOnClose(int(fd)) }); err != nil {
		return err
	}
	return a.file.Close()
}

// abortOnClose makes close send an ABORT (RFC 6458 section 8.1.4).
func abortOnClose(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
}
