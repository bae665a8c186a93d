package transporttest

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// wantRecvError reads until an error, which must be target and stay so.
func wantRecvError(t *testing.T, a transport.Assoc, target error) {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, info, err := recvSkipping(a, buf)
	for range 3 {
		if !errors.Is(err, target) {
			t.Fatalf("Recv: %d bytes, %+v, %v; want %v, every time", n, info, err, target)
		}
		n, info, err = a.Recv(buf)
	}
}

// wantSendError sends, and each error must be target.
func wantSendError(t *testing.T, a transport.Assoc, target error) {
	t.Helper()
	for range 3 {
		if err := a.Send([]byte("too late"), transport.SendInfo{}); !errors.Is(err, target) {
			t.Fatalf("Send: %v; want %v, every time", err, target)
		}
	}
}

// "Close ends the association gracefully": "io.EOF for Recv after the peer ended
// it gracefully and all was read, ErrShutdown for Send", "net.ErrClosed after Close or
// Abort here".
func testCloseDelivers(t *testing.T, a, b transport.Assoc) {
	const messages = 50
	for i := range messages {
		send(t, a, message(i, 500))
	}
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantRecvError(t, a, net.ErrClosed)
	wantSendError(t, a, net.ErrClosed)
	for i := range messages {
		want(t, b, message(i, 500))
	}
	wantRecvError(t, b, io.EOF)
	wantSendError(t, b, transport.ErrShutdown)
	wantRecvError(t, b, io.EOF)
}

// "it does not wait for the peer [...]. What was sent is still delivered if the
// peer lives."
func testCloseDoesNotWait(t *testing.T, a, b transport.Assoc) {
	sent := fill(t, a)
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for i := range sent {
		want(t, b, message(i, fillSize))
	}
	wantRecvError(t, b, io.EOF)
}

// The same when there is data that nobody has read here: no abort because of it.
func testCloseWithUnread(t *testing.T, a, b transport.Assoc) {
	for i := range 5 {
		send(t, b, message(i, 1000))
	}
	want(t, a, message(0, 1000))
	if n, info, err := recvSkipping(a, make([]byte, 10)); err != nil || n != 10 || info.EOR {
		t.Fatalf("part of a message: %d bytes, %+v, %v", n, info, err)
	}
	for i := range 3 {
		send(t, a, message(i, 2000))
	}
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for i := range 3 {
		want(t, b, message(i, 2000))
	}
	wantRecvError(t, b, io.EOF)
}

// "calls under way return at once", and match net.ErrClosed; so do those after
// Abort.
func testUnblocks(end func(transport.Assoc) error) func(*testing.T, transport.Assoc, transport.Assoc) {
	return func(t *testing.T, a, _ transport.Assoc) {
		received := startRecv(a, make([]byte, 10))
		sent := sendUntilError(a, fill(t, a))
		wantWaiting(t, "Recv", received)
		wantWaiting(t, "Send", sent)
		if err := end(a); err != nil {
			t.Error(err)
		}
		if r := <-received; !errors.Is(r.err, net.ErrClosed) {
			t.Errorf("Recv under way: %+v", r)
		}
		if s := <-sent; !errors.Is(s.err, net.ErrClosed) {
			t.Errorf("Send under way: %v", s.err)
		}
		wantRecvError(t, a, net.ErrClosed)
		wantSendError(t, a, net.ErrClosed)
	}
}

// A peer that blocks in Send learns of the end too, although nobody reads any
// more what it has sent.
func testCloseEndsPeersSend(t *testing.T, a, b transport.Assoc) {
	sent := sendUntilError(b, fill(t, b))
	wantWaiting(t, "Send", sent)
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	s := <-sent
	if !errors.Is(s.err, transport.ErrShutdown) && !errors.Is(s.err, transport.ErrAborted) {
		t.Errorf("Send under way: %v", s.err)
	}
}

// "Shutdown ends sending gracefully: the peer reads all that was sent, then
// io.EOF. [...] the peer can send nothing more either."
func testShutdown(t *testing.T, a, b transport.Assoc) {
	received := startRecv(a, make([]byte, 10))
	for i := range 20 {
		send(t, a, message(i, 700))
	}
	if err := a.Shutdown(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	wantSendError(t, a, transport.ErrShutdown)
	for i := range 20 {
		want(t, b, message(i, 700))
	}
	wantRecvError(t, b, io.EOF)
	wantSendError(t, b, transport.ErrShutdown)
	// The end has come for who asked for it, too.
	if r := <-received; !errors.Is(r.err, io.EOF) {
		t.Errorf("Recv under way: %+v", r)
	}
	wantRecvError(t, a, io.EOF)
}

// "deadlines and ends may be set by any, and unblock both"; what Send took
// before is delivered.
func testShutdownUnblocksSend(t *testing.T, a, b transport.Assoc) {
	sending := sendUntilError(a, fill(t, a))
	wantWaiting(t, "Send", sending)
	if err := a.Shutdown(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	s := <-sending
	if !errors.Is(s.err, transport.ErrShutdown) {
		t.Errorf("Send under way: %v", s.err)
	}
	for i := range s.sent {
		want(t, b, message(i, fillSize))
	}
	wantRecvError(t, b, io.EOF)
}

// "Abort ends the association at once; the peer gets ErrAborted", sticky, "once
// Recv or Send has met the end".
func testAbortMetByRecv(t *testing.T, a, b transport.Assoc) {
	if err := a.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
	wantRecvError(t, a, net.ErrClosed)
	wantSendError(t, a, net.ErrClosed)
	wantRecvError(t, b, transport.ErrAborted)
	wantSendError(t, b, transport.ErrAborted)
	wantRecvError(t, b, transport.ErrAborted)
}

func testAbortMetBySend(t *testing.T, a, b transport.Assoc) {
	if err := a.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
	b.SetWriteDeadline(time.Now().Add(patience / 2))
	if s := <-sendUntilError(b, 0); !errors.Is(s.err, transport.ErrAborted) {
		t.Fatalf("Send: %v", s.err)
	}
	wantSendError(t, b, transport.ErrAborted)
	wantRecvError(t, b, transport.ErrAborted)
	wantSendError(t, b, transport.ErrAborted)
}

func testAbortWhileBlocked(t *testing.T, a, b transport.Assoc) {
	received := startRecv(b, make([]byte, 10))
	sent := sendUntilError(b, fill(t, b))
	wantWaiting(t, "Recv", received)
	wantWaiting(t, "Send", sent)
	if err := a.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
	if r := <-received; !errors.Is(r.err, transport.ErrAborted) {
		t.Errorf("Recv under way: %+v", r)
	}
	if s := <-sent; !errors.Is(s.err, transport.ErrAborted) {
		t.Errorf("Send under way: %v", s.err)
	}
	wantRecvError(t, b, transport.ErrAborted)
}
