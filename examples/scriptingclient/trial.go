package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/scripting"
)

// trial is one server's work on the job.
type trial struct {
	*job
	session *rsp.Socket
	stale   bool // what is received is still that of the server before
	b       []byte
}

// localError is a failure on this side, which another server could not mend.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

// newTrial begins with a server: moved tells that the session was with another one before.
func newTrial(j *job, session *rsp.Socket, moved bool) *trial {
	j.server = ""
	return &trial{job: j, session: session, stale: moved, b: make([]byte, scripting.MaxMessage)}
}

// run goes through the server's side of the protocol: see package scripting.
func (t *trial) run(ctx context.Context) error {
	if err := t.awaitReady(ctx); err != nil {
		return err
	}
	if t.o.environment != "" {
		if err := t.send(ctx, scripting.Message{Type: scripting.Environment, Hash: t.hash}); err != nil {
			return err
		}
	}
	if err := t.upload(ctx, t.o.input); err != nil {
		return err
	}
	if t.o.environment != "" {
		if err := t.offerEnvironment(ctx); err != nil {
			return err
		}
	}
	m, err := t.next(ctx, scripting.Status)
	if err != nil {
		return err
	}
	if m.Status != 0 {
		return fmt.Errorf("it does not begin: %v", m)
	}
	t.printf("Server %s is processing ...", t.server)
	return t.awaitResults(ctx)
}

func (t *trial) awaitReady(ctx context.Context) error {
	m, err := t.next(ctx, scripting.Ready, scripting.NotReady)
	if err != nil {
		return err
	}
	t.server = printable(m.Info)
	if m.Type == scripting.NotReady {
		t.printf("Server %s is not ready yet => trying another one.", t.server)
		return errNotReady
	}
	t.printf("Server %s is ready!", t.server)
	return nil
}

// offerEnvironment uploads the environment if the server has not cached it.
func (t *trial) offerEnvironment(ctx context.Context) error {
	m, err := t.next(ctx, scripting.Environment)
	switch {
	case err != nil:
		return err
	case m.Hash != t.hash:
		return fmt.Errorf("it speaks of another environment: %v", m)
	case !m.UploadNeeded:
		t.printf("Server %s has cached environment -> skipping upload", t.server)
		return nil
	}
	t.printf("Server %s needs environment", t.server)
	return t.upload(ctx, t.o.environment)
}

// upload sends a file, and its end.
func (t *trial) upload(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return localError{err}
	}
	defer f.Close()
	t.printf("Uploading %d bytes ...", fileSize(name))
	b := make([]byte, scripting.MaxData)
	for {
		n, err := io.ReadFull(f, b)
		if err == io.EOF {
			break
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return localError{err}
		}
		if err := t.send(ctx, scripting.Message{Type: scripting.Upload, Data: b[:n]}); err != nil {
			return err
		}
	}
	if err := t.send(ctx, scripting.Message{Type: scripting.Upload}); err != nil {
		return err
	}
	t.printf("Upload complete.")
	return nil
}

// awaitResults waits for the exit status and for the results. The server is asked for a sign of life when it
// is silent.
func (t *trial) awaitResults(ctx context.Context) error {
	if err := errors.Join(t.result.Truncate(0), seekStart(t.result)); err != nil {
		return localError{err}
	}
	r := results{trial: t}
	asked := false
	for deadline := time.Now().Add(t.o.keepAliveInterval); ; {
		m, err := t.receive(ctx, deadline)
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && asked:
			return errors.New("it does not answer keep-alives")
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			asked, deadline = true, time.Now().Add(t.o.keepAliveTimeout)
			if err := t.send(ctx, scripting.Message{Type: scripting.KeepAlive}); err != nil {
				return err
			}
			continue
		case errors.Is(err, rsp.ErrFailover) && r.exited:
			return errFailed{status: r.status} // RSPLIB's servers end so if the package has written nothing
		case err != nil:
			return err
		}
		if done, err := r.take(m); done || err != nil {
			return err
		}
		asked, deadline = false, time.Now().Add(t.o.keepAliveInterval)
	}
}

// results is what comes when the work is done.
type results struct {
	*trial
	exited bool
	status uint32
	begun  bool
}

// take takes the next message, and reports whether it is the last one.
func (r *results) take(m scripting.Message) (done bool, err error) {
	switch {
	case m.Type == scripting.Status:
		r.exited, r.status = true, m.Status
		if m.Status != 0 && r.failed(m.Status) {
			return true, errFailed{status: m.Status}
		}
	case m.Type == scripting.Download && len(m.Data) > 0:
		if !r.begun {
			r.printf("Downloading ...")
		}
		r.begun = true
		if _, err := r.result.Write(m.Data); err != nil {
			return true, localError{err}
		}
	case m.Type == scripting.Download:
		r.printf("Download completed!")
		if r.status != 0 {
			return true, errFailed{r.status, true}
		}
		return true, nil
	case m.Type != scripting.KeepAliveAck:
		return true, fmt.Errorf("unexpected %v", m)
	}
	return false, nil
}

// failed tells of an exit status, and reports whether another trial follows.
func (t *trial) failed(status uint32) bool {
	t.printf("Got exit status %d from remote side!", status)
	if t.trial < t.o.maxRetry {
		return true
	}
	t.printf("Maximum number of trials reached -> check your input and the results!")
	t.printf("Trying to download the results file for debugging ...")
	return false
}

func seekStart(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// next receives a message of one of the types that can come now, within the transmit timeout.
func (t *trial) next(ctx context.Context, types ...scripting.MessageType) (scripting.Message, error) {
	m, err := t.receive(ctx, time.Now().Add(t.o.transmitTimeout))
	if err != nil {
		return m, err
	}
	for _, want := range types {
		if m.Type == want {
			return m, nil
		}
	}
	return m, fmt.Errorf("unexpected %v", m)
}

// receive receives a message, which is valid until the next call, and answers keep-alives.
func (t *trial) receive(ctx context.Context, deadline time.Time) (scripting.Message, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		n, info, err := t.session.RecvFullMsg(ctx, t.b)
		switch {
		case err != nil:
			return scripting.Message{}, err
		case info.Notification != nil:
			t.notified(info.Notification)
			continue
		case t.stale || info.PPID != scripting.PPID:
			continue
		}
		m, err := scripting.Parse(t.b[:n])
		if err != nil || m.Type != scripting.KeepAlive {
			return m, err
		}
		if err := t.send(ctx, scripting.Message{Type: scripting.KeepAliveAck}); err != nil {
			return m, err
		}
	}
}

// notified notices that the server before has nothing more to say.
func (t *trial) notified(n *rsp.Notification) {
	t.printf("Notification: %v", n)
	if n.Type == rsp.FailoverComplete {
		t.stale = false
	}
}

func (t *trial) send(ctx context.Context, m scripting.Message) error {
	ctx, cancel := context.WithTimeout(ctx, t.o.transmitTimeout)
	defer cancel()
	return t.session.SendMsg(ctx, m.AppendTo(nil), rsp.MsgInfo{PPID: scripting.PPID})
}
