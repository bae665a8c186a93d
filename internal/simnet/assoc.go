package simnet

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// association is what two ends share.
type association struct {
	net   *Network
	mu    sync.Mutex // guards the ends too
	ends  [2]*end
	paths []link // the first is the one dialed
	works []bool // which paths do
	ended bool   // an end is over that its host may still know
}

// end is one end of an association.
//
//	up ──Shutdown here──> sendErr set ──peer's answer──┐
//	 ├──Shutdown, Close of the peer arrives────────────┼─> over: recvErr set
//	 └──Close, Abort here; abort, loss─────────────────┘
type end struct {
	assoc         *association
	number        uint64 // in the order of their making
	host          *Host
	peer          *end
	tuple         tuple
	local, remote protocol.TransportAddr
	opts          transport.Options
	random        *rand.Rand

	readable, writable          sync.Cond
	readDeadline, writeDeadline deadline
	recvErr, sendErr            error // what Recv reports behind the inbox, and Send

	flight queue // under way to here, in order of arrival
	inbox  queue // arrived
	used   int   // bytes in both
	read   int   // bytes read of the first message

	views  []pathView // of assoc.paths
	lostAt time.Time  // when the peer's silence has been too long

	suspected bool      // NoticeSuspect was told
	turnAt    time.Time // when that changes

	lost  bool // it has been: e is over, and the peer may not know
	timer *time.Timer
}

// newAssoc makes an association between who dials and who accepts at to. The caller
// holds n.mu.
func newAssoc(n *Network, d *dialing, far acceptor, to netip.AddrPort) (dialer, acceptor *end) {
	peer, addrs, opts := far.endpoint()
	local := protocol.TransportAddr{Protocol: protocol.SCTP, Port: d.local.Port, Addrs: d.local.Addrs}
	remote := protocol.TransportAddr{Protocol: protocol.SCTP, Port: to.Port(), Addrs: addrs}
	a := &association{net: n, paths: pathsBetween(d.local.Addrs, addrs, to.Addr())}
	a.works = slices.Repeat([]bool{true}, len(a.paths))
	dialer = a.newEnd(d.host, local, remote, d.opts)
	acceptor = a.newEnd(peer, remote, local, opts)
	dialer.tuple = tuple{local.Port, peer, remote.Port}
	acceptor.tuple = tuple{remote.Port, d.host, local.Port}
	dialer.peer, acceptor.peer = acceptor, dialer
	a.ends = [2]*end{dialer, acceptor}
	return dialer, acceptor
}

// newEnd makes an end, which draws its losses from a source of its own.
func (a *association) newEnd(h *Host, local, remote protocol.TransportAddr, opts transport.Options) *end {
	e := &end{assoc: a, host: h, local: local, remote: remote, opts: opts, views: make([]pathView, len(a.paths))}
	e.readable.L, e.writable.L = &a.mu, &a.mu
	a.net.ends++
	e.number = a.net.ends
	e.random = rand.New(rand.NewPCG(a.net.config.Seed, e.number))
	return e
}

// unlock unlocks a, and has the hosts forget ends that are over.
func (a *association) unlock() {
	ended := a.ended
	a.ended = false
	a.mu.Unlock()
	if !ended {
		return
	}
	a.net.mu.Lock()
	defer a.net.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.ends {
		if e.recvErr != nil {
			e.host.forget(e)
		}
	}
}

// RTT is that of the network, known from the beginning.
func (e *end) RTT() time.Duration { return 2 * e.assoc.net.config.Latency }

// Send sends one message of at least one byte.
func (e *end) Send(b []byte, info transport.SendInfo) error {
	switch {
	case len(b) > e.MaxMessage():
		return transport.ErrMessageTooLong
	case len(b) == 0:
		return errEmpty
	}
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	m := message{kind: data, info: info}
	for {
		switch {
		case e.sendErr != nil:
			return e.sendErr
		case e.writeDeadline.passed():
			return os.ErrDeadlineExceeded
		case e.peer.used == 0 || e.peer.used+cost(b) <= e.peer.opts.Buffer:
			m.fill(b)
			e.peer.used += cost(b)
			e.transmit(m)
			return nil
		}
		e.writable.Wait()
	}
}

// Recv waits for the next message, or the rest of it, or a notice.
func (e *end) Recv(b []byte) (int, transport.RecvInfo, error) {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	for {
		switch {
		case e.recvErr != nil && e.inbox.empty():
			return 0, transport.RecvInfo{}, e.recvErr
		case e.readDeadline.passed():
			return 0, transport.RecvInfo{}, os.ErrDeadlineExceeded
		case !e.inbox.empty():
			n, info := e.take(b)
			return n, info, nil
		}
		e.readable.Wait()
	}
}

