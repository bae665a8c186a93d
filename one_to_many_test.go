package rsp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// manyScope is a scope with a PE that nobody serves yet.
func manyScope(t *testing.T) (*scope, *rsp.Socket) {
	t.Helper()
	s := newScope(t)
	listener, err := s.endpoint("many", s.host(), rsp.Config{}).Listen(ctx(), "EchoPool", rsp.PE{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s, listener
}

// wantFrom receives a message or notification and wants it as "session: text".
func wantFrom(t *testing.T, listener *rsp.Socket, want string) rsp.MsgInfo {
	t.Helper()
	buf := make([]byte, 1<<20)
	n, info, err := listener.RecvFullMsg(t.Context(), buf)
	got := fmt.Sprintf("%d: %.100s", info.Session, buf[:n])
	if info.Notification != nil {
		got = fmt.Sprintf("%d: %v", info.Session, info.Notification)
	}
	if err != nil || got != want {
		t.Fatalf("received %q, %v, want %q", got, err, want)
	}
	return info
}

// RSPLIB, "Server side order seen: SESSION_ADD, data..., SHUTDOWN_EVENT, SESSION_REMOVE"; the
// session ID is "local, starts at 1".
func TestOneToMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, listener := manyScope(t)
		var sessions []*rsp.Socket
		for id := 1; id <= 3; id++ {
			session := s.connect(rsp.Dialer{})
			sessions = append(sessions, session)
			session.Write(fmt.Append(nil, "hello ", id))
			wantFrom(t, listener, fmt.Sprintf("%d: session added: %d", id, id))
			info := wantFrom(t, listener, fmt.Sprintf("%d: hello %d", id, id))
			if err := listener.SendMsg(ctx(), fmt.Append(nil, "welcome ", id), info); err != nil {
				t.Fatal(err)
			}
			wantMsg(t, session, fmt.Sprint("welcome ", id), 1)
		}
		for _, id := range []rsp.SessionID{2, 3, 1} { // any session at any time
			session := sessions[id-1]
			session.SendMsg(ctx(), []byte("again"), rsp.MsgInfo{PPID: 42, Stream: 3})
			if info := wantFrom(t, listener, fmt.Sprint(id, ": again")); info.PPID != 42 || info.Stream != 3 || !info.EOR {
				t.Errorf("%+v", info)
			}
		}
		sessions[1].Write([]byte("bye"))
		sessions[1].Close()
		time.Sleep(10 * latency)
		wantFrom(t, listener, "2: bye")
		wantFrom(t, listener, "2: session removed: 2: EOF")
		synctest.Wait()
		if err := listener.SendMsg(ctx(), []byte("x"), rsp.MsgInfo{Session: 2}); !errors.Is(err, rsp.ErrNoSession) {
			t.Errorf("SendMsg to a session that has ended: %v", err)
		}
		if _, err := listener.Session(2); !errors.Is(err, rsp.ErrNoSession) {
			t.Errorf("Session: %v", err)
		}
		if _, err := listener.AcceptSocket(ctx()); !errors.Is(err, rsp.ErrNoRole) {
			t.Errorf("AcceptSocket: %v", err)
		}
	})
}

// The parts of a long message come one after the other, whatever others send meanwhile.
func TestOneToManyLongMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, listener := manyScope(t)
		a, b := s.connect(rsp.Dialer{}), s.connect(rsp.Dialer{})
		long := bytes.Repeat([]byte("long"), 25_000)
		wantFrom(t, listener, "1: session added: 1")
		wantFrom(t, listener, "2: session added: 2")
		for _, session := range []*rsp.Socket{a, b} {
			if err := session.SendMsg(ctx(), long, rsp.MsgInfo{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * latency)
		for range 2 {
			var got []byte
			var from rsp.SessionID
			for _, size := range []int{1000, 3000, 1, 1 << 20} {
				buf := make([]byte, size)
				n, info, err := listener.RecvMsg(ctx(), buf)
				if err != nil || from != 0 && info.Session != from || info.EOR != (size == 1<<20 || len(got)+n == len(long)) {
					t.Fatalf("part of %d bytes from %d after %d of %d: %+v, %v", n, from, len(got), len(long), info, err)
				}
				got, from = append(got, buf[:n]...), info.Session
			}
			if !bytes.Equal(got, long) {
				t.Errorf("from %d: %d bytes, want the %d that were sent", from, len(got), len(long))
			}
		}
	})
}

