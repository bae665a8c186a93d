package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
)

// programVar makes the test binary the program.
const programVar = "RSPPROXY_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

const testPool rsp.PoolHandle = "TestPool"

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// scope is a registrar, and how to reach it.
type scope struct {
	t         testing.TB
	registrar *rsp.Registrar
	cfg       rsp.Config
}

func newScope(t testing.TB, network rsp.Network) *scope {
	t.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Abort)
	return &scope{t, r, rsp.Config{Registrars: r.Addrs()[:1], Network: network}}
}

func (s *scope) endpoint(cfg rsp.Config) *rsp.Endpoint {
	s.t.Helper()
	cfg.Registrars, cfg.Network = s.cfg.Registrars, s.cfg.Network
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(e.Abort)
	return e
}

// elements are those of the pool, as the registrar knows them.
func (s *scope) elements() []rsp.RegisteredElement {
	for _, p := range s.registrar.Pools() {
		if p.Handle == testPool {
			return p.Elements
		}
	}
	return nil
}

// memoryNet is a network for services, without the operating system: what synctest wants.
type memoryNet struct {
	mu       sync.Mutex
	services map[string]func(net.Conn)
	dials    map[string]int
}

func newMemoryNet() *memoryNet {
	return &memoryNet{services: make(map[string]func(net.Conn)), dials: make(map[string]int)}
}

// serve makes addr a service, or nil none.
func (m *memoryNet) serve(addr string, handler func(net.Conn)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.services[addr] = handler
}

func (m *memoryNet) dial(_ context.Context, network, addr string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dials[addr]++
	handler := m.services[addr]
	if handler == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	here, there := net.Pipe()
	go handler(there)
	return here, nil
}

func (m *memoryNet) dialed(addr string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dials[addr]
}

// memoryListener accepts what its user connects.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{} }

// connect is a client's net.Dial.
func (l *memoryListener) connect() net.Conn {
	here, there := net.Pipe()
	l.conns <- there
	return here
}

// testUser is a proxy PU in memory.
type testUser struct {
	*scope
	net      *memoryNet
	listener *memoryListener
	user     *user
	stop     func()
}

// newTestUser starts a proxy PU after change, which may be nil, has set it up.
func newTestUser(t *testing.T, change func(*user)) *testUser {
	t.Helper()
	s := newScope(t, rsp.InMemory)
	m, l := newMemoryNet(), newMemoryListener()
	e := s.endpoint(rsp.Config{StaleCache: time.Second, RegistrarRequestTimeout: registrarPatience, RegistrarResponseTimeout: registrarPatience})
	ctx, cancel := context.WithCancel(context.Background())
	log := testLog(t)
	u := newUser(ctx, &options{pool: testPool, maxConnections: 100, connectTimeout: time.Second, drain: time.Second}, e, l, new(traffic), log)
	u.pool.dial = m.dial
	if change != nil {
		change(u)
	}
	ended := make(chan error, 1)
	go func() { ended <- u.run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &testUser{s, m, l, u, stop}
}

// register makes the service at addr a pool element of basic mode.
func (s *scope) register(id rsp.PEID, addr string, policy rsp.Policy) *rsp.Endpoint {
	s.t.Helper()
	e := s.endpoint(rsp.Config{})
	_, err := e.RegisterElement(s.t.Context(), testPool, rsp.ElementRegistration{
		ID: id, Protocol: "tcp", Addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)}, Policy: policy,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// echo answers each message with the service's name and the message.
func echo(name string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 100)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(append([]byte(name+" "), buf[:n]...)); err != nil {
				return
			}
		}
	}
}

// ask says something on a connection and returns the answer.
func ask(t testing.TB, c net.Conn, what string) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write([]byte(what)); err != nil {
		return err.Error()
	}
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil {
		return err.Error()
	}
	return string(buf[:n])
}
