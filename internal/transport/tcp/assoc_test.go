package tcp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// peer is the other end of an association, by hand: what a test writes and expects are
// the bytes of doc.go.
type peer struct {
	t    *testing.T
	conn net.Conn
}

// pair returns an association and its peer, INIT exchanged. net.Pipe has no buffer: the
// association's writes wait for the peer's reads.
func pair(t *testing.T, opts transport.Options) (*assoc, peer) {
	near, far := net.Pipe()
	a := newAssoc(near, opts)
	t.Cleanup(func() {
		a.Abort()
		far.Close()
	})
	return a, peer{t, far}
}

func (p peer) send(b string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, b); err != nil {
		p.t.Fatalf("peer writes % x: %v", b, err)
	}
}

func (p peer) want(b string) {
	p.t.Helper()
	got := make([]byte, len(b))
	if n, err := io.ReadFull(p.conn, got); err != nil || string(got) != b {
		p.t.Fatalf("peer reads % x, %v; want % x", got[:n], err, b)
	}
}

// wantSilence checks that nothing comes for d.
func (p peer) wantSilence(d time.Duration) {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(d))
	defer p.conn.SetReadDeadline(time.Time{})
	if n, err := p.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("peer reads %d bytes, %v; want none for %v", n, err, d)
	}
}

func (p peer) wantEnd() {
	p.t.Helper()
	if n, err := p.conn.Read(make([]byte, 1)); err != io.EOF {
		p.t.Fatalf("peer reads %d bytes, %v; want the end", n, err)
	}
}

func wantRecv(t *testing.T, a *assoc, message string, info transport.RecvInfo) {
	t.Helper()
	b := make([]byte, len(message)+1)
	n, got, err := a.Recv(b)
	if err != nil || string(b[:n]) != message || got != info {
		t.Fatalf("Recv: %q, %+v, %v; want %q, %+v", b[:n], got, err, message, info)
	}
}

func wantNotice(t *testing.T, a *assoc, notice transport.Notice) {
	t.Helper()
	if n, info, err := a.Recv(nil); n != 0 || info != (transport.RecvInfo{Notice: notice}) || err != nil {
		t.Fatalf("Recv: %d, %+v, %v; want notice %q", n, info, err, notice)
	}
}

func wantEnds(t *testing.T, a *assoc, recv, send error) {
	t.Helper()
	for range 2 {
		if _, _, err := a.Recv(nil); !errors.Is(err, recv) {
			t.Fatalf("Recv: %v, want %v", err, recv)
		}
		if err := a.Send([]byte("late"), transport.SendInfo{}); !errors.Is(err, send) {
			t.Fatalf("Send: %v, want %v", err, send)
		}
	}
}

// data is a DATA chunk on stream 0 with PPID 0.
func data(tsn byte, message string) string {
	return string(appendData(nil, uint32(tsn), transport.SendInfo{}, uint16(tsn), []byte(message)))
}

func ack(tsn byte) string { return "\x03\x00\x00\x08\x00\x00\x00" + string(tsn) }

const (
	shutdown     = "\x07\x00\x00\x04"
	heartbeat    = "\x04\x00\x00\x08\x00\x01\x00\x04"
	heartbeatAck = "\x05\x00\x00\x08\x00\x01\x00\x04"
)

var (
	quiet = transport.Options{HeartbeatInterval: -1}
	whole = transport.RecvInfo{EOR: true}
)

// "The TSN is 0 in the first DATA chunk of a direction and grows by one [...]. The
// stream sequence number counts the ordered messages of a stream from 0, it is 0 in
// unordered ones".
func TestSendNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		go func() {
			for _, info := range []transport.SendInfo{{Stream: 1}, {Stream: 2}, {Stream: 2, Unordered: true}, {Stream: 2, PPID: 11}} {
				a.Send([]byte("abcd"), info)
			}
		}()
		p.want("\x00\x00\x00\x14\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00abcd")
		p.want("\x00\x00\x00\x14\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00abcd")
		p.want("\x00\x04\x00\x14\x00\x00\x00\x02\x00\x02\x00\x00\x00\x00\x00\x00abcd")
		p.want("\x00\x00\x00\x14\x00\x00\x00\x03\x00\x02\x00\x01\x00\x00\x00\x0babcd")
	})
}