// A user who does not receive makes the PUs wait: nothing is kept for him but what the
// transport's buffers hold. What they sent comes when he receives.
func TestOneToManySlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, listener := manyScope(t)
		session := s.connect(rsp.Dialer{})
		wantFrom(t, listener, "1: session added: 1")
		message := make([]byte, 10_000)
		sent := 0
		for {
			short, cancel := context.WithTimeout(ctx(), time.Second)
			err := session.SendMsg(short, message, rsp.MsgInfo{})
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if sent++; sent > 1000 {
				t.Fatal("10 MB were taken from the PU while nobody received")
			}
		}
		other := s.connect(rsp.Dialer{}) // another one is not hindered
		other.Write([]byte("me too"))
		other.Close()
		time.Sleep(10 * latency)
		got := make(map[rsp.SessionID]int)
		for ended := false; !ended || got[1] < sent; {
			n, info, err := listener.RecvFullMsg(ctx(), message)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				got[info.Session]++
			}
			ended = ended || info.Notification != nil && info.Notification.Type == rsp.SessionRemoved
		}
		if got[1] != sent || got[2] != 1 {
			t.Errorf("received %v, want %d messages of the first session and one of the other", got, sent)
		}
	})
}

// RFC 5352 section 3.8, from one Socket: the cookie that a session is given, and the echo of it.
func TestOneToManyCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, listener := manyScope(t)
		pu := s.connect(rsp.Dialer{})
		wantFrom(t, listener, "1: session added: 1")
		session, err := listener.Session(1)
		if err != nil {
			t.Fatal(err)
		}
		if err := session.SendCookie(ctx(), []byte("state")); err != nil {
			t.Fatal(err)
		}
		session.Write([]byte("x"))
		wantMsg(t, pu, "x", 1)
		// The only PE of the pool: the failover leads to it again.
		session.Abort()
		wantFrom(t, listener, "1: session removed: 1: "+net.ErrClosed.Error())
		time.Sleep(10 * latency)
		go pu.Read(make([]byte, 10))
		wantFrom(t, listener, "2: session added: 2")
		if info := wantFrom(t, listener, "2: state"); !info.CookieEcho {
			t.Errorf("%+v", info)
		}
	})
}

// A message that is lost in its middle is an error of its session alone.
func TestOneToManyLossInMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, listener := manyScope(t)
		pu := s.connect(rsp.Dialer{})
		wantFrom(t, listener, "1: session added: 1")
		pu.SendMsg(ctx(), make([]byte, 100_000), rsp.MsgInfo{})
		n, info, err := listener.RecvMsg(ctx(), make([]byte, 10_000))
		if n == 0 || info.EOR || err != nil {
			t.Fatalf("%d bytes, %+v, %v", n, info, err)
		}
		session, err := listener.Session(1)
		if err != nil {
			t.Fatal(err)
		}
		session.Abort()
		_, info, err = listener.RecvMsg(ctx(), make([]byte, 10_000))
		if !errors.Is(err, io.ErrUnexpectedEOF) || info.Session != 1 {
			t.Errorf("the rest: %+v, %v", info, err)
		}
		wantFrom(t, listener, "1: session removed: 1: "+net.ErrClosed.Error())
	})
}

// Close ends the Socket with all its sessions and goroutines, and unblocks RecvMsg.
func TestOneToManyClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, listener := manyScope(t)
		var sessions []*rsp.Socket
		for range 5 {
			sessions = append(sessions, s.connect(rsp.Dialer{Failover: rsp.FailoverNone}))
		}
		wantFrom(t, listener, "1: session added: 1")
		wantFrom(t, listener, "2: session added: 2")
		sessions[3].Write([]byte("x"))
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		var err error
		for err == nil {
			_, _, err = listener.RecvMsg(short, make([]byte, 10))
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("RecvMsg: %v, want the context's error", err)
		}
		sessions[4].Write([]byte("nobody reads it"))
		time.Sleep(10 * latency)
		if err := listener.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		stacks := make([]byte, 1<<20)
		if stacks := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(stacks, "oneToMany") {
			t.Errorf("a goroutine has survived: %s", stacks)
		}
		if _, _, err := listener.RecvMsg(ctx(), make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("RecvMsg after Close: %v", err)
		}
		for i, session := range sessions {
			if _, err := session.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("session %d: %v, want io.EOF", i+1, err)
			}
		}
	})
}

// Close unblocks a RecvMsg that waits.
func TestOneToManyCloseUnblocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, listener := manyScope(t)
		received := make(chan error, 1)
		go func() {
			_, _, err := listener.RecvMsg(ctx(), make([]byte, 10))
			received <- err
		}()
		synctest.Wait()
		listener.Close()
		if err := <-received; !errors.Is(err, net.ErrClosed) {
			t.Errorf("RecvMsg: %v", err)
		}
	})
}
