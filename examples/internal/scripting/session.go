package scripting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/rserpool/rsp"
)

// session is a pool user with its work package, in the order of things:
//
//	PU                                   PE
//	 ◀──────────── READY ────────────────
//	 ───────── ENVIRONMENT hash ────────▶   only if the package needs one
//	 ◀──── ENVIRONMENT, needed or not ───
//	 ──────── UPLOAD ... UPLOAD end ────▶   the package, without waiting for the answer above
//	 ──────── UPLOAD ... UPLOAD end ────▶   the environment, only if it is needed
//	 ◀─────────── STATUS 0 ──────────────   the work begins
//	 ◀────── KEEPALIVE, and its ACK ────▶   by both sides
//	 ◀────────── STATUS exit ────────────
//	 ◀────── DOWNLOAD ... DOWNLOAD end ──   the results; then the PE ends the session
type session struct {
	*server
	number int
	socket *rsp.Socket
	work   *work
	// unusable is why the work cannot be done, though it was uploaded.
	unusable    error
	downloading atomic.Bool
	b           []byte // of the message received last
}

func (s *session) printf(format string, args ...any) {
	s.out.Printf("S%04d: %s", s.number, fmt.Sprintf(format, args...))
}

// verbosef is for what only somebody with -ssverbose wants to know.
func (s *session) verbosef(format string, args ...any) {
	if s.verbose {
		s.printf(format, args...)
	}
}

// serve serves the session to its end.
func (s *session) serve(ctx context.Context) error {
	if err := s.send(ctx, Message{Type: Ready, Info: s.name}); err != nil {
		return err
	}
	if err := s.receiveWork(ctx); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if err := s.send(ctx, Message{Type: Status}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(s.stayAlive(ctx))
	}()
	defer func() {
		cancel(nil)
		<-ended
	}()
	err := s.doWork(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx) // which says more than what it has interrupted
	}
	return err
}

