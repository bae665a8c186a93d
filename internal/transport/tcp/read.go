package tcp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// readBuffer is most of what an idle association costs.
const readBuffer = 4 << 10

// reader is the state of the one who reads.
type reader struct {
	*assoc
	in     *bufio.Reader // reads from the reader itself, as an io.Reader
	heard  time.Time     // when the last bytes came
	probes int           // heartbeats sent since
	looked bool          // for an answer to the last one, when its time was over

	// Of the DATA chunk whose reading was interrupted.
	amid    bool
	rest    int // bytes of data to come
	padding int // and behind them

	direct []byte // the buffer of the Recv that reads; nil: what comes goes to the queue
	start  [dataHeaderLen]byte
	got    dataChunk // of the message that is in direct, if isGot
	isGot  bool
}

func newReader(a *assoc) *reader {
	r := &reader{assoc: a, heard: time.Now()}
	r.in = bufio.NewReaderSize(r, readBuffer)
	a.conn.SetReadDeadline(past) // the first to read sets the right one, see silence
	return r
}

var (
	// errRoused interrupts a Recv that reads: it is to look whether it has still to wait.
	errRoused = errors.New("roused")
	// errShutdown is that the peer has sent SHUTDOWN.
	errShutdown = errors.New("SHUTDOWN")
)

// next reads a chunk, or the rest of one. An error other than errRoused ends the association.
func (r *reader) next() error {
	if r.amid {
		return r.readRest()
	}
	b, err := r.in.Peek(headerLen)
	if err != nil {
		return err
	}
	h, err := parseHeader(b)
	if err != nil {
		return broken(err)
	}
	switch h.typ {
	case chunkData:
		return r.readData(h)
	case chunkShutdown:
		return errShutdown
	}
	return r.readControl(h)
}

// broken is the end of an association whose peer breaks the protocol.
func broken(err error) error {
	return fmt.Errorf("%w: protocol error: %w", transport.ErrAborted, err)
}

// readControl handles a chunk that is short enough for the buffer.
func (r *reader) readControl(h header) error {
	b, err := r.in.Peek(h.length + h.padding())
	if err != nil {
		return err
	}
	value := b[headerLen:h.length]
	switch h.typ {
	case chunkAck:
		err = r.acked(binary.BigEndian.Uint32(value))
	case chunkHeartbeat:
		err = r.answerHeartbeat(value)
	case chunkHeartbeatAck:
		_, err = parseBeat(value) // that it has come is all it says
	case chunkInit:
		err = errors.New("second INIT")
	}
	if err != nil {
		return broken(err)
	}
	r.in.Discard(len(b))
	return nil
}

// readData moves a DATA chunk into the queue.
func (r *reader) readData(h header) error {
	start, err := r.in.Peek(dataHeaderLen)
	if err != nil {
		return err
	}
	d := parseData(start)
	direct := r.direct != nil && d.length-dataHeaderLen <= len(r.direct)
	if err := r.beginMessage(d, start, !direct); err != nil {
		return broken(err)
	}
	copy(r.start[:], start)
	r.in.Discard(dataHeaderLen)
	r.rest, r.padding = d.length-dataHeaderLen, h.padding()
	if direct {
		return r.readDirect(d)
	}
	r.amid = true
	return r.readRest()
}

// readDirect reads a DATA chunk that has begun into the buffer of the Recv that reads.
func (r *reader) readDirect(d dataChunk) error {
	var err error
	b := r.direct[:0]
	for r.rest > 0 && err == nil {
		var n int
		n, err = r.in.Read(b[len(b) : len(b)+r.rest])
		b = b[:len(b)+n]
		r.rest -= n
	}
	if err == nil {
		var n int
		n, err = r.in.Discard(r.padding)
		r.padding -= n
	}
	r.amid = err != nil // what has come is for the next Recv
	r.isGot = !r.amid && !r.hasNotice()
	if r.isGot {
		r.got = d
		return nil
	}
	r.enqueue(r.start[:], b)
	if err == nil {
		r.endMessage()
	}
	return err
}

// hasNotice reports whether Recv is to tell something before the message that has come.
func (a *assoc) hasNotice() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.suspected != a.toldSuspected
}

// enqueue queues a chunk, or the beginning of one.
func (a *assoc) enqueue(start, data []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.received.write(start)
		a.received.write(data)
	}
}

// readRest moves what is left of a DATA chunk. Memory is taken for it only as the bytes come.
func (r *reader) readRest() error {
	for r.rest > 0 {
		var n int
		var err error
		if room := r.reserve(r.rest); room == nil {
			n, err = r.in.Discard(r.rest)
		} else {
			n, err = r.in.Read(room)
			r.commit(n)
		}
		r.rest -= n
		if err != nil {
			return err
		}
	}
	n, err := r.in.Discard(r.padding)
	r.padding -= n
	if err != nil {
		return err
	}
	r.amid = false
	r.endMessage()
	return nil
}

