package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// "In a failover those that are not [answered] go to the next pool element, in order and before anything
// new."
func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.silent = true })
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{}})
		sendAll(t, session, "one", "two", "three")
		time.Sleep(10 * latency)
		b := s.pe("b", 2, nil)
		a.die()
		exchangeAfter(t, session, "four", 2, "one", "two", "three")
		wantGot(t, b, "one", "two", "three", "four")
	})
}

// "each request is answered": what was not is sent again, and nothing else. What a lost pool element has
// answered counts, read or not.
func TestResendKnowsUnreadAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{}})
		sendAll(t, session, "one", "two", "three")
		wantMsg(t, session, "one", 1)
		time.Sleep(10 * latency)
		b := s.pe("b", 2, nil)
		a.Close() // gracefully: what it sent is there
		time.Sleep(10 * latency)
		sendAll(t, session, "four")
		wantMsg(t, session, "two", 1)
		wantMsg(t, session, "three", 1)
		wantMsg(t, session, "four", 2)
		wantGot(t, b, "four")
	})
}

// The order is the cookie, the handler's messages, the requests that are not answered, new ones.
func TestResendAfterOnFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.cookie = "c" })
		unanswered := -1
		session := s.connect(rsp.Dialer{
			Resend: &rsp.Resend{Answered: func(request, reply []byte, _ rsp.MsgInfo) bool { return string(request) == string(reply) }},
			OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
				unanswered = f.Unanswered
				_, err := f.Write([]byte("hello"))
				return err
			},
		})
		exchange(t, session, "one", 1)
		a.host.Kill()
		sendAll(t, session, "two", "three")
		b := s.pe("b", 2, nil)
		wantMsg(t, session, "hello", 2)
		exchangeAfter(t, session, "four", 2, "two", "three")
		wantGot(t, b, "cookie c", "hello", "two", "three", "four")
		if unanswered != 2 {
			t.Errorf("the handler saw %d unanswered requests, want 2", unanswered)
		}
	})
}

// "a protocol with several replies per request says yes to the last, and one with identifiers compares
// them."
func TestAnswered(t *testing.T) {
	for _, c := range []struct {
		name     string
		answered func(request, reply []byte, info rsp.MsgInfo) bool
		replies  []string // to "1 a", "2 b" and "3 c"
		again    []string
	}{
		{"OneReplyEach", nil, []string{"A"}, []string{"2 b", "3 c"}},
		{"Identifiers", func(request, reply []byte, _ rsp.MsgInfo) bool { return request[0] == reply[0] },
			[]string{"2 B", "7 is nobody's", "3 C"}, []string{"1 a"}},
		{"SeveralReplies", func(_, reply []byte, _ rsp.MsgInfo) bool { return strings.HasSuffix(string(reply), ".") },
			[]string{"A", "A.", "B"}, []string{"2 b", "3 c"}},
		{"OnePPID", func(_, _ []byte, info rsp.MsgInfo) bool { return info.PPID == 7 }, []string{"A"}, []string{"1 a", "2 b", "3 c"}},
		{"AllAnswered", nil, []string{"A", "B", "C"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				a := s.pe("a", 1, func(pe *testPE) { pe.replies = c.replies })
				session := s.connect(rsp.Dialer{Resend: &rsp.Resend{Answered: c.answered}})
				sendAll(t, session, "1 a", "2 b", "3 c")
				for _, reply := range c.replies {
					wantMsg(t, session, reply, 1)
				}
				b := s.pe("b", 2, nil)
				a.die()
				exchangeAfter(t, session, "4 d", 2, c.again...)
				wantGot(t, b, append(c.again, "4 d")...)
			})
		})
	}
}

