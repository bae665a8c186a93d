package rsp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// SessionID tells the sessions of a Socket from each other that receives from all of them (RFC
// 6458 section 3). It means nothing to others; the first is 1, none is used again.
type SessionID uint32

// ErrNoSession: the Socket has no session with that SessionID, or has it no more.
var ErrNoSession = errors.New("no such session")

// oneToMany makes a listening Socket receive from all its sessions:
//
//	accept ──▶ a reader per session ──▶ ready ──▶ RecvMsg
//	  │                                   ▲
//	  └─────────── SessionAdded ──────────┘
//
// All of them wait until what they have is taken: a user who does not receive makes the PUs wait,
// and no more sessions are accepted. It owns their goroutines, which stop ends.
type oneToMany struct {
	listener *Socket
	ctx      context.Context // that of the PE's role
	wg       sync.WaitGroup
	ready    chan *manySession

	receiving semaphore
	current   *manySession // has more for the next call; guarded by receiving

	mu       sync.Mutex
	stopped  bool
	last     SessionID
	sessions map[SessionID]*manySession
}

// manySession is one of the sessions. What it has received belongs to the receiver from ready
// to taken, else to its own goroutine.
type manySession struct {
	id     SessionID
	socket *Socket
	taken  chan struct{}
	data   []byte
	info   MsgInfo
}

// manyBuffer is the memory that each session has for the beginning of a message; the rest goes straight
// to the user's.
const manyBuffer = 2 << 10

// startOneToMany returns a PE's oneToMany, which starts with the first call; nil for any other
// Socket.
func (s *Socket) startOneToMany() *oneToMany {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.pe == nil:
		return nil
	case s.pe.many != nil || s.closed:
		return s.pe.many
	}
	m := &oneToMany{
		listener: s, ctx: s.pe.ctx, ready: make(chan *manySession),
		receiving: newSemaphore(), sessions: make(map[SessionID]*manySession),
	}
	m.wg.Go(m.accept)
	s.pe.many = m
	return m
}

// Session returns one session of a Socket that receives from all of them: to give it cookies, to
// learn of its PU, to end it. Its messages come to the listening Socket; do not receive from
// the session itself. The error is ErrNoSession if there is none.
func (s *Socket) Session(id SessionID) (*Socket, error) {
	session, err := s.sessionOf(id)
	if err != nil {
		return nil, s.peError("session", err)
	}
	return session, nil
}

func (s *Socket) sessionOf(id SessionID) (*Socket, error) {
	s.mu.Lock()
	var m *oneToMany
	if s.pe != nil {
		m = s.pe.many
	}
	s.mu.Unlock()
	if m == nil {
		return nil, ErrNoSession
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	ms := m.sessions[id]
	if ms == nil {
		return nil, ErrNoSession
	}
	return ms.socket, nil
}

// accept takes sessions in, each when the user has taken the one before.
func (m *oneToMany) accept() {
	for {
		socket, err := m.listener.acceptNext(m.ctx, m.listener.endpoint.log)
		if err != nil {
			return // the user learns of the end from ctx
		}
		ms := m.add(socket)
		if ms == nil || !m.tell(ms, &Notification{Type: SessionAdded, Session: ms.id}) {
			return
		}
		m.wg.Go(func() { m.read(ms) })
	}
}

// add returns nil, and ends the session, if the Socket has been closed.
func (m *oneToMany) add(socket *Socket) *manySession {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		_ = socket.Close()
		return nil
	}
	m.last++
	ms := &manySession{id: m.last, socket: socket, taken: make(chan struct{})}
	m.sessions[ms.id] = ms
	return ms
}

func (m *oneToMany) remove(ms *manySession) {
	m.mu.Lock()
	delete(m.sessions, ms.id)
	m.mu.Unlock()
	_ = ms.socket.Close() // the user may have done so
}

// read is the goroutine of one session.
func (m *oneToMany) read(ms *manySession) {
	defer m.remove(ms)
	buf := make([]byte, manyBuffer)
	for {
		// What ends ctx ends the session, too, or leaves it to Close.
		n, info, err := ms.socket.session.recv(context.Background(), buf)
		if err != nil {
			m.tell(ms, &Notification{Type: SessionRemoved, Session: ms.id, Err: err})
			return
		}
		info.Session = ms.id
		ms.data, ms.info = buf[:n], info
		if !m.offer(ms) {
			return
		}
	}
}

func (m *oneToMany) tell(ms *manySession, n *Notification) bool {
	ms.data, ms.info = nil, MsgInfo{EOR: true, Session: ms.id, Notification: n}
	return m.offer(ms)
}

// offer waits until the user has taken what ms has received. It reports false if nobody
// will.
func (m *oneToMany) offer(ms *manySession) bool {
	select {
	case m.ready <- ms:
	case <-m.ctx.Done():
		return false
	}
	select {
	case <-ms.taken:
		return true
	case <-m.ctx.Done():
		return false
	}
}

func (m *oneToMany) recvMsg(ctx context.Context, b []byte) (int, MsgInfo, error) {
	if len(b) == 0 {
		return 0, MsgInfo{}, m.listener.peError("receive", io.ErrShortBuffer)
	}
	if err := m.receiving.acquire(ctx); err != nil {
		return 0, MsgInfo{}, m.listener.peError("receive", err)
	}
	defer m.receiving.release()
	n, info, err := m.recv(ctx, b)
	if err != nil {
		err = m.listener.peError("receive", err)
	}
	return n, info, err
}

// recv takes from the session whose message has been begun, else from any that is ready.
func (m *oneToMany) recv(ctx context.Context, b []byte) (int, MsgInfo, error) {
	select {
	case <-m.ctx.Done(): // what current has is its own again
		return 0, MsgInfo{}, context.Cause(m.ctx)
	default:
	}
	begun := m.current != nil
	if !begun {
		select {
		case m.current = <-m.ready:
		case <-ctx.Done():
			return 0, MsgInfo{}, ctx.Err()
		case <-m.ctx.Done():
			return 0, MsgInfo{}, context.Cause(m.ctx)
		}
	}
	ms := m.current
	if begun && len(ms.data) == 0 {
		return m.recvRest(ctx, ms, b)
	}
	n, info := copy(b, ms.data), ms.info
	ms.data = ms.data[n:]
	info.EOR = info.EOR && len(ms.data) == 0
	if info.EOR {
		m.letGo()
	}
	return n, info, nil
}

// recvRest receives more of a message whose beginning was longer than manyBuffer.
func (m *oneToMany) recvRest(ctx context.Context, ms *manySession, b []byte) (int, MsgInfo, error) {
	n, info, err := ms.socket.session.recv(ctx, b)
	info.Session = ms.id
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, info, err
	case err != nil: // the end is told by SessionRemoved
		m.letGo()
		return 0, info, io.ErrUnexpectedEOF
	case info.EOR:
		m.letGo()
	}
	return n, info, nil
}

// letGo lets the session that was received from receive again.
func (m *oneToMany) letGo() {
	select {
	case m.current.taken <- struct{}{}:
	case <-m.ctx.Done():
	}
	m.current = nil
}

// stop ends all sessions, after the PE's role has ended, and waits for the goroutines.
func (m *oneToMany) stop(endSession func(*Socket) error) error {
	m.mu.Lock()
	m.stopped = true
	var sockets []*Socket
	for _, ms := range m.sessions {
		sockets = append(sockets, ms.socket)
	}
	m.mu.Unlock()
	var errs []error
	for _, socket := range sockets {
		if err := endSession(socket); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	m.wg.Wait()
	return errors.Join(errs...)
}
