package tcp

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// "A side that receives SHUTDOWN takes no more messages either and answers with its own
// behind those that it took [...]. Who has both sent and received SHUTDOWN closes the
// connection."
func TestShutdownByPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		taken := make(chan error)
		go func() { taken <- a.Send([]byte("ours"), transport.SendInfo{}) }()
		synctest.Wait() // in its write
		p.send(data(0, "theirs") + shutdown)
		synctest.Wait()
		if err := a.Send([]byte("late"), transport.SendInfo{}); !errors.Is(err, transport.ErrShutdown) {
			t.Errorf("Send: %v", err)
		}
		p.want(data(0, "ours") + shutdown)
		p.wantEnd()
		if err := <-taken; err != nil {
			t.Errorf("Send before: %v", err)
		}
		wantRecv(t, a, "theirs", whole)
		wantEnds(t, a, io.EOF, transport.ErrShutdown)
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		for range 2 {
			if err := a.Shutdown(); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		}
		p.want(shutdown)
		p.send(data(0, "under way") + heartbeat)
		p.wantSilence(time.Hour) // "Nothing is acknowledged, and no heartbeat sent"
		p.send(shutdown)
		p.wantEnd()
		wantRecv(t, a, "under way", whole)
		wantEnds(t, a, io.EOF, transport.ErrShutdown)
	})
}

// A peer that answers SHUTDOWN with silence is lost like any other.
func TestShutdownUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, transport.Options{HeartbeatInterval: time.Second, AssocMaxRetrans: 2})
		a.Shutdown()
		p.want(shutdown)
		p.wantSilence(3*time.Second - 1)
		p.wantEnd()
		wantNotice(t, a, transport.NoticeSuspect)
		wantEnds(t, a, transport.ErrLost, transport.ErrShutdown)
	})
}

// Close returns while messages are still to be written; they are, then SHUTDOWN.
func TestCloseFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		taken := make(chan error)
		go func() { taken <- a.Send([]byte("first"), transport.SendInfo{}) }()
		synctest.Wait()
		if err := a.Send([]byte("second"), transport.SendInfo{}); err != nil {
			t.Errorf("Send beside one that writes: %v", err)
		}
		p.send(data(0, "never read"))
		a.Close()
		if err := <-taken; err != nil {
			t.Errorf("Send under way: %v", err)
		}
		wantEnds(t, a, net.ErrClosed, net.ErrClosed)
		time.Sleep(lingerTime - 1) // slow, but in time
		p.want(data(0, "first")[:7])
		time.Sleep(lingerTime - 1)
		p.want(data(0, "first")[7:] + data(1, "second"))
		p.send(data(1, "nor this"))
		time.Sleep(lingerTime - 1)
		p.want(shutdown)
		p.send(data(2, "nor this") + shutdown)
		p.wantEnd()
	})
}

// "after Close they wait for the peer no longer than lingerTime allows".
func TestCloseLinger(t *testing.T) {
	t.Run("peer reads nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := pair(t, transport.Options{})
			start := time.Now()
			a.Close()
			<-a.done
			if waited := time.Since(start); waited != lingerTime {
				t.Errorf("ended after %v", waited)
			}
		})
	})
	t.Run("peer does not answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p := pair(t, transport.Options{})
			a.Close()
			p.want(shutdown)
			start := time.Now()
			p.send(data(0, "or talks on"))
			<-a.done
			if waited := time.Since(start); waited != lingerTime {
				t.Errorf("ended after %v", waited)
			}
		})
	})
	t.Run("Abort ends it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := pair(t, transport.Options{})
			start := time.Now()
			a.Close()
			a.Abort()
			<-a.done
			if waited := time.Since(start); waited != 0 {
				t.Errorf("ended after %v", waited)
			}
		})
	})
}