// doWork runs what was uploaded, and sends what comes of it.
func (s *session) doWork(ctx context.Context) error {
	s.printf("Starting work in directory %q ...", s.work.dir)
	status, err := uint32(failure), s.unusable
	if err == nil {
		status, err = s.work.run(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.printf("%v", err)
	}
	s.printf("Processing completed with status %d => starting download of results", status)
	s.downloading.Store(true)
	if err := s.send(ctx, Message{Type: Status, Status: status}); err != nil {
		return err
	}
	return s.download(ctx)
}

// receiveWork receives the work package, and finds or receives its environment.
func (s *session) receiveWork(ctx context.Context) error {
	needed := false
	m, err := s.next(ctx)
	if err != nil {
		return err
	}
	hash := m.Hash
	if m.Type == Environment {
		if needed, err = s.findEnvironment(ctx, hash); err != nil {
			return err
		}
		if m, err = s.next(ctx); err != nil {
			return err
		}
	}
	if err := s.save(ctx, m, inputFile); err != nil {
		return err
	}
	if needed {
		if m, err = s.next(ctx); err != nil {
			return err
		}
		if err := s.save(ctx, m, environmentFile); err != nil {
			return err
		}
	}
	if s.work.hasEnvironment {
		s.unusable = s.checkEnvironment(ctx, hash)
	}
	if needed && s.unusable == nil {
		s.keepEnvironment(hash)
	}
	return nil
}

// findEnvironment looks an environment up in the cache, and tells the PU whether it must upload it.
func (s *session) findEnvironment(ctx context.Context, hash Hash) (needed bool, err error) {
	s.work.hasEnvironment = true
	found, err := s.cache.get(hash, s.work.path(environmentFile))
	if err != nil {
		return false, err
	}
	s.printf("User requests environment %v, cached: %t", hash, found)
	return !found, s.send(ctx, Message{Type: Environment, Hash: hash, UploadNeeded: !found})
}

// checkEnvironment checks that an environment, uploaded or from the cache, is what it is announced as.
func (s *session) checkEnvironment(ctx context.Context, hash Hash) error {
	file := s.work.path(environmentFile)
	actual, err := HashFile(file)
	if err != nil {
		return err
	}
	if actual != hash {
		return fmt.Errorf("the environment is not %v, as announced, but %v", hash, actual)
	}
	if s.verifier == nil {
		return nil
	}
	// It stays signed, as with RSPLIB: its name is the hash of all of it, and the package gets the keyring to
	// open it.
	if err := s.verifier.verify(ctx, file, os.DevNull); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	return nil
}

// keepEnvironment puts an environment into the cache. Without it, the work can be done all the same.
func (s *session) keepEnvironment(hash Hash) {
	if err := s.cache.put(hash, s.work.path(environmentFile)); err != nil {
		s.printf("Cannot cache environment %v: %v", hash, err)
		return
	}
	entries, size := s.cache.used()
	s.printf("Caching environment %v => %d KiB in %d entries", hash, (size+1023)/1024, entries)
}

// save writes an upload, from its first message to its end, to a file.
func (s *session) save(ctx context.Context, m Message, name string) error {
	s.printf("Starting upload of %s into directory %q ...", name, s.work.dir)
	f, err := os.OpenFile(s.work.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	size := 0
	for err == nil {
		if m.Type != Upload {
			err = fmt.Errorf("unexpected %v", m)
			break
		}
		if len(m.Data) == 0 {
			break
		}
		size += len(m.Data)
		if _, err = f.Write(m.Data); err == nil {
			m, err = s.next(ctx)
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.printf("Upload of %s completed (%d bytes)", name, size)
	return nil
}

// stayAlive answers the PU's keep-alives, and asks for its own, until ctx ends or the PU is lost,
// which is the error. It does not ask while results are sent, which tells enough.
func (s *session) stayAlive(ctx context.Context) error {
	asked, deadline := false, time.Now().Add(s.keepAliveInterval)
	for {
		m, err := s.receive(ctx, deadline)
		silent := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
		switch {
		case silent && s.downloading.Load():
			asked, deadline, err = false, time.Now().Add(s.keepAliveInterval), nil
		case silent && asked:
			return errors.New("the user does not answer keep-alives")
		case silent:
			asked, deadline = true, time.Now().Add(s.keepAliveTimeout)
			err = s.send(ctx, Message{Type: KeepAlive})
		case err != nil:
		case m.Type == KeepAlive:
			err = s.send(ctx, Message{Type: KeepAliveAck, HasStatus: true})
		case m.Type == KeepAliveAck:
			asked, deadline = false, time.Now().Add(s.keepAliveInterval)
		default:
			err = fmt.Errorf("unexpected %v", m)
		}
		if err != nil {
			return err
		}
	}
}

// download sends the results, if there are any, and their end.
func (s *session) download(ctx context.Context) error {
	size := 0
	if s.work.result != nil {
		var err error
		for b := make([]byte, MaxData); err == nil; {
			var n int
			if n, err = io.ReadFull(s.work.result, b); n > 0 {
				size += n
				if err := s.send(ctx, Message{Type: Download, Data: b[:n]}); err != nil {
					return err
				}
			}
		}
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
	}
	if err := s.send(ctx, Message{Type: Download}); err != nil {
		return err
	}
	s.printf("Download completed (%d bytes) => finished work in directory %q.", size, s.work.dir)
	return nil
}

// next receives a message of an upload, within the transmit timeout.
func (s *session) next(ctx context.Context) (Message, error) {
	for {
		m, err := s.receive(ctx, time.Now().Add(s.transmitTimeout))
		if err != nil || m.Type != KeepAlive {
			return m, err
		}
		if err := s.send(ctx, Message{Type: KeepAliveAck, HasStatus: true}); err != nil {
			return m, err
		}
	}
}

// receive receives a message, which is valid until the next call.
func (s *session) receive(ctx context.Context, deadline time.Time) (Message, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if s.b == nil {
		s.b = make([]byte, MaxMessage)
	}
	for {
		n, info, err := s.socket.RecvFullMsg(ctx, s.b)
		if err != nil {
			return Message{}, err
		}
		if info.PPID != PPID {
			continue // a cookie echo, or what is none of ours
		}
		m, err := Parse(s.b[:n])
		if err == nil {
			s.verbosef("<- %v", m)
		}
		return m, err
	}
}

func (s *session) send(ctx context.Context, m Message) error {
	s.verbosef("-> %v", m)
	ctx, cancel := context.WithTimeout(ctx, s.transmitTimeout)
	defer cancel()
	return s.socket.SendMsg(ctx, m.AppendTo(nil), rsp.MsgInfo{PPID: PPID})
}