// "SendMsg and Write wait until there is room": for MaxRequests, and for MaxBytes, above which may be only one.
func TestResendLimits(t *testing.T) {
	long := strings.Repeat("x", 100)
	for name, resend := range map[string]rsp.Resend{"requests": {MaxRequests: 1}, "bytes": {MaxBytes: 99}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				a := s.pe("a", 1, func(pe *testPE) { pe.silent = true })
				session := s.connect(rsp.Dialer{Resend: &resend})
				sendAll(t, session, long)
				session.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := session.Write([]byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write: %v, want a timeout", err)
				}
				session.SetWriteDeadline(time.Time{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := session.SendMsg(ctx, []byte("cancelled"), rsp.MsgInfo{}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("SendMsg: %v, want the context's error", err)
				}
				sent := make(chan error)
				go func() { sent <- session.SendMsg(t.Context(), []byte("patient"), rsp.MsgInfo{}) }()
				b := s.pe("b", 2, nil)
				a.die()
				synctest.Wait()
				select {
				case err := <-sent:
					t.Errorf("sent without room: %v", err)
				default:
				}
				wantMsg(t, session, long, 2)
				if err := <-sent; err != nil {
					t.Error(err)
				}
				wantMsg(t, session, "patient", 2)
				wantGot(t, b, long, "patient")
			})
		})
	}
}

// A request that the transport did not take in time is not sent later.
func TestResendNotWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.deaf = true })
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{MaxBytes: 10 << 20}})
		long := strings.Repeat("x", 600_000)
		sendAll(t, session, long)
		session.SetWriteDeadline(time.Now().Add(time.Second))
		for range 2 { // the buffer has 1 MiB
			if err := session.SendMsg(t.Context(), []byte(long), rsp.MsgInfo{}); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("SendMsg: %v, want a timeout", err)
			}
		}
		if _, err := session.Write(make([]byte, 1<<24)); !errors.Is(err, rsp.ErrMessageTooLong) {
			t.Errorf("Write: %v, want ErrMessageTooLong", err)
		}
		session.SetWriteDeadline(time.Time{})
		b := s.pe("b", 2, func(pe *testPE) { pe.replies = []string{"got it", "thanks"} })
		a.die()
		wantMsg(t, session, "got it", 2)
		sendAll(t, session, "new")
		wantMsg(t, session, "thanks", 2)
		wantGot(t, b, long, "new")
	})
}

// With FailoverManual too SendMsg returns nil once the request is kept: also when it is the one to meet the
// loss. ForceFailover sends it.
func TestResendManual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.silent = true })
		session := s.connect(rsp.Dialer{Failover: rsp.FailoverManual, Resend: &rsp.Resend{}})
		sendAll(t, session, "one")
		b := s.pe("b", 2, nil)
		a.Abort()
		time.Sleep(2 * latency)
		sendAll(t, session, "two") // meets the loss, before the session does by itself
		if err := session.SendMsg(t.Context(), []byte("three"), rsp.MsgInfo{}); !errors.Is(err, rsp.ErrFailover) {
			t.Errorf("SendMsg: %v, want ErrFailover", err)
		}
		if err := session.ForceFailover(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		exchangeAfter(t, session, "four", 2, "one", "two")
		wantGot(t, b, "one", "two", "four")
	})
}

// A pool element that dies while it gets the requests again costs none of them.
func TestResendToThird(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.silent = true })
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{MaxBytes: 10 << 20}})
		texts := make([]string, 5)
		for i := range texts {
			texts[i] = strings.Repeat(fmt.Sprint(i), 500_000) // more than a deaf one's buffer holds
		}
		sendAll(t, session, texts...)
		b := s.pe("b", 2, func(pe *testPE) { pe.deaf = true })
		a.die()
		c := s.pe("c", 3, func(pe *testPE) { pe.replies = []string{"0", "1", "2", "3", "4", "5"} })
		session.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := session.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || session.PeerPE() != 2 {
			t.Fatalf("Read: %v, with PE %v; want a timeout with B", err, session.PeerPE())
		}
		session.SetReadDeadline(time.Time{})
		b.die()
		exchangeAfter(t, session, "5", 3, "0", "1", "2", "3", "4")
		wantGot(t, c, append(texts, "5")...)
	})
}

