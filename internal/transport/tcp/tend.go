package tcp

import "time"

// tendDelay is for how long nobody reads before the tender does, up to twice.
const tendDelay = 5 * time.Millisecond

// readInRecv reads a chunk for a Recv that has nothing to deliver. It reports whether that was a message,
// which is in b then. a.mu is held, but not meanwhile.
func (a *assoc) readInRecv(b []byte) (d dataChunk, got bool) {
	r := a.reader
	a.reading, a.inRecv = true, true
	a.turns++
	a.mu.Unlock()
	r.direct = b
	err := r.next()
	d, got = r.got, r.isGot
	r.direct, r.isGot = nil, false
	a.mu.Lock()
	a.reading, a.inRecv, a.roused = false, false, false
	switch {
	case a.closed, a.over, err != nil && err != errRoused:
		a.startTender(err)
	default:
		a.tendSoon()
	}
	return d, got
}

// tendSoon brings the tender unless a Recv reads before. a.mu is held.
func (a *assoc) tendSoon() {
	switch {
	case a.tendTimed:
	case a.tendTimer == nil:
		a.tendTimed = true
		a.tendTimer = time.AfterFunc(tendDelay, a.tendTimeout)
	default:
		a.tendTimed = true
		a.tendTimer.Reset(tendDelay)
	}
}

func (a *assoc) tendTimeout() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tendTimed = false
	switch {
	case a.reading || a.over:
	case a.turns != a.tended:
		a.tended = a.turns
		a.tendSoon()
	default:
		a.startTender(nil)
	}
}

// startTender starts the tender, which ends the association at once if err says so. Nobody reads; a.mu is
// held.
func (a *assoc) startTender(err error) {
	a.reading = true
	go a.tend(err)
}

// attend has somebody read who looks at the state of the association first. a.mu is held.
func (a *assoc) attend() {
	if !a.reading {
		a.startTender(nil)
		return
	}
	a.rouse()
}

// rouse makes the one who reads look at the state of the association. a.mu is held.
func (a *assoc) rouse() {
	if a.over {
		return // which has roused him
	}
	a.roused = true
	a.conn.SetReadDeadline(past)
}

// drain has the tender read what had come before the association was over, unless it was closed here. Nobody
// reads; a.mu is held.
func (a *assoc) drain() {
	a.draining = !a.closed
	if a.draining {
		a.conn.SetReadDeadline(time.Now().Add(lastLook))
	}
	a.startTender(nil)
}

// tend is the tender: it reads until a Recv wants to, or until the association has ended.
func (a *assoc) tend(err error) {
	for err == nil || err == errRoused {
		if a.makeWay() {
			return
		}
		err = a.reader.next()
	}
	if err == errShutdown {
		err = a.answerShutdown()
	}
	a.mu.Lock()
	a.draining = false
	a.finish(err)
	a.wake()
	a.mu.Unlock()
	if err != errEnded {
		// The peer is to see RST, and the kernel to forget what is not sent. A
		// connection without this option shows the missing SHUTDOWN as well.
		if c, ok := bare(a.conn).(interface{ SetLinger(int) error }); ok {
			c.SetLinger(0)
		}
	}
	bare(a.conn).Close() // a *tls.Conn would wait to write close_notify, of which SHUTDOWN makes nothing new
	close(a.done)
}

// makeWay ends the tender if a Recv wants to read.
func (a *assoc) makeWay() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.wanted || a.closed || a.over {
		return false
	}
	a.wanted, a.reading = false, false
	a.readable.Signal()
	a.tendSoon()
	return true
}
