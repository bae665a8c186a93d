// Package transport is the edge of the library: associations that carry messages.
//
// An association is SCTP's connection (RFC 4960): it keeps the borders of
// messages, gives each a payload protocol identifier and a stream, reaches a peer
// by several addresses, and tells a graceful end from a loss. Behind the one
// interface stand kernel SCTP (sctp), the same messages over TCP (tcp) and a
// network in memory (../simnet). The suite in transporttest holds them to one behaviour.
package transport

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// Network opens associations of one kind. Its methods may be called by several
// goroutines at once.
type Network interface {
	// Protocol is that of every address of this network.
	Protocol() protocol.TransportProtocol
	// Listen opens a local endpoint. local gives port (0: an ephemeral one) and
	// addresses (none: all of the machine).
	Listen(ctx context.Context, local protocol.TransportAddr, opts Options) (Listener, error)
	// Dial opens an association from an ephemeral port to any of remote's addresses. When ctx
	// ends before the association is up, the error matches ctx's.
	Dial(ctx context.Context, remote protocol.TransportAddr, opts Options) (Assoc, error)
}

// Listener is a local endpoint: associations come in to its port, and go out from
// that same port (a PE must be reachable where it talks to its registrar from; RFC
// 5352 section 2.2.1 and RSPLIB's registrars take it for granted). Its methods may
// be called by several goroutines at once.
type Listener interface {
	// Accept waits for the next association. After Close the error matches
	// net.ErrClosed; when ctx ends first, ctx's error.
	Accept(ctx context.Context) (Assoc, error)
	// Dial is like Network.Dial, from this endpoint's port.
	Dial(ctx context.Context, remote protocol.TransportAddr) (Assoc, error)
	// LocalAddr is the endpoint's port with its addresses; for one bound to the
	// wildcard, those of the machine's interfaces that are up, loopback and
	// link-local ones included.
	LocalAddr() protocol.TransportAddr
	// Close stops listening and unblocks Accept. Associations live on.
	Close() error
}

// Assoc is one association. One goroutine may receive and others send at the same
// time; deadlines and ends may be set by any, and unblock both.
//
// Its error is sticky: once Recv or Send has met the end of the association, every later
// call reports the same: io.EOF for Recv after the peer ended it gracefully, ErrShutdown for
// Send after either side did, ErrAborted, ErrLost, or an error matching net.ErrClosed after Close
// or Abort here. Unless this side ended it, Recv first gives what had arrived, also before a loss.
type Assoc interface {
	// Send sends b as one message; it may be used again when Send returns. It
	// blocks while the buffers are full, until the write deadline. A message that is
	// too long gives ErrMessageTooLong and harms nothing.
	Send(b []byte, info SendInfo) error
	// Recv waits for the next message or notice. Of a message it copies what fits
	// into b; while info.EOR is false, the next calls give the rest. A notice
	// (info.Notice != NoticeNone) comes with n == 0.
	Recv(b []byte) (n int, info RecvInfo, err error)

	// SetDeadline and its halves bound the calls that wait, and those that wait
	// already; afterwards errors match os.ErrDeadlineExceeded. The zero time means none.
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error

	// Shutdown ends sending gracefully: the peer reads all that was sent, then
	// io.EOF. SCTP has no half-close: the peer can send nothing more either. What was under way
	// to us may be lost.
	Shutdown() error
	// Close ends the association: gracefully, but it does not wait for the peer, and calls
	// under way return at once. What was sent is still delivered if the peer lives.
	Close() error
	// Abort ends the association at once; the peer gets ErrAborted.
	Abort() error

	// LocalAddr and RemoteAddr list the addresses that the association uses.
	LocalAddr() protocol.TransportAddr
	RemoteAddr() protocol.TransportAddr
	// MaxMessage is the longest message that Send takes, in bytes.
	MaxMessage() int
	// Tune changes the timers and limits of an association that is up, those of opts that are not zero. Buffer
	// and Streams stay as they are.
	Tune(opts Options) error
	// RTT is the smoothed round-trip time to the peer (RFC 4960 section 6.3.1); 0 as long as it is
	// unknown, and where the machine does not tell it.
	RTT() time.Duration
}

// PeerCertificate is what the peer of an association has proven to own; nil where the transport does not
// authenticate peers.
func PeerCertificate(a Assoc) *x509.Certificate {
	if a, ok := a.(interface{ PeerCertificate() *x509.Certificate }); ok {
		return a.PeerCertificate()
	}
	return nil
}

// Group is a multicast group that has been joined (RFC 5352 section 3.6, RFC 5353 section
// 3.1). Its methods may be called by several goroutines at once.
type Group interface {
	// Send sends b as one datagram to the group, by each of its interfaces. It fails when none
	// takes it; who of the group gets it, nobody knows.
	Send(b []byte) error
	// Recv waits for the next datagram to the group, our own included, copies what fits into b,
	// and tells where it came from. Errors pass, but after Close they match net.ErrClosed.
	Recv(b []byte) (n int, from netip.AddrPort, err error)
	// Close leaves the group and unblocks Recv.
	Close() error
}