// Chunks may come in any pieces.
func TestRecvPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		for _, b := range []byte(data(0, "hello") + data(1, "") + data(2, "world")) {
			p.send(string([]byte{b}))
		}
		wantRecv(t, a, "hello", whole)
		wantRecv(t, a, "", whole)
		wantRecv(t, a, "world", whole)
	})
}

// "Each of these is a protocol error, after which the receiver aborts".
func TestProtocolErrors(t *testing.T) {
	for name, b := range map[string]string{
		"unknown chunk":           "\x06\x00\x00\x04",
		"DATA too short":          "\x00\x00\x00\x0c",
		"second INIT":             "\x01\x00\x00\x04",
		"first TSN not 0":         data(1, "x"),
		"TSN skipped":             data(0, "x") + data(2, "x"),
		"TSN repeated":            data(0, "x") + data(0, "x"),
		"ACK of nothing":          ack(0),
		"HEARTBEAT, bad value":    "\x04\x00\x00\x08\x00\x01\x00\x05",
		"HEARTBEAT ACK, likewise": "\x05\x00\x00\x08\x00\x02\x00\x04",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, p := pair(t, quiet)
				go p.conn.Write([]byte(b))
				p.wantEnd()
				for i := strings.Count(b, "x") - 1; i > 0; i-- {
					wantRecv(t, a, "x", whole) // what came before the error is good
				}
				wantEnds(t, a, transport.ErrAborted, transport.ErrAborted)
			})
		})
	}
}

// "A connection that ends without SHUTDOWN [...] is an association that was aborted".
func TestTruncated(t *testing.T) {
	chunks := data(0, "hello") + heartbeatAck
	for n := range len(chunks) {
		synctest.Test(t, func(t *testing.T) {
			a, p := pair(t, quiet)
			p.send(chunks[:n])
			p.conn.Close()
			if n >= len(data(0, "hello")) {
				wantRecv(t, a, "hello", whole)
			}
			wantEnds(t, a, transport.ErrAborted, transport.ErrAborted)
		})
	}
}

// "a sender keeps no more than that unacknowledged [...]. As each message counts with
// its header, empty ones fill the window too."
func TestSendWindow(t *testing.T) {
	for _, size := range []int{0, 1000, maxMessage} {
		synctest.Test(t, func(t *testing.T) {
			a, p := pair(t, quiet)
			go io.Copy(io.Discard, p.conn)
			sent := 0
			a.SetWriteDeadline(time.Now().Add(time.Second))
			for ; a.Send(make([]byte, size), transport.SendInfo{}) == nil; sent++ {
			}
			if want := 1 << 20 / (16 + size); sent != want {
				t.Errorf("%d messages of %d bytes sent, want %d", sent, size, want)
			}
			a.SetWriteDeadline(time.Time{})
			blocked := make(chan error)
			go func() { blocked <- a.Send(make([]byte, size), transport.SendInfo{}) }()
			synctest.Wait()
			p.send(ack(0))
			if err := <-blocked; err != nil {
				t.Errorf("Send after ACK: %v", err)
			}
			p.send(ack(2))
			if err := a.Send(make([]byte, size), transport.SendInfo{}); err != nil {
				t.Errorf("Send after ACK of two: %v", err)
			}
			go p.conn.Write([]byte(ack(2)))
			wantEnds(t, a, transport.ErrAborted, transport.ErrAborted) // "for nothing new"
		})
	}
}

