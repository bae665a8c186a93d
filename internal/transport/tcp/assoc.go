package tcp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

const (
	// window bounds the DATA chunks that are under way or undelivered, in bytes.
	window = 1 << 20
	// ackDelay is how long a delivered message waits for an ACK that could cover more.
	ackDelay = 100 * time.Millisecond
	// lingerTime is how long an association that ends waits for its peer: to take more
	// of what was sent, then to answer SHUTDOWN.
	lingerTime = 5 * time.Second
)

// errEnded is how reading ends after a graceful end.
var errEnded = errors.New("association has ended")

// past is a deadline that wakes who waits for the connection.
var past = time.Unix(1, 0)

// assoc is an association over conn, after the exchange of INIT.
//
// Who reads: one at a time, that which has set reading. A Recv that waits for a message reads the
// connection itself, since to hand a message from goroutine to goroutine costs more than
// all else. While no Recv does, the tender reads, so that heartbeats, ACKs and the end get through.
//
// It owns up to two goroutines. The tender comes when no Recv has read for tendDelay, makes way
// for the next Recv, and comes for the end, to close the connection. The flusher exists only while there is
// something to write that no Send is writing. Both end soon after the association has: after Close they wait for
// the peer no longer than lingerTime allows; Abort, also after Close, ends them and waits for that.
//
// Who writes: one at a time, that which has set writing. All else is appended to out and
// the one who writes takes care of it. So no call waits for another, who reads waits
// for no write, and a chunk that was begun is always finished.
type assoc struct {
	conn          net.Conn
	local, remote protocol.TransportAddr
	resumes       bool    // a Send may write: what it leaves, the flusher goes on with
	reader        *reader // belongs to the one who reads
	pieces        [3][]byte
	buffers       net.Buffers // of pieces; both belong to the one who writes
	flushers      sync.WaitGroup
	done          chan struct{} // closed when the connection is

	// mu guards all that follows. It is never held during I/O.
	mu                          sync.Mutex
	readable, writable          sync.Cond
	readDeadline, writeDeadline deadline

	closed      bool      // Close or Abort was called here
	over        bool      // nothing more is read or written
	peerEnd     error     // what ended the association, other than closed; io.EOF: SHUTDOWN
	draining    bool      // over, but what has come before that is still read
	lingerUntil time.Time // when the tender gives up after Close

	reading   bool // somebody reads the connection
	inRecv    bool // it is a Recv
	roused    bool // it was told to look
	wanted    bool // the tender reads, and a Recv has come
	turns     uint // how often a Recv has read
	tended    uint // turns when tendTimer was set
	tendTimer *time.Timer
	tendTimed bool

	opts  transport.Options
	tuned bool // since who reads has looked

	suspected     bool // the peer has not answered a heartbeat
	toldSuspected bool // what Recv has told of that last

	received  byteQueue // DATA chunks without padding; the last may be incomplete
	complete  int       // messages in received that are there to their end
	held      int       // part of the window that undelivered messages fill
	nextTSN   uint32    // of the next message from the peer
	current   dataChunk // message that Recv has begun, if amid
	left      int       // bytes of it that are still to be delivered
	amid      bool
	delivered uint32      // messages delivered
	ackDue    int         // part of the window that was delivered and is not acknowledged
	ackTimer  *time.Timer // nil before its first use
	ackTiming bool

	out         *outBuffer // chunks to write next; nil if none
	flying      *outBuffer // chunks that are being written; nil if none
	rest        []byte     // the part of flying that is not written
	writing     bool       // a Send or the flusher writes
	inSend      bool       // it is a Send
	interrupted bool       // its write was told to return
	beatAnswer  bool       // out has a HEARTBEAT ACK
	shutdown    bool       // SHUTDOWN was appended to out
	unacked     lengths    // of messages sent
	firstTSN    uint32     // of the first of them
	inFlight    int        // their sum
	streamSeqs  []uint16   // next stream sequence number, by stream
}

var _ transport.Assoc = (*assoc)(nil)

