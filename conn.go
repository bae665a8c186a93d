package rsp

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// MsgInfo goes with a message that is sent or received.
type MsgInfo struct {
	PPID      PPID
	Stream    uint16
	Unordered bool
	Session   SessionID // where one Socket has all sessions, see RecvMsg; else 0

	// The rest is set by RecvMsg, and ignored by SendMsg.

	EOR          bool          // the buffer holds the end of the message
	PE           PEID          // the pool element that it came from; 0 if accepted
	CookieEcho   bool          // it is the cookie that another PE of the pool gave this PU
	Notification *Notification // it is no message: n is 0
}

func (i MsgInfo) sendInfo() transport.SendInfo {
	return transport.SendInfo{PPID: i.PPID, Stream: i.Stream, Unordered: i.Unordered}
}

// writeSize is the longest message that Write makes of a stream: small enough for each
// transport to carry it well, and RSPLIB's programs to read it.
const writeSize = 16 << 10

// activeSession returns the session, or an error with the operation's name.
func (s *Socket) activeSession(op string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		err := error(ErrNoRole)
		if s.closed {
			err = net.ErrClosed
		}
		return nil, &OpError{Op: op, Err: err}
	}
	return s.session, nil
}

func (s *session) opError(op string, err error) error {
	return &OpError{Op: op, Pool: s.pool, PE: s.peerPE(), Err: err}
}

// RecvMsg receives the next message, and waits for it until ctx ends or the read
// deadline (rsp_recvmsg). A message that is longer than b comes in several parts, of which the
// last has info.EOR. If the pool element is lost after a part and without the rest, the error is
// io.ErrUnexpectedEOF, once; then the session goes on with the next message. It gives io.EOF after the
// end of an accepted session.
//
// On a listening Socket it receives from all sessions, which it accepts from then on (RSPLIB's one-to-many style).
// info.Session says which one it is, and is what SendMsg wants for the answer. Notifications tell a
// session's beginning, before its first message, and its end, after the last. The parts of a message
// come without others between. Who does not receive makes the PUs wait, and each session takes
// a few kilobytes meanwhile. There are no read deadlines then; io.ErrUnexpectedEOF is about info.Session
// alone, any other error about the Socket.
func (s *Socket) RecvMsg(ctx context.Context, b []byte) (n int, info MsgInfo, err error) {
	if m := s.startOneToMany(); m != nil {
		return m.recvMsg(ctx, b)
	}
	session, err := s.activeSession("receive")
	if err != nil {
		return 0, MsgInfo{}, err
	}
	if len(b) == 0 {
		return 0, MsgInfo{}, session.opError("receive", io.ErrShortBuffer)
	}
	n, info, err = session.recv(ctx, b)
	if err != nil && err != io.EOF {
		err = session.opError("receive", err)
	}
	return n, info, err
}

// RecvFullMsg is RecvMsg for whole messages: b must have room, or the error is
// io.ErrShortBuffer, and the rest is the next message (rsp_recvfullmsg).
func (s *Socket) RecvFullMsg(ctx context.Context, b []byte) (n int, info MsgInfo, err error) {
	for {
		var part int
		part, info, err = s.RecvMsg(ctx, b[n:])
		n += part
		if err != nil || info.EOR {
			return n, info, err
		}
		if n == len(b) {
			return n, info, &OpError{Op: "receive", Err: io.ErrShortBuffer}
		}
	}
}

// SendMsg sends b as one message, and waits while the buffers are full until ctx ends or
// the write deadline (rsp_sendmsg). b may be used again when it returns. That it returns does not mean that
// the pool element has got the message: what was not answered is for Resend or OnFailover to send again.
func (s *Socket) SendMsg(ctx context.Context, b []byte, info MsgInfo) error {
	if info.Session != 0 {
		one, err := s.sessionOf(info.Session)
		if err != nil {
			return s.peError("send", err)
		}
		s = one
	}
	session, err := s.activeSession("send")
	if err != nil {
		return err
	}
	if err := checkMessage(b, info); err != nil {
		return session.opError("send", err)
	}
	session.sentPPID.Store(uint32(info.PPID))
	return session.sendAll(ctx, "send", b, func(message []byte) error {
		if session.requests != nil {
			return session.sendRequest(ctx, message, info)
		}
		if err := session.beforeMessage(ctx); err != nil {
			return err
		}
		return session.send(ctx, message, info.sendInfo())
	})
}