// "a receiver that holds more undelivered aborts".
func TestRecvWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		const size = 1<<14 - 16
		for tsn := range byte(64) {
			p.send(data(tsn, strings.Repeat("m", size)))
		}
		synctest.Wait()
		wantRecv(t, a, strings.Repeat("m", size), whole)
		p.send(data(64, strings.Repeat("m", size)))
		p.send(data(65, "")[:16])
		p.wantEnd()
		for range 64 {
			wantRecv(t, a, strings.Repeat("m", size), whole)
		}
		wantEnds(t, a, transport.ErrAborted, transport.ErrAborted)
	})
}

// ACK "is due 100 ms after a delivery".
func TestAckDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		p.send(data(0, "a") + data(1, "b") + data(2, "c"))
		p.wantSilence(time.Second) // nothing delivered
		wantRecv(t, a, "a", whole)
		wantRecv(t, a, "b", whole)
		p.wantSilence(99 * time.Millisecond)
		p.want(ack(1))
		p.wantSilence(time.Second)
		wantRecv(t, a, "c", whole)
		p.want(ack(2))
	})
}

// "and it goes along with DATA that is sent anyway": an echo needs one write for each
// message.
func TestAckWithData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		for i := range byte(5) {
			p.send(data(i, "ping"))
			wantRecv(t, a, "ping", whole)
			go a.Send([]byte("pong"), transport.SendInfo{})
			both := ack(i) + data(i, "pong")
			got := make([]byte, 2*len(both))
			if n, err := p.conn.Read(got); err != nil || string(got[:n]) != both {
				t.Fatalf("one write: % x, %v; want % x", got[:n], err, both)
			}
			p.send(ack(i))
		}
		p.wantSilence(time.Second)
	})
}

// "at once when half the window has been delivered and not acknowledged".
func TestAckHalfWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, quiet)
		message := strings.Repeat("m", 1<<14-16)
		start := time.Now()
		go func() { // a connection in memory takes nothing before it is read
			for tsn := range byte(32) {
				p.send(data(tsn, message))
			}
		}()
		for range 32 {
			wantRecv(t, a, message, whole)
		}
		p.want(ack(31))
		if waited := time.Since(start); waited != 0 {
			t.Errorf("ACK after %v", waited)
		}
	})
}

// "After a heartbeat interval without any, and after each further one, a HEARTBEAT goes
// out. [...] limit + 1 intervals after the last byte."
func TestHeartbeatLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, transport.Options{HeartbeatInterval: 2 * time.Second, AssocMaxRetrans: 4})
		time.Sleep(1500 * time.Millisecond)
		p.send(data(0, "x")) // a sign of life
		for range 4 {
			p.wantSilence(2*time.Second - 1)
			p.want(heartbeat)
		}
		p.wantSilence(2*time.Second - 1)
		p.wantEnd()
		wantNotice(t, a, transport.NoticeSuspect)
		wantRecv(t, a, "x", whole)
		wantEnds(t, a, transport.ErrLost, transport.ErrLost)
	})
}

// "One interval after the first HEARTBEAT, the peer is suspected, until its next byte."
func TestSuspicion(t *testing.T) {
	for _, answer := range []string{heartbeatAck, data(0, "x")} {
		synctest.Test(t, func(t *testing.T) {
			a, p := pair(t, transport.Options{HeartbeatInterval: time.Second, AssocMaxRetrans: 1})
			start := time.Now()
			p.want(heartbeat)
			wantNotice(t, a, transport.NoticeSuspect)
			if waited := time.Since(start); waited != 2*time.Second {
				t.Errorf("suspected after %v", waited)
			}
			wantEnds(t, a, transport.ErrLost, transport.ErrLost)

			a, p = pair(t, transport.Options{HeartbeatInterval: time.Second, AssocMaxRetrans: 2})
			p.want(heartbeat)
			p.want(heartbeat)
			wantNotice(t, a, transport.NoticeSuspect)
			p.send(answer)
			wantNotice(t, a, transport.NoticeAnswers)
			p.wantSilence(time.Second - 1)
			p.want(heartbeat)
			p.send(heartbeatAck) // in time: nothing to tell
			synctest.Wait()
			a.SetReadDeadline(time.Now())
			if answer != heartbeatAck {
				a.SetReadDeadline(time.Time{})
				wantRecv(t, a, "x", whole)
			} else if _, info, err := a.Recv(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Recv: %+v, %v", info, err)
			}
		})
	}
}

