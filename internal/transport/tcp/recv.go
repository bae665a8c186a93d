package tcp

import (
	"net"
	"os"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// Recv gives what had arrived whole before the end of the association, then the reason
// of the end. Its notices are NoticeSuspect and NoticeAnswers, the latest state only.
func (a *assoc) Recv(b []byte) (int, transport.RecvInfo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		ready := a.amid || a.complete > 0
		switch {
		case a.closed:
			return 0, transport.RecvInfo{}, net.ErrClosed
		case a.suspected != a.toldSuspected && !a.amid:
			return 0, transport.RecvInfo{Notice: a.tellSuspicion()}, nil
		case !ready && a.peerEnd != nil && !a.draining:
			return 0, transport.RecvInfo{}, a.peerEnd
		case a.readDeadline.hasPassed():
			return 0, transport.RecvInfo{}, os.ErrDeadlineExceeded
		case ready:
			n, info := a.deliver(b)
			return n, info, nil
		}
		if a.reading {
			a.wanted = true
			a.readable.Wait()
			continue
		}
		if d, got := a.readInRecv(b); got && !a.closed {
			a.deliveredWhole(d)
			return d.length - dataHeaderLen, d.info(true), nil
		}
	}
}

// tellSuspicion is the notice that is due. a.mu is held.
func (a *assoc) tellSuspicion() transport.Notice {
	a.toldSuspected = a.suspected
	if a.suspected {
		return transport.NoticeSuspect
	}
	return transport.NoticeAnswers
}

// suspect begins or ends the suspicion that the peer is gone. a.mu is held.
func (a *assoc) suspect(suspected bool) {
	a.suspected = suspected
	a.readable.Signal()
}

// deliver copies from the message that Recv is amid, or from the next. a.mu is held.
func (a *assoc) deliver(b []byte) (int, transport.RecvInfo) {
	if !a.amid {
		var start [dataHeaderLen]byte
		a.received.read(start[:])
		a.current = parseData(start[:])
		a.left = a.current.length - dataHeaderLen
		a.amid = true
		a.complete--
	}
	n := min(len(b), a.left)
	a.received.read(b[:n])
	a.left -= n
	if a.left == 0 {
		a.amid = false
		a.deliveredWhole(a.current)
	}
	return n, a.current.info(a.left == 0)
}

func (d *dataChunk) info(whole bool) transport.RecvInfo {
	return transport.RecvInfo{PPID: d.ppid, Stream: d.stream, Unordered: d.unordered, EOR: whole}
}

// deliveredWhole counts a message that Recv has delivered to its end. a.mu is held.
func (a *assoc) deliveredWhole(d dataChunk) {
	a.held -= d.length
	a.delivered++
	a.ackDue += d.length
	a.acknowledge()
}

// acknowledge sees to it that what was delivered gets acknowledged: at once when the
// peer's window may be closing, else when the next message goes out, at the latest after
// ackDelay. a.mu is held.
func (a *assoc) acknowledge() {
	switch {
	case a.ackDue >= window/2:
		a.appendAck()
		a.flushSoon()
	case a.ackTiming:
	case a.ackTimer == nil:
		a.ackTiming = true
		a.ackTimer = time.AfterFunc(ackDelay, a.ackTimeout)
	default:
		a.ackTiming = true
		a.ackTimer.Reset(ackDelay)
	}
}

func (a *assoc) ackTimeout() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ackTiming = false
	a.appendAck()
	a.flushSoon()
}

// appendAck acknowledges what has been delivered, if that is due. a.mu is held.
func (a *assoc) appendAck() {
	if a.ackDue == 0 || a.shutdown || a.over {
		return
	}
	a.ackDue = 0
	o := a.outgoing()
	o.b = appendAck(o.b, a.delivered-1)
}