// newAssoc starts an association on conn, where INIT has been exchanged.
func newAssoc(conn net.Conn, opts transport.Options) *assoc {
	_, overTLS := conn.(*tls.Conn)
	return startAssoc(conn, opts, !overTLS)
}

func startAssoc(conn net.Conn, opts transport.Options, resumes bool) *assoc {
	a := &assoc{
		conn:    conn,
		opts:    opts.WithDefaults(),
		local:   transportAddr(conn.LocalAddr()),
		remote:  transportAddr(conn.RemoteAddr()),
		resumes: resumes,
		done:    make(chan struct{}),
	}
	a.readable.L, a.writable.L = &a.mu, &a.mu
	a.reader = newReader(a)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tendSoon()
	return a
}

func transportAddr(addr net.Addr) protocol.TransportAddr {
	t := protocol.TransportAddr{Protocol: protocol.TCP}
	if addr, ok := addr.(*net.TCPAddr); ok {
		ap := addr.AddrPort()
		t.Port = ap.Port()
		t.Addrs = append(t.Addrs, ap.Addr().Unmap())
	}
	return t
}

func (a *assoc) LocalAddr() protocol.TransportAddr  { return a.local.Clone() }
func (a *assoc) RemoteAddr() protocol.TransportAddr { return a.remote.Clone() }
func (a *assoc) MaxMessage() int                    { return maxMessage }

func (a *assoc) SetDeadline(t time.Time) error {
	return a.setDeadlines(t, &a.readDeadline, &a.writeDeadline)
}

func (a *assoc) SetReadDeadline(t time.Time) error {
	return a.setDeadlines(t, &a.readDeadline)
}

func (a *assoc) SetWriteDeadline(t time.Time) error {
	return a.setDeadlines(t, &a.writeDeadline)
}

func (a *assoc) setDeadlines(t time.Time, deadlines ...*deadline) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return net.ErrClosed
	}
	for _, d := range deadlines {
		a.setDeadline(d, t)
	}
	return nil
}

func (a *assoc) Shutdown() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return net.ErrClosed
	}
	if a.peerEnd != nil && a.peerEnd != io.EOF {
		return a.peerEnd
	}
	a.endSending()
	return nil
}

func (a *assoc) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.release()
	if a.over {
		return nil
	}
	a.lingerUntil = time.Now().Add(lingerTime)
	a.endSending()
	a.boundWrite()
	a.attend()
	return nil
}

func (a *assoc) Abort() error {
	a.mu.Lock()
	a.release()
	a.finish(net.ErrClosed)
	a.mu.Unlock()
	a.flushers.Wait()
	<-a.done
	return nil
}

// release is the end of all calls. a.mu is held.
func (a *assoc) release() {
	a.closed = true
	a.received = byteQueue{} // not to the pool: who reads may be filling its last block
	a.readDeadline.stop()
	a.writeDeadline.stop()
	if a.ackTimer != nil {
		a.ackTimer.Stop()
	}
	a.tendTimer.Stop()
	a.wake()
}

// endSending appends SHUTDOWN, once. a.mu is held.
func (a *assoc) endSending() {
	if a.shutdown || a.over {
		return
	}
	o := a.outgoing()
	o.b = appendShutdown(o.b)
	a.shutdown = true
	a.writable.Broadcast()
	a.flushSoon()
}

// finish stops who reads and who writes; the first reason is the one that calls report.
// a.mu is held.
func (a *assoc) finish(reason error) {
	if a.over {
		return
	}
	a.over = true
	if a.peerEnd == nil {
		a.peerEnd = reason
	}
	a.conn.SetDeadline(past)
	if !a.reading {
		a.drain()
	}
	a.wake()
}

// wake lets all calls that wait look again. a.mu is held.
func (a *assoc) wake() {
	a.readable.Broadcast()
	a.writable.Broadcast()
	if a.inRecv {
		a.rouse()
	}
}

// endOf turns an error of the connection into one of the association.
func endOf(err error) error {
	switch {
	case err == io.EOF:
		return transport.ErrAborted // the connection has ended without SHUTDOWN
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("%w: %w", transport.ErrLost, err) // TCP has given up
	}
	return fmt.Errorf("%w: %w", transport.ErrAborted, err)
}