// take copies from the first of the inbox, and removes it once it is read.
func (e *end) take(b []byte) (int, transport.RecvInfo) {
	m := e.inbox.first()
	if m.notice != transport.NoticeNone {
		return 0, transport.RecvInfo{Notice: e.inbox.pop().notice}
	}
	n := copy(b, (*m.data)[e.read:])
	e.read += n
	info := transport.RecvInfo{PPID: m.info.PPID, Stream: m.info.Stream, Unordered: m.info.Unordered}
	if info.EOR = e.read == len(*m.data); info.EOR {
		e.discard(e.inbox.pop())
		e.read = 0
	}
	return n, info
}

// discard gives back the memory of a message to e, and the room for it to the
// peer.
func (e *end) discard(m message) {
	if m.kind != data || m.data == nil {
		return
	}
	e.used -= cost(*m.data)
	m.release()
	e.peer.writable.Broadcast()
}

// SetDeadline bounds Recv and Send.
func (e *end) SetDeadline(t time.Time) error {
	return errors.Join(e.SetReadDeadline(t), e.SetWriteDeadline(t))
}

// SetReadDeadline bounds Recv.
func (e *end) SetReadDeadline(t time.Time) error { return e.setDeadline(&e.readDeadline, t) }

// SetWriteDeadline bounds Send.
func (e *end) SetWriteDeadline(t time.Time) error { return e.setDeadline(&e.writeDeadline, t) }

func (e *end) setDeadline(d *deadline, t time.Time) error {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	if errors.Is(e.recvErr, net.ErrClosed) {
		return net.ErrClosed
	}
	d.set(t, e.expire)
	e.wakeAll()
	return nil
}

// expire lets the calls that wait look at their deadlines.
func (e *end) expire() {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	e.wakeAll()
}

func (e *end) wakeAll() {
	e.readable.Broadcast()
	e.writable.Broadcast()
}

// Shutdown ends sending (RFC 4960 section 9.2).
func (e *end) Shutdown() error {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	switch {
	case errors.Is(e.recvErr, net.ErrClosed):
		return net.ErrClosed
	case e.sendErr == nil:
		e.sendErr = transport.ErrShutdown
		e.transmit(message{kind: shutdown})
		e.wakeAll()
	}
	return nil
}

// Close ends the association gracefully.
func (e *end) Close() error {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	sending := e.sendErr == nil
	e.finish(net.ErrClosed)
	if sending {
		e.transmit(message{kind: shutdown})
	}
	return nil
}

// Abort ends the association at once, unless Close has done so.
func (e *end) Abort() error {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	over := e.recvErr != nil
	e.finish(net.ErrClosed)
	if !over {
		e.transmit(message{kind: abort})
	}
	return nil
}

// crash ends the association as Linux does for a killed process.
func (e *end) crash() {
	e.assoc.mu.Lock()
	unread := !e.inbox.empty()
	e.assoc.mu.Unlock()
	if unread {
		e.Abort()
	} else {
		e.Close()
	}
}

// powerOff ends e without a word to the peer.
func (e *end) powerOff() {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	e.finish(net.ErrClosed)
}

// givesWay reports whether e is over, and ends it when nothing of its peer is left,
// not even under way. The caller holds net.mu, and forgets e itself.
func (e *end) givesWay() bool {
	e.assoc.mu.Lock()
	defer e.assoc.mu.Unlock()
	switch {
	case e.recvErr != nil:
		return true
	case e.peer.recvErr == nil || !e.flight.empty():
		return false
	}
	e.finish(transport.ErrAborted)
	return true
}

// finish ends e with err for both halves. What has arrived can still be read, unless it was
// this side that ended.
func (e *end) finish(err error) {
	e.sendErr = err
	e.over(err)
	if err == net.ErrClosed {
		for !e.inbox.empty() {
			e.discard(e.inbox.pop())
		}
		e.read = 0
	}
	e.dropFlight()
	e.readDeadline.stop()
	e.writeDeadline.stop()
}

// over notes that nothing more comes in, and why.
func (e *end) over(err error) {
	e.recvErr = err
	e.assoc.ended = true
	if e.timer != nil {
		e.timer.Stop()
	}
	e.wakeAll()
}

func (e *end) dropFlight() {
	for !e.flight.empty() {
		e.discard(e.flight.pop())
	}
}

// arrive is where a message comes in.
func (e *end) arrive(m message) {
	if e.recvErr != nil {
		e.discard(m)
		return
	}
	switch m.kind {
	case data:
		e.inbox.push(m)
		e.readable.Signal()
	case shutdown:
		e.sendErr = transport.ErrShutdown
		e.over(io.EOF)
		e.transmit(message{kind: shutdownComplete})
	case shutdownComplete:
		e.over(io.EOF)
	case abort:
		e.finish(transport.ErrAborted)
	}
}

// LocalAddr lists the addresses of this end.
func (e *end) LocalAddr() protocol.TransportAddr { return e.local.Clone() }

// RemoteAddr lists the addresses of the peer.
func (e *end) RemoteAddr() protocol.TransportAddr { return e.remote.Clone() }

// MaxMessage is the smaller buffer of both ends.
func (e *end) MaxMessage() int { return min(e.opts.Buffer, e.peer.opts.Buffer) }
