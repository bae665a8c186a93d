package transporttest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// payload fills b with bytes that differ for each i and place.
func payload(b []byte, i int) []byte {
	for k := range b {
		b[k] = byte(i*31 + k*7 + k>>8)
	}
	return b
}

func message(i, size int) []byte { return payload(make([]byte, size), i) }

func send(t testing.TB, a transport.Assoc, b []byte) {
	t.Helper()
	if err := a.Send(b, transport.SendInfo{}); err != nil {
		t.Fatalf("Send of %d bytes: %v", len(b), err)
	}
}

// recvFull reads one message to its end into buf, part by part, skipping
// notices, and returns the message and the info of its last part.
func recvFull(a transport.Assoc, buf []byte) ([]byte, transport.RecvInfo, error) {
	n := 0
	for {
		part, info, err := a.Recv(buf[n:])
		n += part
		switch {
		case err != nil:
			return buf[:n], info, err
		case info.Notice != transport.NoticeNone && part != 0:
			return nil, info, fmt.Errorf("notice %v with %d bytes", info.Notice, part)
		case info.Notice != transport.NoticeNone:
		case info.EOR:
			return buf[:n], info, nil
		case n == len(buf):
			return buf, info, errors.New("message without end")
		}
	}
}

// "RTT is the smoothed round-trip time to the peer; 0 as long as it is unknown". It may be asked at any
// time.
func testRTT(t *testing.T, a, b transport.Assoc) {
	begin := time.Now()
	for i := range 3 {
		send(t, a, message(i, 100))
		want(t, b, message(i, 100))
		send(t, b, message(i, 100))
		want(t, a, message(i, 100))
		if rtt := a.RTT(); rtt < 0 || rtt > time.Since(begin)+tick {
			t.Errorf("RTT %v after %v", rtt, time.Since(begin))
		}
	}
	a.Abort()
	if rtt := a.RTT(); rtt < 0 {
		t.Errorf("RTT %v after the end", rtt)
	}
}

// tick is how coarsely a kernel may measure.
const tick = 20 * time.Millisecond

// want receives one message and compares it.
func want(t testing.TB, a transport.Assoc, b []byte) transport.RecvInfo {
	t.Helper()
	got, info, err := recvFull(a, make([]byte, len(b)+1))
	if err != nil {
		t.Fatalf("Recv instead of %d bytes: %v", len(b), err)
	}
	if !bytes.Equal(got, b) {
		t.Fatalf("Recv: %d bytes %.16x..., want %d bytes %.16x...", len(got), got, len(b), b)
	}
	return info
}

// "it keeps the borders of messages".
func testBorders(t *testing.T, a, b transport.Assoc) {
	sizes := []int{1, 2, 3, 4, 5, 1000, 1, 1452, 1453, 9000, 1}
	for i, size := range sizes {
		send(t, a, message(i, size))
	}
	for i, size := range sizes {
		want(t, b, message(i, size))
	}
}

// "gives each a payload protocol identifier and a stream".
func testInfo(t *testing.T, a, b transport.Assoc) {
	for _, info := range []transport.SendInfo{
		{},
		{PPID: protocol.PPIDASAP},
		{PPID: protocol.PPIDENRP, Stream: 1},
		{PPID: 0x01020304, Stream: 9, Unordered: true},
		{PPID: 0xffffffff, Unordered: true},
	} {
		if err := a.Send([]byte("hello"), info); err != nil {
			t.Fatalf("Send with %+v: %v", info, err)
		}
		got := want(t, b, []byte("hello"))
		if got != (transport.RecvInfo{PPID: info.PPID, Stream: info.Stream, Unordered: info.Unordered, EOR: true}) {
			t.Errorf("sent with %+v, received with %+v", info, got)
		}
	}
}

// "Of a message it copies what fits into b; while info.EOR is false, the next
// calls give the rest."
func testPartialRecv(t *testing.T, a, b transport.Assoc) {
	sent := message(1, 100)
	if err := a.Send(sent, transport.SendInfo{PPID: 7, Stream: 2}); err != nil {
		t.Fatal(err)
	}
	send(t, a, message(2, 30))
	for _, part := range []struct {
		from, to int
		eor      bool
	}{{0, 30, false}, {30, 60, false}, {60, 99, false}, {99, 100, true}} {
		buf := make([]byte, part.to-part.from)
		n, info, err := recvSkipping(b, buf)
		if err != nil || n != len(buf) || !bytes.Equal(buf, sent[part.from:part.to]) {
			t.Fatalf("part %v: %d bytes %x, %v; want %x", part, n, buf[:n], err, sent[part.from:part.to])
		}
		if info.EOR != part.eor || info.PPID != 7 || info.Stream != 2 {
			t.Errorf("part %v: info %+v", part, info)
		}
	}
	// A message that fits exactly ends with its last byte.
	buf := make([]byte, 30)
	if n, info, err := recvSkipping(b, buf); err != nil || n != 30 || !info.EOR {
		t.Errorf("message that fits exactly: %d bytes, info %+v, %v", n, info, err)
	}
}