// The user's write deadline is for the user's calls, not for what the session sends again.
func TestResendIgnoresDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.silent = true })
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{}})
		sendAll(t, session, "one", "two")
		session.SetWriteDeadline(time.Now())
		b := s.pe("b", 2, nil)
		a.die()
		wantMsg(t, session, "one", 2)
		wantMsg(t, session, "two", 2)
		wantGot(t, b, "one", "two")
		if _, err := session.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v, want a timeout", err)
		}
	})
}

// Readers go on while requests are sent again: "a pool element whose answers nobody reads would take no more
// requests."
func TestResendMoreThanBuffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, func(pe *testPE) { pe.silent = true })
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{MaxBytes: 10 << 20}})
		text := strings.Repeat("x", 50_000)
		for range 100 { // 5 MB: four buffers have room for 4 MiB
			sendAll(t, session, text)
		}
		s.pe("b", 2, nil)
		a.die()
		for range 100 {
			wantMsg(t, session, text, 2)
		}
		exchange(t, session, "done", 2)
	})
}

// "Write sends its bytes as one message, one request." Its answer may be read in pieces, also when the pool
// element is lost between them.
func TestResendBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		a := s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{}})
		text := strings.Repeat("0123456789", 5000)
		if n, err := io.WriteString(session, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
		if n, err := session.Write(nil); n != 0 || err != nil {
			t.Errorf("writing nothing: %d, %v", n, err)
		}
		buf := make([]byte, len(text))
		if _, err := io.ReadFull(session, buf[:10]); err != nil {
			t.Fatal(err)
		}
		b := s.pe("b", 2, nil)
		a.die()
		if _, err := io.ReadFull(session, buf[10:]); err != nil || string(buf) != text {
			t.Errorf("read %q..., %v", buf[:20], err)
		}
		exchange(t, session, "more", 2)
		wantGot(t, b, "more")
	})
}

// Close gives up what is unanswered, and interrupts who waits for room.
func TestResendClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, func(pe *testPE) { pe.silent = true })
		session := s.connect(rsp.Dialer{Resend: &rsp.Resend{MaxRequests: 1}})
		sendAll(t, session, "one")
		done := make(chan error)
		go func() { _, err := session.Write([]byte("two")); done <- err }()
		synctest.Wait()
		session.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
	})
}

func TestResendRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		for want, d := range map[string]rsp.Dialer{
			"needs a failover":     {Failover: rsp.FailoverNone, Resend: &rsp.Resend{}},
			"must not be negative": {Resend: &rsp.Resend{MaxBytes: -1}},
		} {
			d.Endpoint = s.endpoint("pu", s.host(), rsp.Config{})
			if _, err := d.Connect(t.Context(), "EchoPool"); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	})
}

func sendAll(t *testing.T, session *rsp.Socket, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := session.SendMsg(t.Context(), []byte(text), rsp.MsgInfo{}); err != nil {
			t.Fatalf("sending %.20q: %v", text, err)
		}
	}
}

// exchangeAfter sends a message and wants it back from PE id behind the answers to others.
func exchangeAfter(t *testing.T, session *rsp.Socket, text string, id rsp.PEID, others ...string) {
	t.Helper()
	sent := make(chan struct{})
	go func() { defer close(sent); sendAll(t, session, text) }()
	for _, want := range append(slices.Clip(others), text) {
		wantMsg(t, session, want, id)
	}
	<-sent
}

// wantGot wants that a pool element has got exactly these messages.
func wantGot(t *testing.T, pe *testPE, want ...string) {
	t.Helper()
	synctest.Wait()
	for _, text := range want {
		select {
		case got := <-pe.got:
			if got != text {
				t.Errorf("got %.40q, want %.40q", got, text)
			}
		default:
			t.Errorf("got nothing, want %.40q", text)
		}
	}
	if n := len(pe.got); n > 0 {
		t.Errorf("got %d more messages, the first is %.40q", n, <-pe.got)
	}
}
