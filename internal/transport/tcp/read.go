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

// reader is the state that the reader goroutine has for itself.
type reader struct {
	*assoc
	in     *bufio.Reader // reads from the reader itself, as an io.Reader
	heard  time.Time     // when the last bytes came
	probes int           // heartbeats sent since
	looked bool          // for an answer to the last one, when its time was over
}

// read is the reader goroutine, the only one that closes the connection.
func (a *assoc) read() {
	r := &reader{assoc: a, heard: time.Now()}
	r.in = bufio.NewReaderSize(r, readBuffer)
	err := r.run()

	a.mu.Lock()
	a.finish(err)
	a.mu.Unlock()
	if err != errEnded {
		// The peer is to see RST, and the kernel to forget what is not sent. A
		// connection without this option shows the missing SHUTDOWN as well.
		if c, ok := bare(a.conn).(interface{ SetLinger(int) error }); ok {
			c.SetLinger(0)
		}
	}
	bare(a.conn).Close() // a *tls.Conn would wait to write close_notify, of which SHUTDOWN makes nothing new
}

// run reads chunks until the association has ended: errEnded if gracefully.
func (r *reader) run() error {
	if err := r.silence(); err != nil { // sets the first deadline
		return err
	}
	for {
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
			err = r.readData(h)
		case chunkShutdown:
			return r.answerShutdown()
		default:
			err = r.readControl(h)
		}
		if err != nil {
			return err
		}
	}
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

// readData moves a DATA chunk into the queue, for which memory is taken only as the
// bytes come.
func (r *reader) readData(h header) error {
	start, err := r.in.Peek(dataHeaderLen)
	if err != nil {
		return err
	}
	if err := r.beginMessage(start); err != nil {
		return broken(err)
	}
	r.in.Discard(dataHeaderLen)
	for left := h.length - dataHeaderLen; left > 0; {
		room := r.reserve(left)
		if room == nil {
			_, err = r.in.Discard(left)
			left = 0
		} else {
			_, err = io.ReadFull(r.in, room)
			left -= len(room)
			r.commit(len(room))
		}
		if err != nil {
			return err
		}
	}
	if _, err := r.in.Discard(h.padding()); err != nil {
		return err
	}
	r.endMessage()
	return nil
}

// beginMessage checks and queues the start of a DATA chunk.
func (a *assoc) beginMessage(start []byte) error {
	d := parseData(start)
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
	a.received.write(start)
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
	return a.conn.SetReadDeadline(past) // the reader looks
}
