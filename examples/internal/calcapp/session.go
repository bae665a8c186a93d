package calcapp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

// session is a session of a server, with one job at a time. It belongs to one goroutine; only reading the
// socket is another one's.
type session struct {
	*pe
	socket  *rsp.Socket
	number  int
	changed chan struct{} // has room for the news that a job has come or gone

	job      *job
	cookie   Cookie    // the last one that was sent, or where the job started
	cookieAt time.Time // when
	asked    time.Time // when a keep-alive was sent that is not answered; else zero
	heard    time.Time // when the last one was answered, or the job started
}

// received is what came from the client.
type received struct {
	data       []byte
	cookieEcho bool
	err        error
}

// serveSession serves a session until the client or the server ends it.
func (p *pe) serveSession(ctx context.Context, socket *rsp.Socket) {
	s := &session{pe: p, socket: socket, changed: make(chan struct{}, 1)}
	p.addSession(s)
	p.out.Printf("NOTIFICATION: RSERPOOL_SESSION_CHANGE for session %d, state=RSERPOOL_SESSION_ADD", s.number)
	defer func() {
		p.removeSession(s)
		p.out.Printf("NOTIFICATION: RSERPOOL_SESSION_CHANGE for session %d, state=RSERPOOL_SESSION_REMOVE", s.number)
	}()

	messages := make(chan received)
	var reader sync.WaitGroup
	defer reader.Wait()
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	reader.Go(func() { s.read(reading, messages) })
	for {
		var err error
		select {
		case m := <-messages:
			err = s.receive(ctx, m)
		case <-s.timer():
			err = s.act(ctx)
		case <-s.changed: // the timer is another one now
		}
		if err != nil {
			s.leave(ctx)
			return
		}
	}
}

// read passes on what comes until there is an error, the last one.
func (s *session) read(ctx context.Context, messages chan<- received) {
	buf := make([]byte, rsp.MaxCookie)
	for {
		n, info, err := s.socket.RecvFullMsg(ctx, buf)
		m := received{data: append([]byte(nil), buf[:n]...), cookieEcho: info.CookieEcho, err: err}
		select {
		case messages <- m:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// receive serves a message. An error ends the session.
func (s *session) receive(ctx context.Context, r received) error {
	if r.err != nil {
		return r.err
	}
	if r.cookieEcho {
		c, err := ParseCookie(r.data)
		if err != nil {
			s.out.Printf("Session %d: %v", s.number, err)
			return err
		}
		return s.begin(ctx, c, true)
	}
	m, err := ParseMessage(r.data)
	if err != nil {
		s.out.Printf("Session %d: %v", s.number, err)
		return err
	}
	known := s.job != nil && s.job.id == m.JobID
	switch {
	case m.Type == Request:
		return s.begin(ctx, Cookie{JobID: m.JobID, JobSize: m.JobSize}, false)
	case m.Type == KeepAlive && known:
		return s.send(ctx, Message{Type: KeepAliveAck, JobID: m.JobID})
	case m.Type == KeepAliveAck && known && !s.asked.IsZero():
		s.asked, s.heard = time.Time{}, time.Now()
	}
	return nil // all else has no answer, as with RSPLIB
}

// begin starts a job, or goes on with one. A job that runs already is accepted again: the answer was lost.
func (s *session) begin(ctx context.Context, c Cookie, resumed bool) error {
	if s.job != nil && s.job.id == c.JobID {
		return s.send(ctx, Message{Type: Accept, JobID: c.JobID})
	}
	var j *job
	if s.job == nil { // a session has one cookie, and so one job
		j = s.startJob(c)
	}
	if j == nil {
		s.out.Printf("Job %d/%d rejected!", s.number, c.JobID)
		return s.send(ctx, Message{Type: Reject, JobID: c.JobID})
	}
	if resumed {
		s.out.Printf("Job %d/%d of size %.6g, completed %.6g accepted from cookie echo", s.number, c.JobID, float64(c.JobSize), float64(c.Completed))
	} else {
		s.out.Printf("Job %d/%d of size %.6g accepted", s.number, c.JobID, float64(c.JobSize))
	}
	now := time.Now()
	s.job, s.cookie, s.cookieAt, s.asked, s.heard = j, c, now, time.Time{}, now
	return s.send(ctx, Message{Type: Accept, JobID: c.JobID})
}

// dues are when the next things are due for the job: its completion, a cookie, a keep-alive or the end of the wait
// for its answer.
func (s *session) dues() (progress Cookie, completion, cookie, keepAlive time.Time) {
	more := min(s.CookieMaxCalculations, s.cookie.JobSize-s.cookie.Completed)
	progress, completion, cookie = s.progress(s.job, s.cookie.Completed+more)
	if byTime := s.cookieAt.Add(s.CookieMaxTime); byTime.Before(cookie) {
		cookie = byTime
	}
	keepAlive = s.heard.Add(s.KeepAliveTransmissionInterval)
	if !s.asked.IsZero() {
		keepAlive = s.asked.Add(s.KeepAliveTimeoutInterval)
	}
	return progress, completion, cookie, keepAlive
}

// timer fires when the first of dues is; never without a job.
func (s *session) timer() <-chan time.Time {
	if s.job == nil {
		return nil
	}
	_, next, cookie, keepAlive := s.dues()
	for _, t := range []time.Time{cookie, keepAlive} {
		if t.Before(next) {
			next = t
		}
	}
	return time.After(time.Until(next))
}

// act does the first thing that is due, if any.
func (s *session) act(ctx context.Context) error {
	progress, _, cookie, keepAlive := s.dues()
	now := time.Now()
	switch {
	case progress.Completed == progress.JobSize:
		return s.complete(ctx)
	case !now.Before(cookie):
		s.cookie, s.cookieAt = progress, now
		return s.sendCookie(ctx)
	case now.Before(keepAlive):
		return nil
	case s.asked.IsZero():
		s.asked = now
		return s.send(ctx, Message{Type: KeepAlive, JobID: s.job.id})
	}
	s.out.Printf("No keep-alive for job %d/%d -> removing session", s.number, s.job.id)
	s.removeJob(s.job)
	s.job = nil
	return nil
}

func (s *session) complete(ctx context.Context) error {
	j := s.job
	s.out.Printf("Job %d/%d is complete!", s.number, j.id)
	s.recordCompletion()
	s.removeJob(j)
	s.job = nil
	return s.send(ctx, Message{Type: Complete, JobID: j.id, JobSize: j.size, Completed: j.size})
}

// leave ends the job of a session that ends. If it is the server who ends it, the client gets a cookie, with which it
// goes on elsewhere; if not, nobody is there to get it.
func (s *session) leave(ctx context.Context) {
	if s.job == nil {
		return
	}
	if s.clean {
		s.cookie, _, _ = s.progress(s.job, 0)
		_ = s.sendCookie(ctx)
	}
	s.removeJob(s.job)
	s.job = nil
}

func (s *session) sendCookie(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.KeepAliveTimeoutInterval)
	defer cancel()
	return s.told(s.socket.SendCookie(ctx, s.cookie.AppendTo(nil)))
}

// send sends a message. A client that does not read for so long is as good as lost.
func (s *session) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.KeepAliveTimeoutInterval)
	defer cancel()
	return s.told(s.socket.SendMsg(ctx, m.AppendTo(nil), rsp.MsgInfo{PPID: PPID}))
}

func (s *session) told(err error) error {
	if err != nil {
		return fmt.Errorf("session %d: %w", s.number, err)
	}
	return nil
}