// SendInfo goes with a message that is sent.
type SendInfo struct {
	PPID      protocol.PPID
	Stream    uint16
	Unordered bool
}

// RecvInfo comes with a message or a notice that is received.
type RecvInfo struct {
	PPID      protocol.PPID
	Stream    uint16
	Unordered bool
	EOR       bool // b holds the end of the message
	Notice    Notice
}

// Notice is what an association tells beside messages. The end of an
// association is no notice but an error.
type Notice uint8

const (
	NoticeNone Notice = iota
	// NoticePathDown: one of the peer's addresses is not reachable any more; the
	// association goes on over another.
	NoticePathDown
	// NoticePathUp: one of the peer's addresses is reachable again.
	NoticePathUp
	// NoticeSendFailed: a message that was sent has not reached the peer.
	NoticeSendFailed
	// NoticeSuspect: the peer misses answers, on every path: the association may soon be lost.
	NoticeSuspect
	// NoticeAnswers: the peer has answered after NoticeSuspect, before or behind the message that
	// shows it.
	NoticeAnswers
)

func (n Notice) String() string {
	return [...]string{"none", "path down", "path up", "send failed", "suspect", "answers"}[n]
}

// Errors of associations, beside those of package net, os, io and context.
var (
	// ErrAborted: the peer ended the association abruptly, or its machine does not
	// know it any more.
	ErrAborted = errors.New("association aborted by peer")
	// ErrLost: the peer has not answered for too long.
	ErrLost = errors.New("association lost: peer does not answer")
	// ErrShutdown: the association is ending gracefully and takes no more messages.
	ErrShutdown = errors.New("association is shut down")
	// ErrMessageTooLong: the transport cannot carry a message of this size.
	ErrMessageTooLong = errors.New("message too long")
	// ErrUnsupported: this machine does not have the transport.
	ErrUnsupported = errors.New("transport not supported here")
)

// Options tunes associations. The zero value of each field means its default, which is for
// peers in a local network; a field that a transport has no use for is ignored by it.
type Options struct {
	// RTOInitial, RTOMin and RTOMax bound the retransmission timeout (RFC 4960
	// section 15): 30 ms each, or as near to that as the others of them allow. SCTP only.
	RTOInitial, RTOMin, RTOMax time.Duration
	// HeartbeatInterval is the idle time after which a path is probed: 50 ms; negative: never.
	// Linux probes by SCTP every 200 ms at most.
	HeartbeatInterval time.Duration
	// PathMaxRetrans is how many probes or retransmissions of a path may go
	// unanswered before it counts as down: 4.
	PathMaxRetrans int
	// AssocMaxRetrans is the same for the whole association, which is then lost:
	// 4. The TCP mapping loses an association after as many heartbeat intervals without an answer.
	AssocMaxRetrans int
	// Buffer is the size of the send and of the receive buffer in bytes: 1 MiB.
	Buffer int
	// Streams is how many outgoing streams are asked for: 10.
	Streams uint16
}

// defaults are for a local network: docs/timers.md says what follows from them.
var defaults = Options{
	RTOInitial: 20 * time.Millisecond, RTOMin: 20 * time.Millisecond, RTOMax: 20 * time.Millisecond,
	HeartbeatInterval: 50 * time.Millisecond,
	PathMaxRetrans:    4,
	AssocMaxRetrans:   4,
	Buffer:            1 << 20,
	Streams:           10,
}

// WithDefaults returns o with its zero fields filled.
func (o Options) WithDefaults() Options { return o.Or(defaults) }

// Or returns o with its zero fields filled from d, those of the retransmission timeout so that
// minimum, initial value and maximum keep their order.
func (o Options) Or(d Options) Options {
	o.RTOMin = cmp.Or(o.RTOMin, min(d.RTOMin, cmp.Or(o.RTOInitial, d.RTOMin), cmp.Or(o.RTOMax, d.RTOMin)))
	o.RTOMax = cmp.Or(o.RTOMax, max(d.RTOMax, o.RTOInitial, o.RTOMin))
	o.RTOInitial = cmp.Or(o.RTOInitial, min(max(d.RTOInitial, o.RTOMin), o.RTOMax))
	o.HeartbeatInterval = cmp.Or(o.HeartbeatInterval, d.HeartbeatInterval)
	o.PathMaxRetrans = cmp.Or(o.PathMaxRetrans, d.PathMaxRetrans)
	o.AssocMaxRetrans = cmp.Or(o.AssocMaxRetrans, d.AssocMaxRetrans)
	o.Buffer = cmp.Or(o.Buffer, d.Buffer)
	o.Streams = cmp.Or(o.Streams, d.Streams)
	return o
}
