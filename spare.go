package rsp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// spare is an association to another pool element, kept beside the session's own, to which a failover
// moves at once. It is wanted with Dialer.Standby, and while the session's own peer is suspected:
//
//	                          Standby, or NoticeSuspect
//	none ◀───────────────┐  ┌───────────────────────────── none
//	 ▲                   │  ▼
//	 │ NoticeAnswers  seeking: a search ──── found ────▶ ready ───▶ the loss: the session's own
//	 │ (no Standby)      │  ▲                             │  │
//	 │                   │  └─ lost, left by the pool ────┘  │ suspected itself: not good for a failover
//	 └───────────────────┴───────────────────────────────────┘
//
// It belongs to the goroutine that runs keep, until done is closed.
type spare struct {
	session *session
	cancel  context.CancelFunc
	done    chan struct{}
	taken   bool // who takes it ends it; session.mu guards taken and ready
	ready   bool

	assoc     transport.Assoc // nil: none as yet
	element   Element
	received  []received // on assoc
	suspected bool
}

// spareCheck is how often it is asked whether the spare association's PE is still in its pool,
// and the longest pause in the search for one.
const spareCheck = 10 * time.Second

// updateSpare begins or ends to keep a spare association; s.mu is held.
func (s *session) updateSpare() {
	wanted := s.state == up && s.failsOver() && (s.suspected || s.dialer.Standby)
	if k := s.spare; k != nil && (!wanted || s.suspected && !k.ready) {
		k.cancel() // it is not wanted, or has its mind on long pauses
		s.spare = nil
	}
	if !wanted || s.spare != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	k := &spare{session: s, cancel: cancel, done: make(chan struct{})}
	peer := s.peer
	if s.endpoint.spawn(func() { k.keep(ctx, peer) }) {
		s.spare = k
	} else {
		cancel()
	}
}

// handleNotice takes what assoc tells beside messages.
func (s *session) handleNotice(assoc transport.Assoc, notice transport.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != up || s.assoc != assoc {
		return
	}
	switch notice {
	case transport.NoticeSuspect:
		s.suspected = true
	case transport.NoticeAnswers:
		s.suspected = false
	default:
		return
	}
	s.updateSpare()
}

// takeSpare ends to keep a spare association, and returns it if it is good for a failover.
func (s *session) takeSpare() (found, bool) {
	s.mu.Lock()
	k := s.spare
	s.spare = nil
	if k != nil {
		k.taken = true
	}
	s.mu.Unlock()
	if k == nil {
		return found{}, false
	}
	k.cancel()
	<-k.done
	if k.assoc == nil {
		return found{}, false
	}
	if k.suspected {
		_ = k.assoc.Abort()
		return found{}, false
	}
	_ = k.assoc.Tune(s.options()) // SetSessionParameters may have changed them; a loss is met later
	assoc := k.assoc
	if len(k.received) > 0 {
		assoc = &replayed{assoc, k.received}
	}
	return found{element: k.element, assoc: assoc}, true
}

// keep seeks a pool element other than peer, and watches the association to it, until ctx ends.
func (k *spare) keep(ctx context.Context, peer PEID) {
	defer close(k.done)
	x := k.newSearch(peer)
	for {
		f, err := x.next(ctx)
		if err != nil {
			break
		}
		k.hold(f)
		began := time.Now()
		if k.watch(ctx) {
			break
		}
		_ = k.assoc.Close()
		k.hold(found{})
		x.note(f.element, errSpareLost)
		if time.Since(began) >= spareCheck {
			x = k.newSearch(peer) // it was worth its search
		}
	}
	k.session.mu.Lock()
	defer k.session.mu.Unlock()
	if !k.taken && k.assoc != nil {
		_ = k.assoc.Close() // gracefully: its PE has done nothing wrong
	}
}

var errSpareLost = errors.New("spare association lost")

func (k *spare) newSearch(peer PEID) *search {
	x := newSearch(k.session, spareCheck)
	x.avoid, x.level = peer, slog.LevelDebug
	return x
}

func (k *spare) hold(f found) {
	k.assoc, k.element, k.received, k.suspected = f.assoc, f.element, nil, false
	k.session.mu.Lock()
	k.ready = f.assoc != nil
	k.session.mu.Unlock()
}

// watch receives what comes on the spare association, until ctx ends or the association is of no use any more.
func (k *spare) watch(ctx context.Context) (useful bool) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = k.assoc.SetReadDeadline(pastDeadline)
	})
	defer func() {
		if !stop() {
			<-interrupted // the deadline must not become that of the session's user
		}
	}()
	buf := make([]byte, watchBuffer)
	for size := 0; size < maxUnread; {
		_ = k.assoc.SetReadDeadline(time.Now().Add(spareCheck))
		if ctx.Err() != nil {
			return true
		}
		n, info, err := k.assoc.Recv(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if ctx.Err() == nil && k.hasLeft(ctx) {
				return false
			}
		case err != nil:
			if errors.Is(err, transport.ErrLost) {
				k.session.reportFailure(k.element.ID)
			}
			return false
		case info.Notice == transport.NoticeSuspect:
			k.suspected = true
		case info.Notice == transport.NoticeAnswers:
			k.suspected = false
		case info.Notice == transport.NoticeNone:
			k.received = append(k.received, received{bytes.Clone(buf[:n]), info})
			size += max(n, minUnread)
		}
	}
	<-ctx.Done() // the rest is for the session
	return true
}

// hasLeft reports whether the pool has gone on without the spare association's PE.
func (k *spare) hasLeft(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second) // a registrar that does not answer has no say
	defer cancel()
	r, err := k.session.endpoint.resolve(ctx, k.session.pool, AllElements)
	return err == nil && !r.Stale && len(r.Elements) < maxSelected && !slices.ContainsFunc(r.Elements, k.element.is)
}

// received is what came on an association before it was the session's own.
type received struct {
	data []byte
	info transport.RecvInfo
}

// replayed gives what was received before once more.
type replayed struct {
	transport.Assoc
	before []received
}

func (a *replayed) Recv(b []byte) (int, transport.RecvInfo, error) {
	if len(a.before) == 0 {
		return a.Assoc.Recv(b)
	}
	r := &a.before[0]
	n, info := copy(b, r.data), r.info
	if r.data = r.data[n:]; len(r.data) > 0 {
		info.EOR = false
	} else {
		a.before = a.before[1:]
	}
	return n, info, nil
}