// A suspicion that has ended before anybody asked is not told, and no message is torn apart.
func TestSuspicionUntold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, transport.Options{HeartbeatInterval: time.Second, AssocMaxRetrans: 3})
		p.want(heartbeat)
		p.want(heartbeat)
		p.send(data(0, "ab"))
		synctest.Wait()
		wantRecv(t, a, "ab", whole)
		p.send(data(1, "ab"))
		synctest.Wait()
		if n, info, err := a.Recv(make([]byte, 1)); n != 1 || info.EOR || err != nil {
			t.Fatalf("Recv: %d, %+v, %v", n, info, err)
		}
		p.want(ack(0))
		p.want(heartbeat)
		p.want(heartbeat)
		wantRecv(t, a, "b", whole)
		wantNotice(t, a, transport.NoticeSuspect)
	})
}

// New timers count the silence anew: at once, whether there were heartbeats before or not.
func TestTune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := pair(t, transport.Options{HeartbeatInterval: time.Hour, AssocMaxRetrans: 1})
		tune := func(o transport.Options) {
			t.Helper()
			if err := a.Tune(o); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(30 * time.Minute)
		tune(transport.Options{HeartbeatInterval: time.Second})
		p.wantSilence(time.Second - 1)
		p.want(heartbeat)
		time.Sleep(500 * time.Millisecond)
		tune(transport.Options{AssocMaxRetrans: 2}) // the first is forgotten
		for range 2 {
			p.wantSilence(time.Second - 1)
			p.want(heartbeat)
		}
		tune(transport.Options{HeartbeatInterval: -1})
		p.wantSilence(time.Hour)
		tune(transport.Options{HeartbeatInterval: time.Second, AssocMaxRetrans: 1})
		start := time.Now()
		p.want(heartbeat)
		p.wantEnd()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("lost after %v", took)
		}
		a.Close()
		if err := a.Tune(transport.Options{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestHeartbeatAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := pair(t, transport.Options{HeartbeatInterval: time.Second, AssocMaxRetrans: 1})
		for range 20 {
			p.wantSilence(time.Second - 1)
			p.want(heartbeat)
			p.send(heartbeatAck)
		}
	})
}

func TestHeartbeatOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := pair(t, quiet)
		p.wantSilence(time.Hour)
	})
}

// "The peer answers with HEARTBEAT ACK and the same value; of several that wait for the
// answer to be written, one is answered." Nobody calls Recv here.
func TestHeartbeatAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := pair(t, quiet)
		p.send("\x04\x00\x00\x0b\x00\x01\x00\x07xyz\x00")
		p.want("\x05\x00\x00\x0b\x00\x01\x00\x07xyz\x00")
		for range 100 {
			p.send(heartbeat)
			synctest.Wait()
		}
		p.want(heartbeatAck + heartbeatAck) // the one being written and one more
		p.wantSilence(time.Hour)
	})
}

// Two ends in full duplex over a connection without any buffer: neither waits for the
// other's write.
func TestNoBufferBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		ends := []*assoc{newAssoc(near, transport.Options{}), newAssoc(far, transport.Options{})}
		message := bytes.Repeat([]byte("m"), 20_000)
		done := make(chan error)
		for _, a := range ends {
			go func() {
				for range 300 {
					if err := a.Send(message, transport.SendInfo{}); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		buf := make([]byte, len(message))
		for range 300 {
			for _, a := range ends {
				if n, info, err := a.Recv(buf); n != len(message) || !info.EOR || err != nil {
					t.Fatalf("Recv: %d, %+v, %v", n, info, err)
				}
			}
		}
		for range ends {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		ends[0].Close()
		wantEnds(t, ends[1], io.EOF, transport.ErrShutdown)
	})
}