// A write deadline in the middle of a chunk harms neither the message nor the next ones:
// the flusher goes on.
func TestWriteDeadlineInChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		long := strings.Repeat("l", 40_000)
		a.SetWriteDeadline(time.Now().Add(time.Second))
		taken := make(chan error)
		go func() { taken <- a.Send([]byte(long), transport.SendInfo{}) }()
		p.want(data(0, long)[:10_000])
		start := time.Now()
		if err := <-taken; err != nil || time.Since(start) != time.Second {
			t.Errorf("Send: %v after %v", err, time.Since(start))
		}
		if err := a.Send(nil, transport.SendInfo{}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Send after the deadline: %v", err)
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if err := a.Send([]byte("next"), transport.SendInfo{}); err != nil {
			t.Errorf("Send beside the flusher: %v", err)
		}
		time.Sleep(time.Minute) // the deadline is not the flusher's
		p.want(data(0, long)[10_000:] + data(1, "next"))
		a.SetWriteDeadline(time.Time{})
		go a.Send([]byte("last"), transport.SendInfo{})
		p.want(data(2, "last"))
	})
}

// A Send with no deadline is not bothered by one that has passed.
func TestWriteDeadlineLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		a.SetWriteDeadline(time.Now().Add(time.Second))
		go a.Send([]byte("one"), transport.SendInfo{})
		time.Sleep(2 * time.Second)
		p.want(data(0, "one"))
		a.SetWriteDeadline(time.Time{})
		done := make(chan error)
		go func() { done <- a.Send([]byte("two"), transport.SendInfo{}) }()
		time.Sleep(time.Hour)
		p.want(data(1, "two"))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Without heartbeats too, Abort and a broken connection end the goroutines at once.
func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		sent := make(chan error)
		go func() { sent <- a.Send([]byte("stuck"), transport.SendInfo{}) }()
		synctest.Wait()
		a.Abort()
		if err := <-sent; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Send under way: %v", err)
		}
		p.wantEnd()
		wantEnds(t, a, net.ErrClosed, net.ErrClosed)
		if err := a.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetDeadline: %v", err)
		}
		if err := a.Shutdown(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestEndOf(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{io.EOF, transport.ErrAborted},
		{syscall.ECONNRESET, transport.ErrAborted},
		{syscall.EPIPE, transport.ErrAborted},
		{syscall.ETIMEDOUT, transport.ErrLost},
		{syscall.EHOSTUNREACH, transport.ErrLost},
	} {
		err := endOf(c.err)
		if !errors.Is(err, c.want) || c.err != io.EOF && !errors.Is(err, c.err) || errors.Is(err, io.EOF) {
			t.Errorf("%v: %v, want %v", c.err, err, c.want)
		}
	}
}

// Whatever a peer writes, nothing panics or hangs, and what is held is bounded.
func FuzzAssoc(f *testing.F) {
	f.Add([]byte(data(0, "hello")+heartbeat+data(1, "world")+shutdown), false)
	f.Add([]byte(data(0, strings.Repeat("x", 300))+data(1, "")+heartbeatAck+ack(0)), true)
	f.Add([]byte(strings.Repeat(heartbeat, 9)), false)
	f.Fuzz(func(t *testing.T, b []byte, closeEarly bool) {
		near, far := net.Pipe()
		a := newAssoc(near, quiet)
		defer a.Abort()
		go io.Copy(io.Discard, far)
		if err := a.Send([]byte("so that an ACK can be right"), transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		if closeEarly {
			a.Close()
		}
		far.Write(b)
		a.mu.Lock()
		if a.held > window+maxChunk || a.out != nil && len(a.out.b) > maxChunk {
			t.Errorf("%d bytes held, %d to write", a.held, len(a.out.b))
		}
		a.mu.Unlock()
		far.Close()
		for received, err := 0, error(nil); err == nil; {
			var n int
			if n, _, err = a.Recv(make([]byte, 1000)); err == nil {
				if received += n; received > len(b) {
					t.Fatalf("%d bytes received of %d", received, len(b))
				}
			}
		}
	})
}
