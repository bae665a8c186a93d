package rsp_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// A session without failover is a net.Conn: what came before the end is read, and then the end, also
// when a writer has met that first.
func TestFailoverNoneKeepsUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		session := writerMeetsLoss(t, rsp.Dialer{Failover: rsp.FailoverNone})
		wantMsg(t, session, "one", 1)
		wantMsg(t, session, "two", 1)
		for range 2 {
			if _, err := session.Read(make([]byte, 10)); err != io.EOF {
				t.Errorf("Read: %v, want io.EOF", err)
			}
		}
	})
}

// "FailoverNecessary: the session has lost its pool element. All that came from it has been
// read."
func TestFailoverManualKeepsUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		session := writerMeetsLoss(t, rsp.Dialer{Failover: rsp.FailoverManual, Notifications: true})
		wantMsg(t, session, "one", 1)
		wantMsg(t, session, "two", 1)
		wantNotification(t, session, "failover necessary: PE 0x00000001: association is shut down")
		if _, err := session.Read(make([]byte, 10)); !errors.Is(err, rsp.ErrFailover) {
			t.Errorf("Read: %v, want ErrFailover", err)
		}
	})
}

// writerMeetsLoss returns a session whose pool element has answered "one" and "two" and closed, and
// which nobody has read since: not for long, or the session would meet the loss by itself.
func writerMeetsLoss(t *testing.T, d rsp.Dialer) *rsp.Socket {
	s := newScope(t)
	a := s.pe("a", 1, nil)
	session := s.connect(d)
	for _, text := range []string{"one", "two"} {
		if err := session.SendMsg(t.Context(), []byte(text), rsp.MsgInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(3 * latency)
	a.Close()
	time.Sleep(3 * latency)
	if err := session.SendMsg(t.Context(), []byte("three"), rsp.MsgInfo{}); err == nil {
		t.Fatal("sent to a pool element that has closed")
	}
	return session
}

// "FailoverComplete: the session goes on with another pool element." It tells a reader where that
// one's messages begin.
func TestNotificationsBetweenMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{Notifications: true, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			_, err := f.Write([]byte("again"))
			return err
		}})
		exchange(t, session, "one", 1)
		s.pe("b", 2, nil)
		a.die()
		wantNotification(t, session, "failover necessary: PE 0x00000001: association aborted by peer")
		wantNotification(t, session, "failover complete: PE 0x00000002")
		wantMsg(t, session, "again", 2)
	})
}
