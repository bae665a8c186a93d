package rsp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rserpool/rsp/internal/transport"
)

// Resend makes a session keep each message that is sent, a request, until it is answered. In a failover
// those that are not go to the next pool element, in order and before anything new. So each request
// is answered as long as the session lasts; a pool element may get one that another has served already.
//
// SendMsg returns nil once the request is kept: it needs no answer before the next. Write sends its bytes as
// one message, one request. A message received in part from a pool element that is then lost is dropped, since it
// comes again.
type Resend struct {
	// Answered reports whether reply, a whole message, completes the answer to request. It is asked for the kept
	// requests, oldest first, until it says yes, and that one is forgotten: so a protocol with several replies per
	// request says yes to the last, and one with identifiers compares them. It is called once the reply has
	// arrived, maybe before it is read; it must neither keep the slices nor use the session. Default: each message
	// that is received answers the oldest request.
	Answered func(request, reply []byte, info MsgInfo) bool
	// MaxRequests and MaxBytes bound what is kept: SendMsg and Write wait until there is room. One request may
	// be longer than MaxBytes. Defaults: 1024, 1 MiB.
	MaxRequests, MaxBytes int
}

const (
	defaultMaxRequests = 1024
	defaultMaxBytes    = 1 << 20
)

// requests are those of a session that are not answered yet, oldest first. The session's mu guards them.
// What the transport knows, acknowledgements and SCTP's SEND_FAILED, does not matter: it tells of the pool
// element's machine, not whether its program has read a message.
//
//	SendMsg ── kept ──▶ sent on the session's association ── Answered ──▶ forgotten
//	                      ▲          │ loss, failover
//	                      └─ resend ─┘ before anyone goes on
type requests struct {
	Resend
	kept      []*request
	bytes     int
	resending bool          // nothing new may be sent yet
	room      chan struct{} // tells the one who waits for it
	part      []byte        // of a reply; guarded by the session's reading
}

// request is a message that waits for its answer.
type request struct {
	data []byte
	info MsgInfo
	on   transport.Assoc // it was sent on last
}

var requestPool = sync.Pool{New: func() any { return new(request) }}

// newRequests returns nil if the Dialer has no Resend.
func newRequests(d *Dialer) (*requests, error) {
	if d.Resend == nil {
		return nil, nil
	}
	q := &requests{Resend: *d.Resend, room: make(chan struct{}, 1)}
	if q.MaxRequests < 0 || q.MaxBytes < 0 {
		return nil, fmt.Errorf("resend %d requests, %d bytes: must not be negative", q.MaxRequests, q.MaxBytes)
	}
	if d.Failover == FailoverNone {
		return nil, errors.New("resend needs a failover")
	}
	if q.MaxRequests == 0 {
		q.MaxRequests = defaultMaxRequests
	}
	if q.MaxBytes == 0 {
		q.MaxBytes = defaultMaxBytes
	}
	return q, nil
}

// unanswered is how many there are; q may be nil.
func (q *requests) unanswered() int {
	if q == nil {
		return 0
	}
	return len(q.kept)
}

// isResending reports whether a failover still sends; q may be nil.
func (q *requests) isResending() bool { return q != nil && q.resending }

// hasRoom reports whether a request of n bytes may be kept now.
func (q *requests) hasRoom(n int) bool {
	return len(q.kept) == 0 || len(q.kept) < q.MaxRequests && q.bytes+n <= q.MaxBytes
}

func (q *requests) remove(i int) {
	r := q.kept[i]
	q.kept = slices.Delete(q.kept, i, i+1)
	q.bytes -= len(r.data)
	r.on = nil
	requestPool.Put(r)
	select {
	case q.room <- struct{}{}:
	default: // told already
	}
}

