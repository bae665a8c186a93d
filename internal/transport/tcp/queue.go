package tcp

import "sync"

// block is a piece of a byteQueue: big enough that a message of 16 KiB is read in two or
// three system calls, small enough for what one undelivered message may cost.
type block struct {
	next *block
	data [16<<10 - 8]byte
}

var blocks = sync.Pool{New: func() any { return new(block) }}

// byteQueue keeps received bytes in blocks that it takes when bytes come and gives back
// when they have been read: an idle one has none. The zero value is empty.
type byteQueue struct {
	head, tail *block
	start, end int // first byte in head, first free one in tail
	filling    bool
}

// reserve returns room for the next bytes, to be filled without the owner's lock. The
// room is the caller's until commit.
func (q *byteQueue) reserve() []byte {
	if q.tail == nil {
		q.head = blocks.Get().(*block)
		q.tail = q.head
	} else if q.end == len(q.tail.data) {
		q.tail.next = blocks.Get().(*block)
		q.tail, q.end = q.tail.next, 0
	}
	q.filling = true
	return q.tail.data[q.end:]
}

// commit appends the first n bytes of the room that was reserved.
func (q *byteQueue) commit(n int) {
	q.end += n
	q.filling = false
}

// write appends b.
func (q *byteQueue) write(b []byte) {
	for len(b) > 0 {
		n := copy(q.reserve(), b)
		q.commit(n)
		b = b[n:]
	}
}

// read fills b; the queue must hold that much.
func (q *byteQueue) read(b []byte) {
	for len(b) > 0 {
		if q.start == len(q.head.data) {
			q.dropHead()
		}
		n := copy(b, q.head.data[q.start:])
		q.start += n
		b = b[n:]
	}
	if q.head != nil && q.head == q.tail && q.start == q.end && !q.filling {
		q.dropHead()
	}
}

func (q *byteQueue) dropHead() {
	old := q.head
	q.head, q.start = old.next, 0
	if q.head == nil {
		q.tail, q.end = nil, 0
	}
	old.next = nil
	blocks.Put(old)
}

// lengths are those of the messages that wait for an ACK, oldest first.
type lengths struct {
	all  []uint16
	head int // all[head:] wait
}

func (l *lengths) len() int { return len(l.all) - l.head }

func (l *lengths) push(length int) {
	if len(l.all) == cap(l.all) && l.head > len(l.all)/2 {
		l.all = l.all[:copy(l.all, l.all[l.head:])]
		l.head = 0
	}
	l.all = append(l.all, uint16(length))
}

// pop removes the n oldest and returns their sum.
func (l *lengths) pop(n int) (sum int) {
	for _, length := range l.all[l.head : l.head+n] {
		sum += int(length)
	}
	l.head += n
	if l.head == len(l.all) {
		l.all, l.head = l.all[:0], 0
		if cap(l.all) > 1024 {
			l.all = nil // many small messages were under way; do not keep room for them
		}
	}
	return sum
}

// maxOut is the size up to which memory for chunks to be written is kept.
const maxOut = 256 << 10

// outBuffer holds chunks to be written.
type outBuffer struct{ b []byte }

var outBuffers = sync.Pool{New: func() any { return new(outBuffer) }}

// free gives o back, unless it has grown so much that others should not inherit it.
func (o *outBuffer) free() {
	if cap(o.b) <= maxOut {
		o.b = o.b[:0]
		outBuffers.Put(o)
	}
}