// recvSkipping is Recv without notices.
func recvSkipping(a transport.Assoc, buf []byte) (int, transport.RecvInfo, error) {
	for {
		n, info, err := a.Recv(buf)
		if err != nil || info.Notice == transport.NoticeNone {
			return n, info, err
		}
	}
}

// "MaxMessage is the longest message that Send takes": at least the 60 KB that
// RSerPool's own messages may have.
func testBigMessages(t *testing.T, a, b transport.Assoc) {
	if a.MaxMessage() < 60_000 {
		t.Fatalf("MaxMessage is %d", a.MaxMessage())
	}
	for i, size := range []int{60_000, a.MaxMessage(), 1, a.MaxMessage()} {
		sent := make(chan error, 1)
		go func() { sent <- a.Send(message(i, size), transport.SendInfo{}) }()
		want(t, b, message(i, size))
		if err := <-sent; err != nil {
			t.Errorf("Send of %d bytes: %v", size, err)
		}
	}
}

// "A message that is too long gives ErrMessageTooLong and harms nothing."
func testTooLong(t *testing.T, a, b transport.Assoc) {
	send(t, a, message(1, 10))
	for range 2 {
		err := a.Send(make([]byte, a.MaxMessage()+1), transport.SendInfo{})
		if !errors.Is(err, transport.ErrMessageTooLong) {
			t.Errorf("Send of %d bytes: %v", a.MaxMessage()+1, err)
		}
	}
	send(t, a, message(2, 10))
	want(t, b, message(1, 10))
	want(t, b, message(2, 10))
}

// "Send sends b as one message; it may be used again when Send returns", and
// messages of one stream keep their order.
func testOrder(t *testing.T, a, b transport.Assoc) {
	const messages = 300
	sent := make(chan error, 1)
	go func() {
		buf := make([]byte, 2000)
		for i := range messages {
			if err := a.Send(payload(buf[:1+i*i%2000], i), transport.SendInfo{Stream: 3}); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range messages {
		want(t, b, message(i, 1+i*i%2000))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// "One goroutine may receive and others send at the same time": whole messages
// arrive, those of each sender in order.
func testConcurrentSenders(t *testing.T, a, b transport.Assoc) {
	const senders, messages = 8, 40
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range messages {
				m := binary.BigEndian.AppendUint32([]byte{byte(s)}, uint32(i))
				m = append(m, message(s+i, (s+1)*(i+1)*13)...)
				if err := a.Send(m, transport.SendInfo{}); err != nil {
					t.Errorf("sender %d, message %d: %v", s, i, err)
					return
				}
			}
		})
	}
	var next [senders]int
	buf := make([]byte, 8192)
	for range senders * messages {
		m, _, err := recvFull(b, buf)
		if err != nil {
			t.Fatal(err)
		}
		s, i := int(m[0]), int(binary.BigEndian.Uint32(m[1:]))
		if i != next[s] || !bytes.Equal(m[5:], message(s+i, (s+1)*(i+1)*13)) {
			t.Fatalf("sender %d: message %d (%d bytes), want %d", s, i, len(m), next[s])
		}
		next[s]++
	}
	wg.Wait()
}

// Both ends send and receive at once, more than the buffers hold.
func testFullDuplex(t *testing.T, a, b transport.Assoc) {
	const messages = 150
	size := func(seed uint64) func() int {
		random := rand.New(rand.NewPCG(seed, 0))
		return func() int { return 1 + random.IntN(16<<10) }
	}
	var wg sync.WaitGroup
	for seed, end := range []transport.Assoc{a, b} {
		wg.Go(func() {
			next := size(uint64(seed))
			for i := range messages {
				if err := end.Send(message(i, next()), transport.SendInfo{}); err != nil {
					t.Errorf("end %d, Send %d: %v", seed, i, err)
					return
				}
			}
		})
		wg.Go(func() {
			next := size(uint64(1 - seed))
			buf := make([]byte, 16<<10+1)
			for i := range messages {
				got, _, err := recvFull(end, buf)
				if err != nil || !bytes.Equal(got, message(i, next())) {
					t.Errorf("end %d, Recv %d: %d bytes, %v", seed, i, len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
}
