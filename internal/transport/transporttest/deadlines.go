package transporttest

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// moment is how long a call must wait before it counts as blocked.
const moment = 50 * time.Millisecond

const fillSize = 8 << 10

// fill sends messages of fillSize until Send has blocked for a moment, and
// returns how many it sent; message i is message(i, fillSize). A Send that ends by its
// deadline has sent nothing.
func fill(t *testing.T, a transport.Assoc) (sent int) {
	t.Helper()
	buf := make([]byte, fillSize)
	for ; sent < 64<<20/fillSize; sent++ {
		a.SetWriteDeadline(time.Now().Add(moment))
		err := a.Send(payload(buf, sent), transport.SendInfo{})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			a.SetWriteDeadline(time.Time{})
			return sent
		}
		if err != nil {
			t.Fatalf("Send %d: %v", sent, err)
		}
	}
	t.Fatalf("%d messages of %d bytes sent, none read, and buffers of %d bytes are not full", sent, fillSize, buffer)
	return 0
}

// sendUntilError goes on where fill stopped, and reports the total of messages
// sent and the error that ended it.
func sendUntilError(a transport.Assoc, sent int) <-chan sendResult {
	done := make(chan sendResult, 1)
	go func() {
		buf := make([]byte, fillSize)
		for {
			if err := a.Send(payload(buf, sent), transport.SendInfo{}); err != nil {
				done <- sendResult{sent, err}
				return
			}
			sent++
		}
	}()
	return done
}

type sendResult struct {
	sent int
	err  error
}

// "It blocks while the buffers are full, until the write deadline."
func testFullBufferDeadline(t *testing.T, a, b transport.Assoc) {
	sent := fill(t, a)
	// As long as nobody reads, it stays so.
	a.SetWriteDeadline(time.Now().Add(-time.Second))
	if err := a.Send(message(0, fillSize), transport.SendInfo{}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Send after the deadline: %v", err)
	}
	a.SetWriteDeadline(time.Time{})
	// What was sent arrives unharmed, and the association goes on.
	for i := range sent {
		want(t, b, message(i, fillSize))
	}
	send(t, a, []byte("last"))
	want(t, b, []byte("last"))
}

// "bound the calls that wait, and those that wait already".
func testWriteDeadlineWhileWaiting(t *testing.T, a, b transport.Assoc) {
	sending := sendUntilError(a, fill(t, a))
	wantWaiting(t, "Send", sending)
	a.SetWriteDeadline(time.Now())
	s := <-sending
	if !errors.Is(s.err, os.ErrDeadlineExceeded) {
		t.Errorf("Send: %v", s.err)
	}
	a.SetDeadline(time.Time{})
	for i := range s.sent {
		want(t, b, message(i, fillSize))
	}
	send(t, a, []byte("last"))
	want(t, b, []byte("last"))
}

// A Send that blocks goes on when the peer reads.
func testFullBufferResumes(t *testing.T, a, b transport.Assoc) {
	sent := fill(t, a)
	resumed := make(chan error, 1)
	go func() { resumed <- a.Send(message(sent, fillSize), transport.SendInfo{}) }()
	wantWaiting(t, "Send", resumed)
	for i := range sent + 1 {
		want(t, b, message(i, fillSize))
	}
	if err := <-resumed; err != nil {
		t.Error(err)
	}
}

// "afterwards errors match os.ErrDeadlineExceeded. The zero time means none."
func testWriteDeadlinePast(t *testing.T, a, b transport.Assoc) {
	a.SetWriteDeadline(time.Now().Add(-time.Second))
	for range 2 {
		err := a.Send([]byte("late"), transport.SendInfo{})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Send: %v", err)
		}
	}
	// The other half is free.
	send(t, b, []byte("to a"))
	want(t, a, []byte("to a"))
	a.SetWriteDeadline(time.Time{})
	send(t, a, []byte("in time"))
	want(t, b, []byte("in time"))
}

func testReadDeadlinePast(t *testing.T, a, b transport.Assoc) {
	a.SetReadDeadline(time.Now().Add(-time.Second))
	for range 2 {
		if _, _, err := recvSkipping(a, make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Recv: %v", err)
		}
	}
	send(t, a, []byte("to b"))
	want(t, b, []byte("to b"))
	a.SetDeadline(time.Time{})
	send(t, b, []byte("to a"))
	want(t, a, []byte("to a"))
}