// sendRequest keeps a message and sends it; the caller holds writing.
func (s *session) sendRequest(ctx context.Context, b []byte, info MsgInfo) error {
	r := requestPool.Get().(*request)
	r.data, r.info = append(r.data[:0], b...), info
	assoc, err := s.keepRequest(ctx, r)
	if err != nil {
		requestPool.Put(r)
		return err
	}
	if err = assoc.Send(b, info.sendInfo()); err == nil {
		return nil
	}
	if isLoss(err) {
		s.handleLoss(assoc, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == ended:
		return s.err
	case s.state != up || s.assoc != assoc:
		return nil // the failover has it
	}
	if i := slices.Index(s.requests.kept, r); i >= 0 {
		s.requests.remove(i)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// keepRequest waits until r may be sent, and keeps it as one that is sent on the association that it
// returns. In the states lost and ended it returns their errors.
func (s *session) keepRequest(ctx context.Context, r *request) (transport.Assoc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.requests
	for {
		switch {
		case s.state == lost:
			return nil, ErrFailover
		case s.state == ended:
			return nil, s.err
		case s.state == up && len(r.data) > s.assoc.MaxMessage():
			return nil, ErrMessageTooLong
		case s.state == up && !q.resending && q.hasRoom(len(r.data)):
			r.on = s.assoc
			q.kept = append(q.kept, r)
			q.bytes += len(r.data)
			return s.assoc, nil
		}
		if err := s.wait(ctx, s.writeDeadline, q.room); err != nil {
			return nil, err
		}
	}
}

// handleData takes a message or a part of one, which is in the buffer of the user who reads. With Resend
// messages are seen as a whole: parts are taken from there and gathered, and then are the first to read. The caller
// holds reading.
func (s *session) handleData(data []byte, part transport.RecvInfo) (info MsgInfo, inBuffer bool) {
	info = MsgInfo{PPID: part.PPID, Stream: part.Stream, Unordered: part.Unordered, EOR: part.EOR, PE: s.peerPE()}
	q := s.requests
	switch {
	case q == nil:
		s.rest = restToCome
		if part.EOR {
			s.rest = noRest
		}
		return info, true
	case part.EOR && len(q.part) == 0:
		s.handleAnswer(data, info)
		return info, true
	}
	s.keep(data, part)
	return MsgInfo{}, false
}

// gatherReply returns a reply once it is whole, else nil.
func (s *session) gatherReply(data []byte, part transport.RecvInfo) []byte {
	s.requests.part = append(s.requests.part, data...)
	if !part.EOR {
		return nil
	}
	whole := s.takePart()
	s.mu.Lock()
	info := s.msgInfo(part)
	s.mu.Unlock()
	s.handleAnswer(whole, info)
	return whole
}

// handleAnswer forgets the request that a reply answers, if any.
func (s *session) handleAnswer(reply []byte, info MsgInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.requests
	if q == nil {
		return
	}
	for i, r := range q.kept {
		if q.Answered == nil || q.Answered(r.data, reply, info) {
			q.remove(i)
			return
		}
	}
}

// takePart returns what has come of a message whose rest has not.
func (s *session) takePart() []byte {
	if s.requests == nil {
		return nil
	}
	part := s.requests.part
	s.requests.part = nil
	return part
}

// becomeResending makes writers wait if there is something to send again; s.mu is held.
func (s *session) becomeResending() {
	if s.requests != nil {
		s.requests.resending = len(s.requests.kept) > 0
	}
}

// resend sends what is unanswered on assoc, to which the session has failed over. Readers go on meanwhile: a
// pool element whose answers nobody reads would take no more requests.
func (s *session) resend(assoc transport.Assoc) {
	var buf []byte
	for {
		b, info, ok := s.nextToResend(buf[:0], assoc)
		if !ok {
			return
		}
		if err := assoc.Send(b, info); err != nil {
			s.handleResendError(assoc, err)
			return
		}
		buf = b
	}
}

// nextToResend copies the next request into buf: it may be answered while it is sent. After the last one
// writers go on.
func (s *session) nextToResend(buf []byte, assoc transport.Assoc) ([]byte, transport.SendInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != up || s.assoc != assoc {
		return nil, transport.SendInfo{}, false // the next failover sees to it
	}
	for _, r := range s.requests.kept {
		if r.on != assoc {
			r.on = assoc
			return append(buf, r.data...), r.info.sendInfo(), true
		}
	}
	s.requests.resending = false
	s.applyDeadlines()
	s.notify()
	return nil, transport.SendInfo{}, false
}

// handleResendError goes on with another pool element after a loss, and ends the session if this one's
// transport does not take what another's has taken.
func (s *session) handleResendError(assoc transport.Assoc, err error) {
	if isLoss(err) {
		s.handleLoss(assoc, err)
		return
	}
	s.mu.Lock()
	if s.state == up && s.assoc == assoc {
		s.becomeEnded(fmt.Errorf("resend: %w", err))
	}
	s.mu.Unlock()
	_ = assoc.Abort()
}

// writeRequest is Write.
func (s *session) writeRequest(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	ctx := context.Background()
	err := s.sendAll(ctx, "write", b, func(b []byte) error { return s.sendRequest(ctx, b, MsgInfo{}) })
	if err != nil {
		return 0, err
	}
	return len(b), nil
}
