package rsp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// ErrServerClosed is what Server.Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("rsp: server closed")

// Server serves the sessions of a pool element, each by a goroutine of its own (RSPLIB's
// libcpprspserver). Its fields must not be changed once Serve is called.
//
//	Serve ──▶ accepts: load told ──▶ a handler per session ──▶ last cookie, graceful end
//	                │                                                 ▲
//	Shutdown ──▶ leaves the pool ──▶ reading ends: io.EOF ────────────┤ each handler in its own time
//	its ctx ends, or that of Serve ───────────────────────────────────┘ all at once
type Server struct {
	// Handler serves one session. When it returns, the PU gets a last cookie, if the session
	// has a plan (Socket.KeepCookie), and the session ends gracefully, so that a PU which is not
	// done goes over to another PE. If it panics, that session alone ends, without the cookie, and
	// the panic is logged. ctx ends when the session is about to be ended whether or not the handler
	// returns; calls on the session that wait are interrupted then in any case.
	Handler func(ctx context.Context, session *Socket)
	// MaxSessions is how many sessions are served at the same time. While there are n, the load
	// n/MaxSessions is told to the registrar, if the PE's policy has a load, whenever it has
	// changed by a hundredth. One more is ended at once: gracefully, as RSPLIB's servers do, so that its PU
	// goes over to another PE without reporting this one as unreachable. 0: no limit, and no load is told.
	MaxSessions int
	// Refuse, if set, is called for a session that is one more, before it ends: to tell its PU so in the
	// words of the service. ctx is as for Handler, and a panic too.
	Refuse func(ctx context.Context, session *Socket)
	// Logger takes the panics of handlers, and errors of accepting. Default: slog.Default, since
	// a panic must not go unseen.
	Logger *slog.Logger

	mu       sync.Mutex
	closing  bool // Shutdown or Close was called
	running  *run // nil unless Serve is under way
	sessions map[*Socket]struct{}
	told     int // sessions, when the load was told last
}

// run is one call of Serve.
type run struct {
	listener *Socket
	cancel   context.CancelCauseFunc // of the handlers' context
	done     chan struct{}           // closed when all handlers have returned
}

// Serve serves the sessions of a registered pool element until Shutdown or Close is called, ctx
// ends, or the registrar refuses the PE. Then it closes listener, ends its sessions, and returns the
// reason once all handlers have returned: ErrServerClosed after Shutdown or Close. The end of
// ctx gives the handlers no time: each session gets its last cookie, and ends.
func (srv *Server) Serve(ctx context.Context, listener *Socket) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{listener: listener, cancel: cancel, done: make(chan struct{})}
	if err := srv.start(r); err != nil {
		return err
	}
	var handlers sync.WaitGroup
	err := srv.accept(ctx, listener, &handlers)
	if e := listener.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
		srv.log().Warn("pool element closed", "err", e)
	}
	srv.drain()
	go func() {
		handlers.Wait()
		close(r.done)
	}()
	select {
	case <-r.done:
	case <-ctx.Done():
		srv.endSessions()
		<-r.done
	}
	return srv.stopped(err)
}

func (srv *Server) start(r *run) error {
	accepts := r.listener.accepts()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case !accepts:
		return &OpError{Op: "serve", Err: ErrNoRole}
	case srv.closing:
		return errors.Join(ErrServerClosed, r.listener.Close())
	case srv.running != nil:
		return errors.New("rsp: server serves already")
	case srv.Handler == nil:
		return errors.New("rsp: server has no handler")
	}
	srv.running, srv.sessions, srv.told = r, make(map[*Socket]struct{}), 0
	return nil
}

func (srv *Server) stopped(err error) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.running = nil
	if srv.closing {
		return ErrServerClosed
	}
	return err
}

// accept starts a handler for each session until the listener or ctx has ended.
func (srv *Server) accept(ctx context.Context, listener *Socket, handlers *sync.WaitGroup) error {
	for {
		session, err := listener.acceptNext(ctx, srv.log())
		if err != nil {
			return err
		}
		if !srv.admit(session) {
			listener.endpoint.log.Info("session refused", "peer", session.RemoteAddr(), "limit", srv.MaxSessions)
			session.session.servedUntil = ctx.Done()
			handlers.Go(func() { srv.refuse(ctx, session) })
			continue
		}
		srv.tellLoad(listener)
		session.session.servedUntil = ctx.Done()
		handlers.Go(func() {
			defer func() {
				_ = session.Close() // its peer may have ended it before
				srv.remove(session)
				srv.tellLoad(listener)
			}()
			srv.guard(func() {
				srv.Handler(ctx, session)
				srv.sendLastCookie(session)
			})
		})
	}
}

