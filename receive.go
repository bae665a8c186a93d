package rsp

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// recv receives the next message, part of a message, or notification. Cookie echoes are among
// the messages.
func (s *session) recv(ctx context.Context, b []byte) (int, MsgInfo, error) {
	if err := s.startReading(ctx); err != nil {
		return 0, MsgInfo{}, err
	}
	defer s.stopReading()
	defer s.begin(ctx, &s.readCall)()
	for {
		if n, info, err := s.takeUnread(b); n > 0 || info.EOR || err != nil {
			return n, info, err
		}
		assoc, err := s.waitReadable(ctx)
		if err != nil {
			return 0, MsgInfo{}, err
		}
		if assoc == nil {
			continue // something else has come first
		}
		n, info, err := assoc.Recv(b)
		switch {
		case err == nil && info.Notice != transport.NoticeNone:
			s.handleNotice(assoc, info.Notice)
		case err == nil && info.PPID == protocol.PPIDASAP:
			s.handleControl(b[:n], info.EOR)
		case err == nil:
			if info, inBuffer := s.handleData(b[:n], info); inBuffer {
				return n, info, nil
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			if ctx.Err() != nil {
				return 0, MsgInfo{}, ctx.Err()
			}
			if s.mayRecv(assoc) {
				return 0, MsgInfo{}, s.readExpired(err)
			}
		default:
			s.handleEnd(assoc, err)
		}
	}
}

// waitReadable returns the association to receive from; nil when there is something
// unread. While the session fails over it lets go of reading, which the failover needs.
func (s *session) waitReadable(ctx context.Context) (transport.Assoc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case len(s.unread) > 0, s.noteIsNext(), s.rest == restLost:
			return nil, nil
		case s.readingEnded:
			return nil, io.EOF
		case s.readsFrom(s.assoc):
			return s.assoc, nil
		case s.state == lost:
			return nil, ErrFailover
		case s.state == ended:
			return nil, s.err
		}
		if err := s.waitUnread(ctx); err != nil {
			return nil, err
		}
	}
}

// waitUnread is wait for the one who holds reading, and releases that too meanwhile.
func (s *session) waitUnread(ctx context.Context) error {
	s.reading.release()
	err := s.wait(ctx, s.readDeadline, nil)
	s.mu.Unlock()
	_ = s.startReading(context.Background()) // a failover holds it but for a moment
	s.mu.Lock()
	return err
}

// noteIsNext reports whether a notification comes before what the association holds; s.mu is held.
func (s *session) noteIsNext() bool {
	return len(s.notes) > 0 && s.rest != restToCome && !s.behind
}

// takeUnread returns what has come before everything that the association still holds, if anything.
// A message is not torn apart by a notification, nor completed by the next pool element's.
func (s *session) takeUnread(b []byte) (int, MsgInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rest == restLost {
		s.rest = noRest
		return 0, MsgInfo{}, io.ErrUnexpectedEOF
	}
	if len(s.unread) > 0 {
		m := &s.unread[0]
		n := copy(b, m.data)
		info := m.info
		if n < len(m.data) {
			m.data, info.EOR, s.rest = m.data[n:], false, restToCome
		} else {
			s.unread, s.rest = s.unread[1:], noRest
			if !info.EOR {
				s.rest = restToCome
			}
		}
		return n, info, nil
	}
	if s.noteIsNext() {
		n := s.notes[0]
		s.notes = s.notes[1:]
		return 0, MsgInfo{EOR: true, PE: n.PE, Notification: n}, nil
	}
	return 0, MsgInfo{}, nil
}

// maxControl is the longest message of the control channel.
const maxControl = 1 << 16

// handleControl takes a part of a message of the control channel, and acts on the whole; the
// caller holds reading.
func (s *session) handleControl(part []byte, whole bool) {
	if len(s.gathering)+len(part) > maxControl {
		part = nil // too long to mean anything: what is left does not parse
	}
	s.gathering = append(s.gathering, part...)
	if !whole {
		return
	}
	data := s.gathering
	s.gathering = s.gathering[:0]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch event, cookie := s.control.Handle(data); {
	case event == asap.CookieEchoed && s.dialer == nil:
		s.echoed = append(s.echoed[:0], cookie...)
		s.unread = append(s.unread, message{append([]byte(nil), cookie...), MsgInfo{EOR: true, PPID: protocol.PPIDASAP, CookieEcho: true}})
	case event == asap.CardReceived:
		s.handleCard()
	}
}

// keep puts what was received aside for those who read; the caller holds reading.
func (s *session) keep(b []byte, info transport.RecvInfo) {
	switch {
	case info.PPID == protocol.PPIDASAP:
		s.handleControl(b, info.EOR)
		return
	case s.requests != nil:
		if b = s.gatherReply(b, info); b == nil {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.unread); n > 0 && !s.unread[n-1].info.EOR {
		m := &s.unread[n-1]
		m.data = append(m.data, b...)
		m.info.EOR = info.EOR
	} else {
		s.unread = append(s.unread, message{slices.Clone(b), s.msgInfo(info)})
	}
	s.notify()
}

// msgInfo is what a reader is told of a message, or a part; s.mu is held.
func (s *session) msgInfo(info transport.RecvInfo) MsgInfo {
	return MsgInfo{PPID: info.PPID, Stream: info.Stream, Unordered: info.Unordered, EOR: info.EOR, PE: s.peer}
}

// endUnread takes the end of an association from which all was received. What came of a message
// without its end is nothing to a reader, who is told so if the beginning was read; the caller holds reading.
func (s *session) endUnread() {
	s.gathering = s.gathering[:0]
	_ = s.takePart()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.unread); n > 0 && !s.unread[n-1].info.EOR {
		s.unread = s.unread[:n-1]
	}
	if s.rest == restToCome && len(s.unread) == 0 {
		s.rest = restLost
	}
	s.behind = false
	s.notify()
}