// beginMessage checks the start of a DATA chunk, and may queue it.
func (a *assoc) beginMessage(d dataChunk, start []byte, queue bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.tsn != a.nextTSN {
		return fmt.Errorf("TSN %d instead of %d", d.tsn, a.nextTSN)
	}
	a.nextTSN++
	if a.closed {
		return nil
	}
	if a.held += d.length; a.held > window {
		return fmt.Errorf("%d bytes in a window of %d", a.held, window)
	}
	if queue {
		a.received.write(start)
	}
	return nil
}

// reserve returns room for up to n bytes of the message, or nil if nobody will ask for
// it.
func (a *assoc) reserve(n int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	room := a.received.reserve()
	return room[:min(n, len(room))]
}

func (a *assoc) commit(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.received.commit(n)
	}
}

func (a *assoc) endMessage() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.complete++
	a.readable.Signal()
}

// answerHeartbeat queues a HEARTBEAT ACK, one at a time.
func (a *assoc) answerHeartbeat(value []byte) error {
	opaque, err := parseBeat(value)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.beatAnswer || a.shutdown || a.over {
		return nil
	}
	a.beatAnswer = true
	o := a.outgoing()
	o.b = appendBeat(o.b, chunkHeartbeatAck, opaque)
	a.flushSoon()
	return nil
}

// answerShutdown tells all calls that the peer has ended, and waits until what was sent
// here, SHUTDOWN as the last, has been written.
func (a *assoc) answerShutdown() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peerEnd = io.EOF
	a.wake()
	a.endSending()
	a.boundWrite()
	for a.writing && !a.over {
		a.writable.Wait()
	}
	if a.over {
		return a.peerEnd
	}
	return errEnded
}

// Read reads from the connection for the bufio.Reader, and watches over the silence of
// the peer meanwhile.
func (r *reader) Read(b []byte) (int, error) {
	for {
		n, err := r.conn.Read(b)
		switch {
		case n > 0:
			r.hear()
			return n, nil
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := r.silence(); err != nil {
				return 0, err
			}
		default:
			return 0, endOf(err)
		}
	}
}

// hear takes a sign of life.
func (r *reader) hear() {
	r.heard, r.probes, r.looked = time.Now(), 0, false
	if r.suspected { // nobody else changes it
		r.mu.Lock()
		defer r.mu.Unlock()
		r.suspect(false)
	}
}

// lastLook is the end of an interval, in which what has come is read although time is over: a process that
// was not run for a while finds both, and the deadline counts first.
const lastLook = time.Millisecond

// silence handles the end of a read deadline: it may send a heartbeat, and sets the next
// deadline, or it ends the association by its error.
func (r *reader) silence() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.tuned { // the silence counts anew
		r.tuned = false
		r.heard, r.probes, r.looked = now, 0, false
	}
	interval := r.opts.HeartbeatInterval
	var next time.Time
	switch {
	case r.over:
		return r.peerEnd
	case r.inRecv && (r.roused || r.closed):
		return errRoused
	case r.closed && r.unwritten():
		next = now.Add(lingerTime) // the flusher knows when to give up
	case r.closed && now.Before(r.lingerUntil):
		next = r.lingerUntil
	case r.closed:
		return errEnded
	case interval < 0: // no heartbeats
	case now.Sub(r.heard) < interval:
		next = r.heard.Add(interval)
	case r.probes > 0 && !r.looked:
		r.looked = true
		next = now.Add(lastLook)
	case r.probes >= r.opts.AssocMaxRetrans:
		r.suspect(true)
		return fmt.Errorf("%w: %d heartbeats unanswered", transport.ErrLost, r.probes)
	default:
		r.beat()
		next = now.Add(interval - lastLook)
	}
	if err := r.conn.SetReadDeadline(next); err != nil {
		return endOf(err)
	}
	if r.inRecv && r.suspected != r.toldSuspected {
		return errRoused
	}
	return nil
}

// beat sends the next heartbeat; a second one means that there was no answer to the first. r.mu is
// held.
func (r *reader) beat() {
	if r.probes > 0 {
		r.suspect(true)
	}
	r.probes++
	r.looked = false
	r.appendHeartbeat()
}

// appendHeartbeat sends a HEARTBEAT; the peer's answer needs no value to be told from
// another. a.mu is held.
func (a *assoc) appendHeartbeat() {
	if a.shutdown {
		return
	}
	o := a.outgoing()
	o.b = appendBeat(o.b, chunkHeartbeat, nil)
	a.flushSoon()
}

// Tune makes the peer's silence count anew, by the new interval and limit.
func (a *assoc) Tune(opts transport.Options) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return net.ErrClosed
	}
	a.opts, a.tuned = opts.Or(a.opts), true
	if a.over {
		return nil
	}
	return a.conn.SetReadDeadline(past) // who reads looks
}
