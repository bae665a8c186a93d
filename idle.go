package rsp

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// An association tells its suspicion and its loss to the one who receives from it. So a session is
// read also while its user only writes, or does nothing: by the watcher, who makes way for any reader.
//
//	a reader ──▶ done ──▶ nobody, for watchDelay ──▶ the watcher ──▶ the loss: failover
//	  ▲                            │                    │      └───▶ too much unread: nobody
//	  └────────────────────────────┴────────────────────┘ a reader comes
//
// What the watcher receives waits in unread, where readers look first. The alternatives are
// worse: a goroutine that always reads costs each message a copy and a switch, and associations that call
// back would tell a loss before what came ahead of it.
const (
	// watchDelay is how long a session may be read by nobody; it adds to the time in which a
	// loss is noticed.
	watchDelay = 10 * time.Millisecond
	// watchBuffer is what a session costs while it is watched.
	watchBuffer = 2 << 10
	// maxUnread bounds what is kept for a user who does not read, in bytes; a message counts 64 at least.
	maxUnread = 64 << 10
)

// startReading makes the caller the one who reads; a watcher makes way.
func (s *session) startReading(ctx context.Context) error {
	select {
	case s.reading <- struct{}{}:
		return nil
	default:
	}
	s.mu.Lock()
	s.readers++
	if s.watching {
		s.applyDeadlines()
	}
	s.mu.Unlock()
	err := s.reading.acquire(ctx)
	s.mu.Lock()
	s.readers--
	s.mu.Unlock()
	return err
}

func (s *session) stopReading() {
	s.reading.release()
	s.armWatch()
}

// armWatch makes the watcher look soon whether anybody reads.
func (s *session) armWatch() {
	if s.failsOver() && s.watchArmed.CompareAndSwap(false, true) {
		time.AfterFunc(watchDelay, func() {
			s.watchArmed.Store(false)
			if len(s.reading) == 0 { // else the reader arms it again
				s.endpoint.spawn(s.watch)
			}
		})
	}
}

// watch reads the session until a reader comes.
func (s *session) watch() {
	select {
	case s.reading <- struct{}{}:
	default:
		return // a reader was faster
	}
	defer s.reading.release()
	assoc, size := s.beginWatch()
	if assoc == nil {
		return
	}
	defer s.endWatch()
	buf := make([]byte, watchBuffer)
	for size < maxUnread {
		n, info, err := assoc.Recv(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			s.handleEnd(assoc, err)
			return
		case info.Notice != transport.NoticeNone:
			s.handleNotice(assoc, info.Notice)
		default:
			s.keep(buf[:n], info)
			size += max(n, minUnread)
		}
	}
}

// minUnread is what a message counts at least among those that are kept.
const minUnread = 64

// beginWatch returns the association to watch, nil if there is none, and the size of what is kept.
func (s *session) beginWatch() (assoc transport.Assoc, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != up || s.readers > 0 {
		return nil, 0
	}
	s.watching = true
	s.applyDeadlines()
	for _, m := range s.unread {
		size += max(len(m.data), minUnread)
	}
	return s.assoc, size
}

func (s *session) endWatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching = false
	s.applyDeadlines()
}