// checkMessage reports what no transport can carry for a user: the session layer's PPID,
// and a message of no bytes (RFC 6458 section 7.1).
func checkMessage(b []byte, info MsgInfo) error {
	if info.PPID == protocol.PPIDASAP {
		return ErrReservedPPID
	}
	if len(b) == 0 {
		return errors.New("a message has at least one byte")
	}
	return nil
}

// sendAll lets send send b while no other message goes between.
func (s *session) sendAll(ctx context.Context, op string, b []byte, send func([]byte) error) error {
	if err := s.writing.acquire(ctx); err != nil {
		return s.opError(op, err)
	}
	defer s.writing.release()
	defer s.begin(ctx, &s.writeCall)()
	if err := send(b); err != nil {
		return s.opError(op, err)
	}
	return nil
}

// Read reads the messages of the session as a stream of bytes. It passes over
// notifications and cookie echoes, see CookieEcho.
func (s *Socket) Read(b []byte) (int, error) {
	session, err := s.activeSession("read")
	if err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, info, err := session.recv(context.Background(), b)
		if err == io.EOF {
			return 0, err
		}
		if err != nil {
			return 0, session.opError("read", err)
		}
		if n > 0 && !info.CookieEcho {
			return n, nil
		}
	}
}

// Write sends b as messages of at most 16 KiB, with PPID 0. No other message goes
// between them. With Resend, it sends b as one message, a request.
func (s *Socket) Write(b []byte) (int, error) {
	session, err := s.activeSession("write")
	if err != nil {
		return 0, err
	}
	if session.requests != nil {
		return session.writeRequest(b)
	}
	written := 0
	err = session.sendAll(context.Background(), "write", b, func(rest []byte) error {
		if err := session.beforeMessage(context.Background()); err != nil {
			return err
		}
		for chunk := range slices.Chunk(rest, writeSize) {
			if err := session.send(context.Background(), chunk, transport.SendInfo{}); err != nil {
				return err
			}
			written += len(chunk)
		}
		return nil
	})
	return written, err
}

// HasCookie reports whether the session has a cookie of its pool element, which
// the next one will be shown (rsp_has_cookie).
func (s *Socket) HasCookie() bool {
	session, err := s.activeSession("")
	if err != nil {
		return false
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	return session.control.HasCookie()
}

// CookieEcho returns a copy of the cookie that the PU of an accepted session has shown
// last, nil if it has shown none. It comes before the PU's first message.
func (s *Socket) CookieEcho() []byte {
	session, err := s.activeSession("")
	if err != nil {
		return nil
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	return slices.Clone(session.echoed)
}

// PeerPE returns the identifier of the pool element that serves the session now; 0 if
// accepted (rsp_getpeername).
func (s *Socket) PeerPE() PEID {
	session, err := s.activeSession("")
	if err != nil {
		return 0
	}
	return session.peerPE()
}

// RemoteAddr returns a PoolAddr: the pool, the pool element that serves the session now, and
// where it is.
func (s *Socket) RemoteAddr() net.Addr {
	session, err := s.activeSession("")
	if err != nil {
		return PoolAddr{}
	}
	return session.addr(transport.Assoc.RemoteAddr, session.pool, session.peerPE())
}

// SetDeadline sets both deadlines of a session, also for calls that wait already.
func (s *Socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline bounds Read and RecvMsg, also while the session fails over.
func (s *Socket) SetReadDeadline(t time.Time) error {
	session, err := s.activeSession("set deadline")
	if err != nil {
		return err
	}
	return session.setDeadlines(func() { session.readDeadline = t })
}

// SetWriteDeadline bounds Write, SendMsg and SendCookie, also while the session
// fails over.
func (s *Socket) SetWriteDeadline(t time.Time) error {
	session, err := s.activeSession("set deadline")
	if err != nil {
		return err
	}
	return session.setDeadlines(func() { session.writeDeadline = t })
}
