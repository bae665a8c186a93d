package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// Send waits for room in the window. When there is, the message is taken, and is on its
// way even if the write deadline passes or the association is closed while Send writes:
// then the flusher goes on, and Send returns nil.
func (a *assoc) Send(b []byte, info transport.SendInfo) error {
	if len(b) > maxMessage {
		return transport.ErrMessageTooLong
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		if err := a.sendError(); err != nil {
			return err
		}
		if a.writeDeadline.hasPassed() {
			return os.ErrDeadlineExceeded
		}
		if a.inFlight+dataHeaderLen+len(b) <= window && !a.flusherBehind(len(b)) {
			break
		}
		if !a.reading { // the ACKs
			a.startTender(nil)
		}
		a.writable.Wait()
	}
	a.appendAck()
	switch {
	case !a.resumes:
		a.appendMessage(b, info)
		a.flushSoon()
		return nil
	case a.writing:
		a.appendMessage(b, info)
		return nil
	case len(b) >= minDirect && a.flying == nil:
		a.appendStart(len(b), info)
		return a.writeInSend(b)
	}
	a.appendMessage(b, info)
	return a.writeInSend(nil)
}

// minDirect is from how many bytes on a message is written from where its user has it: a copy would
// cost more than to tell the system of several pieces.
const minDirect = 2 << 10

// flusherBehind reports whether a Send that does not write itself would make the next write longer than
// buffers are kept for. a.mu is held.
func (a *assoc) flusherBehind(n int) bool {
	return !a.resumes && a.writing && a.out != nil && len(a.out.b)+n > maxOut/2
}

// sendError is nil as long as messages can be sent. a.mu is held.
func (a *assoc) sendError() error {
	switch {
	case a.closed:
		return net.ErrClosed
	case a.shutdown, a.peerEnd == io.EOF:
		return transport.ErrShutdown
	}
	return a.peerEnd
}

func (a *assoc) appendMessage(b []byte, info transport.SendInfo) {
	a.appendStart(len(b), info)
	a.out.b = appendPadded(a.out.b, b)
}

// appendStart appends the start of the DATA chunk of a message of n bytes. a.mu is held.
func (a *assoc) appendStart(n int, info transport.SendInfo) {
	o := a.outgoing()
	tsn := a.firstTSN + uint32(a.unacked.len())
	o.b = appendDataHeader(o.b, tsn, info, a.streamSeq(info), n)
	a.unacked.push(dataHeaderLen + n)
	a.inFlight += dataHeaderLen + n
}

// streamSeq counts the ordered messages of each stream. a.mu is held.
func (a *assoc) streamSeq(info transport.SendInfo) uint16 {
	if info.Unordered {
		return 0
	}
	if missing := int(info.Stream) + 1 - len(a.streamSeqs); missing > 0 {
		a.streamSeqs = append(a.streamSeqs, make([]uint16, missing)...)
	}
	seq := a.streamSeqs[info.Stream]
	a.streamSeqs[info.Stream]++
	return seq
}

// acked takes an ACK from the peer.
func (a *assoc) acked(tsn uint32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := tsn - a.firstTSN + 1
	if n == 0 || int64(n) > int64(a.unacked.len()) {
		return fmt.Errorf("ACK of TSN %d, not one of %d from %d on", tsn, a.unacked.len(), a.firstTSN)
	}
	a.firstTSN += n
	a.inFlight -= a.unacked.pop(int(n))
	a.writable.Broadcast()
	return nil
}

// outgoing returns the buffer that takes the next chunk. a.mu is held.
func (a *assoc) outgoing() *outBuffer {
	if a.out == nil {
		a.out = outBuffers.Get().(*outBuffer)
	}
	return a.out
}

// unwritten reports whether there is something to write. a.mu is held.
func (a *assoc) unwritten() bool { return a.flying != nil || a.out != nil }

// writeInSend writes for a Send, once; what is left then is for the flusher. If there is a message, what waits
// to be written ends with the start of its chunk. a.mu is held.
func (a *assoc) writeInSend(message []byte) error {
	a.writing, a.inSend = true, true
	err := a.write(message)
	a.writing, a.inSend = false, false
	if a.interrupted && !a.over {
		a.conn.SetWriteDeadline(time.Time{})
	}
	a.interrupted = false
	a.flushSoon()
	if err != nil {
		return a.sendError()
	}
	return nil
}

// interruptSend makes a Send that writes return. a.mu is held.
func (a *assoc) interruptSend() {
	if a.inSend && !a.over {
		a.interrupted = true
		a.conn.SetWriteDeadline(past)
	}
}

// boundWrite gives a write under way a limit, as the association is ending. a.mu is
// held.
func (a *assoc) boundWrite() {
	if a.over {
		return
	}
	a.interruptSend()
	if !a.inSend {
		a.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	}
}

// flushSoon starts the flusher if there is something to write and nobody who does. a.mu
// is held.
func (a *assoc) flushSoon() {
	if a.unwritten() && !a.writing && !a.over {
		a.writing = true
		a.flushers.Go(a.flush)
	}
}

// flush is the flusher.
func (a *assoc) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.unwritten() && !a.over {
		if a.closed || a.peerEnd != nil {
			a.boundWrite()
		}
		a.write(nil)
		a.writable.Broadcast() // a Send may wait for the flusher
	}
	a.writing = false
	if a.closed && !a.over {
		a.lingerUntil = time.Now().Add(lingerTime)
		a.attend()
	}
	a.writable.Broadcast() // the tender may wait for this
}

// write writes what there is once, and then the message whose chunk it begins, if any. An error has ended the
// association; but a write that was interrupted or makes progress only slowly is none. a.mu is held, but not
// during the write.
func (a *assoc) write(message []byte) error {
	if a.flying == nil {
		a.flying, a.rest = a.out, a.out.b
		a.out, a.beatAnswer = nil, false
	}
	rest := a.rest
	a.mu.Unlock()
	var n int
	var err error
	if message == nil {
		n, err = a.conn.Write(rest)
	} else {
		n, err = a.writePieces(rest, message)
	}
	a.mu.Lock()
	if message != nil && n < len(rest)+paddedLen(len(message)) { // it is its user's again
		a.flying.b = appendPadded(rest, message)
		rest = a.flying.b
	}
	a.rest = rest[min(n, len(rest)):]
	if len(a.rest) == 0 {
		a.flying.free()
		a.flying, a.rest = nil, nil
	}
	switch {
	case err == nil || len(a.rest) == 0:
		return nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		err = endOf(err)
	case a.interrupted || n > 0 && !a.over:
		return nil
	default:
		err = fmt.Errorf("%w: %w", transport.ErrLost, err)
	}
	a.finish(err)
	return err
}

// writePieces writes the start of a chunk and its message in one system call, if there is room.
func (a *assoc) writePieces(start, message []byte) (int, error) {
	a.pieces = [...][]byte{start, message, padding(len(message))}
	buffers := &a.buffers // which would be allocated otherwise
	*buffers = a.pieces[:]
	n, err := buffers.WriteTo(a.conn)
	*buffers, a.pieces = nil, [3][]byte{}
	return int(n), err
}