// acceptNext is accept that outlasts errors which pass, such as too many open files.
func (s *Socket) acceptNext(ctx context.Context, log *slog.Logger) (*Socket, error) {
	for pause := firstAcceptPause; ; pause = min(2*pause, maxAcceptPause) {
		session, err := s.accept(ctx)
		if err == nil {
			return session, nil
		}
		s.mu.Lock()
		over := s.pe.ctx.Err() != nil
		s.mu.Unlock()
		if over || ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		log.Warn("cannot accept a session", "err", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

const (
	firstAcceptPause = 5 * time.Millisecond
	maxAcceptPause   = time.Second
)

func (srv *Server) admit(session *Socket) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.MaxSessions > 0 && len(srv.sessions) >= srv.MaxSessions {
		return false
	}
	srv.sessions[session] = struct{}{}
	return true
}

// refuse ends a session that is not served.
func (srv *Server) refuse(ctx context.Context, session *Socket) {
	if srv.Refuse != nil {
		srv.guard(func() { srv.Refuse(ctx, session) })
	}
	_ = session.Close() // its peer may have ended it before
}

func (srv *Server) remove(session *Socket) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, session)
}

// tellLoad tells the registrar the load if it has changed by so much that it matters: by a
// hundredth (RSPLIB's threshold), to none, or to the limit.
func (srv *Server) tellLoad(listener *Socket) {
	srv.mu.Lock()
	n := len(srv.sessions)
	change := max(n-srv.told, srv.told-n)
	matters := change > 0 && (100*change >= srv.MaxSessions || n == 0 || n == srv.MaxSessions)
	if srv.MaxSessions <= 0 || !matters {
		srv.mu.Unlock()
		return
	}
	srv.told = n
	srv.mu.Unlock()
	listener.setLoad(srv.load)
}

func (srv *Server) load() float64 {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return float64(len(srv.sessions)) / float64(srv.MaxSessions)
}

// guard runs f, and logs a panic of it.
func (srv *Server) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			srv.log().Error("panic in a session", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// sendLastCookie gives the PU what it needs to go on with another PE, within closeTimeout. Mostly the
// PU is gone already, which is no error.
func (srv *Server) sendLastCookie(session *Socket) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := session.FlushCookie(ctx)
	if errors.Is(err, ErrCookieSize) || errors.Is(err, context.DeadlineExceeded) {
		srv.log().Warn("last cookie of a session not sent", "err", err)
	}
}

// drain ends the reading of all sessions.
func (srv *Server) drain() {
	for _, session := range srv.served() {
		session.session.endReading()
	}
}

// endReading makes those who read the session get io.EOF from now on, as if the peer had ended it;
// what it has sent is left to another PE.
func (s *session) endReading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readingEnded = true
	s.applyDeadlines()
	s.notify()
}

// readExpired is what a read reports whose deadline has passed.
func (s *session) readExpired(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readingEnded {
		return io.EOF
	}
	return err
}

// endSessions gives all sessions a last cookie, and ends them.
func (srv *Server) endSessions() {
	var wg sync.WaitGroup
	for _, session := range srv.served() {
		wg.Go(func() {
			srv.guard(func() { srv.sendLastCookie(session) })
			_ = session.Close() // its handler may have done so
		})
	}
	wg.Wait()
}

func (srv *Server) served() []*Socket {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Keys(srv.sessions))
}

// Shutdown ends the Server without losing an answer. The PE leaves its pool, so that no more PUs come. Then
// reading a session gives io.EOF: its handler answers the request that it has, and returns, whereupon
// the session's PU gets the last cookie and goes over to another PE. Shutdown waits until all
// handlers have returned. When ctx ends first, all other sessions get their last cookies and end at once, and
// the error is ctx's; Serve still waits for their handlers. Any other error means that the registrar may
// find out only by itself that the PE is gone.
func (srv *Server) Shutdown(ctx context.Context) error {
	r := srv.close()
	if r == nil {
		return nil
	}
	leaving, cancel := context.WithTimeout(ctx, closeTimeout) // no registrar must not take the handlers' time
	defer cancel()
	err := r.listener.DeregisterPE(leaving)
	if errors.Is(err, ErrNoRole) {
		err = nil // it was in no pool
	}
	_ = r.listener.Close() // Serve may have closed it
	select {
	case <-r.done:
		return err
	case <-ctx.Done():
		r.cancel(ErrServerClosed)
		return ctx.Err()
	}
}

// Close ends the Server at once: its sessions end gracefully, but without a last cookie, and the PE
// leaves its pool, which takes a second at most. It does not wait for the handlers, as Serve does.
func (srv *Server) Close() error {
	r := srv.close()
	if r == nil {
		return nil
	}
	for _, session := range srv.served() {
		_ = session.Close()
	}
	r.cancel(ErrServerClosed)
	if err := r.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// close makes Serve, also one that is called later, return ErrServerClosed.
func (srv *Server) close() *run {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.closing = true
	return srv.running
}

func (srv *Server) log() *slog.Logger {
	if srv.Logger != nil {
		return srv.Logger
	}
	return slog.Default()
}