func testReadDeadlineFuture(t *testing.T, a, b transport.Assoc) {
	deadline := time.Now().Add(moment)
	a.SetDeadline(deadline)
	_, _, err := recvSkipping(a, make([]byte, 10))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Recv: %v", err)
	}
	if early := time.Until(deadline); early > 0 {
		t.Errorf("Recv returned %v before the deadline", early)
	}
	if err := a.Send([]byte("late"), transport.SendInfo{}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Send after SetDeadline has passed: %v", err)
	}
	a.SetDeadline(time.Time{})
	send(t, b, []byte("to a"))
	want(t, a, []byte("to a"))
}

type recvResult struct {
	n    int
	info transport.RecvInfo
	err  error
}

// startRecv receives in a goroutine.
func startRecv(a transport.Assoc, buf []byte) <-chan recvResult {
	done := make(chan recvResult, 1)
	go func() {
		n, info, err := recvSkipping(a, buf)
		done <- recvResult{n, info, err}
	}()
	return done
}

// "bound the calls that wait, and those that wait already".
func testReadDeadlineWhileWaiting(t *testing.T, a, b transport.Assoc) {
	done := startRecv(a, make([]byte, 10))
	wantWaiting(t, "Recv", done)
	a.SetReadDeadline(time.Now())
	if r := <-done; !errors.Is(r.err, os.ErrDeadlineExceeded) {
		t.Errorf("Recv: %+v", r)
	}
}

func testReadDeadlineExtended(t *testing.T, a, b transport.Assoc) {
	a.SetReadDeadline(time.Now().Add(10 * moment))
	done := startRecv(a, make([]byte, 10))
	a.SetReadDeadline(time.Now().Add(patience))
	select {
	case r := <-done:
		t.Fatalf("Recv ended by a deadline that was extended: %+v", r)
	case <-time.After(12 * moment):
	}
	send(t, b, []byte("to a"))
	if r := <-done; r.err != nil || r.n != 4 {
		t.Errorf("Recv: %+v", r)
	}
}

// A deadline amid a message loses nothing of it.
func testDeadlineKeepsRest(t *testing.T, a, b transport.Assoc) {
	send(t, a, []byte("abcdef"))
	buf := make([]byte, 3)
	if n, info, err := recvSkipping(b, buf); err != nil || n != 3 || info.EOR {
		t.Fatalf("first half: %d bytes, %+v, %v", n, info, err)
	}
	b.SetReadDeadline(time.Now().Add(-time.Second))
	if _, _, err := recvSkipping(b, buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Recv after the deadline: %v", err)
	}
	b.SetReadDeadline(time.Time{})
	want(t, b, []byte("def"))
}

// "deadlines and ends may be set by any": whatever the order, each call ends,
// and with an error that its caller can tell.
func testRacy(t *testing.T, a, b transport.Assoc) {
	const goroutines, calls = 3, 50
	known := func(err error) bool {
		return err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
	}
	soon := func(random *rand.Rand) time.Time {
		return time.Now().Add(time.Duration(random.IntN(2000)-200) * time.Microsecond)
	}
	drained := make(chan struct{})
	go func() { // b reads all that comes
		defer close(drained)
		buf := make([]byte, 4096)
		for {
			if _, _, err := b.Recv(buf); err != nil {
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for g := range goroutines {
		random := rand.New(rand.NewPCG(uint64(g), 1))
		wg.Go(func() {
			for range calls {
				a.SetWriteDeadline(soon(random))
				if err := a.Send(make([]byte, 1+random.IntN(9000)), transport.SendInfo{}); !known(err) {
					t.Errorf("Send: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		random := rand.New(rand.NewPCG(goroutines, 1))
		for i := range calls {
			a.SetReadDeadline(soon(random))
			if _, _, err := a.Recv(make([]byte, 100)); !known(err) {
				t.Errorf("Recv: %v", err)
			}
			if i == calls*3/4 {
				a.Close()
			}
		}
	})
	wg.Wait()
	<-drained
}
