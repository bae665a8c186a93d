package loop

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

const (
	// maxQueue is how many bytes may wait for one peer before it counts as dead.
	maxQueue = 1 << 20
	// maxSpare is how much memory a link keeps for its next messages.
	maxSpare = 1 << 16
	// maxMessage is the longest message that a peer may send to an engine: that of
	// RSPLIB's buffers.
	maxMessage = 1 << 16
	// closeTimeout bounds how long the end of an association waits for a peer
	// that does not read.
	closeTimeout = time.Second
)

var (
	errNotRead = errors.New("peer does not read what is sent to it")
	errTooLong = fmt.Errorf("message over %d bytes", maxMessage)
)

// link is one association with the messages that wait to be sent on it.
type link struct {
	id    effect.AssocID
	assoc transport.Assoc

	guard   Guard // nil: none
	refused bool  // it has refused something; the reader's own

	mu       sync.Mutex
	queue    batch
	spare    batch      // memory for the next queue
	flushing bool       // somebody is sending, and takes what is queued meanwhile too
	idle     *sync.Cond // signalled when flushing ends
	ended    bool       // takes nothing more
	cause    error      // why we ended it, though the engine has not; nil otherwise
	unsent   bool       // a message could not be sent
}

func newLink(id effect.AssocID, assoc transport.Assoc) *link {
	k := &link{id: id, assoc: assoc}
	k.idle = sync.NewCond(&k.mu)
	return k
}

// batch is a row of messages in one piece of memory.
type batch struct {
	data  []byte
	ends  []int // of each message in data
	ppids []protocol.PPID
}

// enqueue adds a message, without waiting. flush says that nobody will flush it
// unless the caller does. An error ends the link, which the caller must abort.
func (k *link) enqueue(ppid protocol.PPID, data []byte) (flush bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return false, nil
	}
	switch {
	case len(data) > k.assoc.MaxMessage():
		k.cause = transport.ErrMessageTooLong
	case len(k.queue.data)+len(data) > maxQueue:
		k.cause = errNotRead
	}
	if k.cause != nil {
		k.ended = true
		return false, k.cause
	}
	flush = len(k.queue.ends) == 0 && !k.flushing
	k.queue.data = append(k.queue.data, data...)
	k.queue.ends = append(k.queue.ends, len(k.queue.data))
	k.queue.ppids = append(k.queue.ppids, ppid)
	return flush, nil
}

// flush sends what is queued, unless somebody does already. An error is not lost:
// it sticks to the association, whose reader meets it.
func (k *link) flush() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flushing || len(k.queue.ends) == 0 {
		return
	}
	k.flushing = true
	for len(k.queue.ends) > 0 {
		b := k.queue
		k.queue = k.spare
		k.mu.Unlock()
		err := b.send(k.assoc)
		k.mu.Lock()
		k.unsent = k.unsent || err != nil
		k.spare = batch{}
		if cap(b.data) <= maxSpare {
			k.spare = batch{b.data[:0], b.ends[:0], b.ppids[:0]}
		}
	}
	k.flushing = false
	k.idle.Broadcast()
}

func (b batch) send(assoc transport.Assoc) error {
	start := 0
	for i, end := range b.ends {
		if err := assoc.Send(b.data[start:end], transport.SendInfo{PPID: b.ppids[i]}); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// close ends the association gracefully, after what is queued has been sent; abruptly
// if that cannot be, so that the peer does not take it for all.
func (k *link) close() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	// An error here is that the association has ended, which is what is wanted.
	_ = k.assoc.SetWriteDeadline(time.Now().Add(closeTimeout))
	k.flush()
	k.mu.Lock()
	for k.flushing {
		k.idle.Wait()
	}
	unsent := k.unsent
	k.mu.Unlock()
	if unsent {
		_ = k.assoc.Abort()
		return
	}
	_ = k.assoc.Close()
}

// abort ends the association at once.
func (k *link) abort() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	_ = k.assoc.Abort()
}

// lostBy returns why the association is lost, which its reader has met as err.
func (k *link) lostBy(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause != nil {
		return k.cause
	}
	return err
}

// reader gathers whole messages. Its buffer is small while messages are, since
// most associations of a registrar idle.
type reader struct{ buf []byte }

const smallBuffer = 1 << 10

// next returns the next whole message; it is valid until the next call.
func (r *reader) next(assoc transport.Assoc) ([]byte, protocol.PPID, error) {
	if r.buf == nil || len(r.buf) > smallBuffer {
		r.buf = make([]byte, smallBuffer)
	}
	have := 0
	for {
		n, info, err := assoc.Recv(r.buf[have:])
		if err != nil {
			return nil, 0, err
		}
		if info.Notice != transport.NoticeNone {
			continue
		}
		have += n
		if info.EOR {
			return r.buf[:have], info.PPID, nil
		}
		if have == maxMessage {
			return nil, 0, errTooLong
		}
		if have == len(r.buf) {
			r.buf = append(r.buf, make([]byte, min(len(r.buf), maxMessage-len(r.buf)))...)
		}
	}
}
