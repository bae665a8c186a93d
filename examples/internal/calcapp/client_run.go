package calcapp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rserpool/rsp"
)

// run is a job that is being handled. It belongs to one goroutine, but for onFailover.
//
//	     ACCEPT                     COMPLETE
//	asked ──────▶ running, keep-alives ─────▶ done
//	 ▲ │ REJECT, or no answer     │ no answer to a keep-alive, or the server is lost
//	 │ ▼                          ▼
//	another server: it gets the cookie or, if there is none, the REQUEST
type run struct {
	*Client
	session *rsp.Socket
	job     *Job

	accepted bool
	probing  bool      // a keep-alive is not answered yet
	moving   bool      // a failover is under way
	moved    bool      // there was one since the last ACCEPT
	cookie   bool      // the server of the last one was shown a cookie
	deadline time.Time // for the answer to the request, to send a keep-alive, or for its answer
}

// connect opens the session. A pool without servers may have some again later.
func (r *run) connect(ctx context.Context) (*rsp.Socket, error) {
	d := rsp.Dialer{Endpoint: r.Endpoint, OnFailover: r.onFailover, FailoverTimeout: -1, Notifications: true}
	for {
		session, err := d.Connect(ctx, r.PoolHandle)
		if err == nil {
			return session, nil
		}
		r.Out.Printf("Job #%d finds no server: %v", r.job.ID, err)
		if !pause(ctx, r.RetryPause) {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// onFailover sends the REQUEST to the server that the job goes to, unless that has been shown the cookie, which
// tells all that a REQUEST does, and how far the job has come. RSPLIB's server sees the cookie only when
// something else comes after it: a keep-alive, which it then answers.
func (r *run) onFailover(_ context.Context, f *rsp.FailoverEvent) error {
	if f.HasCookie {
		return f.SendMsg((&Message{Type: KeepAlive, JobID: r.job.ID}).AppendTo(nil), rsp.MsgInfo{PPID: PPID})
	}
	return f.SendMsg(r.request(), rsp.MsgInfo{PPID: PPID})
}

func (r *run) request() []byte {
	return (&Message{Type: Request, JobID: r.job.ID, JobSize: r.job.Size}).AppendTo(nil)
}

func (r *run) requested() {
	r.Stats.Requests++
	r.Out.Printf("Request for job #%d (job size %.6g)", r.job.ID, float64(r.job.Size))
	r.waitAnswer()
}

// waitAnswer waits for the answer to a request or cookie.
func (r *run) waitAnswer() {
	r.accepted, r.probing, r.moving = false, false, false
	r.deadline = time.Now().Add(r.KeepAliveTimeoutInterval)
}

// run has the job handled until it is complete.
func (r *run) run(ctx context.Context) error {
	if err := r.session.SendMsg(ctx, r.request(), rsp.MsgInfo{PPID: PPID}); err != nil {
		return err
	}
	r.requested()
	buf := make([]byte, 64<<10)
	for r.job.Completed.IsZero() {
		var until time.Time // while a failover is under way, the session's own patience counts
		if !r.moving {
			until = r.deadline
		}
		if err := r.session.SetReadDeadline(until); err != nil {
			return err
		}
		n, info, err := r.session.RecvFullMsg(ctx, buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = r.act(ctx)
		case err != nil:
		case info.Notification != nil:
			r.notified(info.Notification)
		default:
			err = r.receive(ctx, buf[:n])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// act does what is due at the deadline.
func (r *run) act(ctx context.Context) error {
	if r.accepted && !r.probing {
		r.Stats.KeepAlives++
		r.probing, r.deadline = true, time.Now().Add(r.KeepAliveTimeoutInterval)
		return r.send(ctx, KeepAlive)
	}
	r.Out.Printf("Timeout of job #%d: no answer from PE %v", r.job.ID, r.session.PeerPE())
	r.moving = true
	return r.session.ForceFailover(ctx, true)
}

func (r *run) send(ctx context.Context, t MessageType) error {
	return r.session.SendMsg(ctx, (&Message{Type: t, JobID: r.job.ID}).AppendTo(nil), rsp.MsgInfo{PPID: PPID})
}

// receive takes a message of the server.
func (r *run) receive(ctx context.Context, b []byte) error {
	m, err := ParseMessage(b)
	if err != nil {
		return err
	}
	if m.JobID != r.job.ID {
		return fmt.Errorf("the server's %v is for job #%d", m.Type, m.JobID)
	}
	switch m.Type {
	case Accept:
		r.becomeAccepted()
	case Reject:
		return r.rejected(ctx)
	case Complete:
		r.Stats.Completes++
		return r.complete(m)
	case KeepAlive:
		r.Stats.KeepAliveAcks++
		return r.send(ctx, KeepAliveAck)
	case KeepAliveAck:
		if r.probing {
			r.probing, r.deadline = false, time.Now().Add(r.KeepAliveTransmissionInterval)
		}
	}
	return nil
}

// becomeAccepted notes the first ACCEPT as the end of the startup: what comes after it, failovers as well, is
// processing. (RSPLIB notes the last one, which makes a job fast that was moved just before its end.)
func (r *run) becomeAccepted() {
	r.Stats.Accepts++
	r.Out.Printf("Job #%d accepted", r.job.ID)
	now := time.Now()
	switch {
	case r.job.Accepted.IsZero():
		r.job.Accepted = now
	case r.moved:
		r.failedOver()
	}
	r.moved = false
	r.accepted, r.probing, r.deadline = true, false, now.Add(r.KeepAliveTransmissionInterval)
}

// failedOver notes that another server has the job now.
func (r *run) failedOver() {
	r.job.Failovers++
	if !r.cookie {
		r.Stats.Restarts++
	}
	if r.FailedOver != nil {
		r.FailedOver(r.job, r.session.PeerPE(), r.cookie)
	}
}

// rejected tries another server after a pause.
func (r *run) rejected(ctx context.Context) error {
	r.Stats.Rejects++
	r.Out.Printf("Job #%d rejected", r.job.ID)
	if !pause(ctx, r.RetryPause) {
		return ctx.Err()
	}
	r.moving = true
	return r.session.ForceFailover(ctx, false)
}

func (r *run) complete(m Message) error {
	if m.JobSize != r.job.Size || m.Completed != r.job.Size {
		return fmt.Errorf("completed are %d of %d calculations, but it has %d", m.Completed, m.JobSize, r.job.Size)
	}
	r.job.Completed = time.Now()
	if r.job.Accepted.IsZero() { // its ACCEPT was lost with a server
		r.job.Accepted = r.job.Completed
	}
	return nil
}

// notified takes what the session tells of failovers, which it does by itself.
func (r *run) notified(n *rsp.Notification) {
	cookie := map[bool]string{true: "yes", false: "no"}[n.HasCookie]
	switch n.Type {
	case rsp.FailoverNecessary:
		r.Out.Printf("Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=%s", cookie)
		r.Out.Print("--- FAILOVER ---")
		r.moving = true
	case rsp.FailoverComplete:
		r.Out.Printf("Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=%s", cookie)
		r.moved, r.cookie = true, n.HasCookie
		if n.HasCookie {
			r.waitAnswer()
		} else {
			r.requested()
		}
	}
}
