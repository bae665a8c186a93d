package rsp_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// A cancelled context interrupts RecvMsg and SendMsg, and harms nothing.
func TestContextInterruptsRecv(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, _, err := session.RecvMsg(ctx, make([]byte, 10)); !errors.Is(err, context.Canceled) {
				t.Fatalf("RecvMsg: %v, want context.Canceled", err)
			}
			exchange(t, session, "still here", 1)
		}
	})
}

// 11 is the control channel's (RFC 5352 section 6): a user cannot send on it.
func TestReservedPPID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		if err := session.SendMsg(t.Context(), []byte("x"), rsp.MsgInfo{PPID: 11}); !errors.Is(err, rsp.ErrReservedPPID) {
			t.Errorf("SendMsg: %v, want ErrReservedPPID", err)
		}
	})
}

// What cannot be sent, or received into nothing, gives an error and loses nothing: neither the
// session nor its pool element.
func TestBadMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		for name, b := range map[string][]byte{"empty": nil, "huge": make([]byte, 1<<24)} {
			if err := session.SendMsg(t.Context(), b, rsp.MsgInfo{}); err == nil || errors.Is(err, rsp.ErrLost) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := session.SendMsg(t.Context(), make([]byte, 1<<24), rsp.MsgInfo{}); !errors.Is(err, rsp.ErrMessageTooLong) {
			t.Errorf("huge: %v", err)
		}
		if _, _, err := session.RecvMsg(t.Context(), nil); !errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("no buffer: %v", err)
		}
		if n, err := session.Write(nil); n != 0 || err != nil {
			t.Errorf("writing nothing: %d, %v", n, err)
		}
		exchange(t, session, "still here", 1)
	})
}

// RecvMsg sees the borders of messages, their PPID and stream; Read sees bytes.
func TestMessagesAndBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		long := strings.Repeat("long ", 100)
		for i := range 2 {
			if err := session.SendMsg(t.Context(), []byte(long), rsp.MsgInfo{PPID: rsp.PPID(40 + i), Stream: uint16(i)}); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 400)
		n, info, err := session.RecvMsg(t.Context(), buf)
		if n != 400 || info.EOR || info.PPID != 40 || err != nil {
			t.Errorf("first part: %d bytes, %+v, %v", n, info, err)
		}
		n, info, err = session.RecvMsg(t.Context(), buf)
		if n != 100 || !info.EOR || info.PPID != 40 || err != nil {
			t.Errorf("second part: %d bytes, %+v, %v", n, info, err)
		}
		if _, err := io.ReadFull(session, buf[:7]); err != nil || string(buf[:7]) != "long lo" {
			t.Errorf("Read: %q, %v", buf[:7], err)
		}
		n, info, err = session.RecvMsg(t.Context(), make([]byte, 1000))
		if n != 493 || !info.EOR || info.PPID != 41 || info.Stream != 1 || err != nil {
			t.Errorf("rest: %d bytes, %+v, %v", n, info, err)
		}
	})
}
