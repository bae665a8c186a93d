package simnet

import (
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// kind says what a message is.
type kind uint8

const (
	data kind = iota
	shutdown
	shutdownComplete
	abort
)

// message is what goes from end to end, or a notice in an inbox.
type message struct {
	kind   kind
	notice transport.Notice
	info   transport.SendInfo
	data   *[]byte   // from buffers
	at     time.Time // of arrival
}

// overhead is what a message takes of the buffer beside its bytes.
const overhead = 64

func cost(b []byte) int { return len(b) + overhead }

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// fill copies b into m.
func (m *message) fill(b []byte) {
	m.data = buffers.Get().(*[]byte)
	*m.data = append((*m.data)[:0], b...)
}

func (m *message) release() {
	buffers.Put(m.data)
	m.data = nil
}

// follows reports whether m must not arrive before o, which was sent first: an
// ordered message of the same stream, or the end of all (RFC 4960 sections 6.5, 6.6 and 9.2).
func (m *message) follows(o *message) bool {
	switch {
	case m.kind == abort:
		return false
	case m.kind != data || o.kind != data:
		return true
	}
	return !m.info.Unordered && !o.info.Unordered && m.info.Stream == o.info.Stream
}

// queue holds messages in order. It reuses its memory.
type queue struct {
	messages []message
	next     int // the first one not popped
}

func (q *queue) empty() bool     { return q.next == len(q.messages) }
func (q *queue) first() *message { return &q.messages[q.next] }

func (q *queue) push(m message) {
	if q.next > 0 && len(q.messages) == cap(q.messages) {
		q.messages = slices.Delete(q.messages, 0, q.next)
		q.next = 0
	}
	q.messages = append(q.messages, m)
}

func (q *queue) pop() message {
	m := q.messages[q.next]
	q.messages[q.next] = message{}
	if q.next++; q.empty() {
		q.messages, q.next = q.messages[:0], 0
	}
	return m
}

// insert puts m where its time of arrival wants it, later if it follows one that
// arrives later.
func (q *queue) insert(m message) {
	waiting := q.messages[q.next:]
	i := len(waiting)
	for i > 0 && waiting[i-1].at.After(m.at) && !m.follows(&waiting[i-1]) {
		i--
	}
	if i > 0 && waiting[i-1].at.After(m.at) {
		m.at = waiting[i-1].at
	}
	q.push(m)
	waiting = q.messages[q.next:]
	copy(waiting[i+1:], waiting[i:])
	waiting[i] = m
}

// delay lets nothing arrive before t.
func (q *queue) delay(t time.Time) {
	for i := range q.messages[q.next:] {
		m := &q.messages[q.next+i]
		if m.at.Before(t) {
			m.at = t
		}
	}
}

// deadline bounds the calls of one half.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set moves the deadline; expired is called when it passes.
func (d *deadline) set(at time.Time, expired func()) {
	d.stop()
	d.at = at
	wait := time.Until(at)
	switch {
	case at.IsZero() || wait <= 0:
	case d.timer == nil:
		d.timer = time.AfterFunc(wait, expired)
	default:
		d.timer.Reset(wait)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
