// Package servicetest runs services and their clients in memory, for tests in a synctest bubble.
package servicetest

import (
	"context"
	"errors"
	"log"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/service"
)

// Scope is an operation scope with one registrar.
type Scope struct {
	t         *testing.T
	registrar *rsp.Registrar
}

// New starts the registrar.
func New(t *testing.T) *Scope {
	t.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.InMemory, Announce: "off"})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Abort)
	return &Scope{t, r}
}

// Endpoint returns a program's part in the scope.
func (s *Scope) Endpoint() *rsp.Endpoint {
	s.t.Helper()
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: s.registrar.Addrs(), Network: rsp.InMemory, Announce: "off"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(e.Abort)
	return e
}

// Server is a pool element with a service.
type Server struct {
	Stop func() // ends it in the way of the service
	Kill func() // ends it abruptly

	mu  sync.Mutex
	out strings.Builder
}

// Write takes what the service tells.
func (s *Server) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

// Output is what the service has told.
func (s *Server) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// Serve starts a pool element with a service in its default pool.
func (s *Scope) Serve(id rsp.PEID, svc service.Service) *Server {
	s.t.Helper()
	e := s.Endpoint()
	listener, err := e.Listen(s.t.Context(), svc.Pool(), rsp.PE{ID: id, Policy: svc.Policy()})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server, ended := new(Server), make(chan error, 1)
	go func() { ended <- svc.Serve(ctx, listener, log.New(server, "", 0)) }()
	server.Stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) { // which it is after Kill
			s.t.Errorf("%s ends with %v", svc.Name(), err)
		}
	})
	server.Kill = e.Abort
	s.t.Cleanup(server.Stop)
	return server
}

// Connect opens a session with a pool.
func (s *Scope) Connect(pool rsp.PoolHandle, d rsp.Dialer) *rsp.Socket {
	s.t.Helper()
	d.Endpoint = s.Endpoint()
	session, err := d.Connect(s.t.Context(), pool)
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// Receive receives a message.
func (s *Scope) Receive(session *rsp.Socket) (string, rsp.MsgInfo) {
	s.t.Helper()
	buf := make([]byte, 1<<17)
	n, info, err := session.RecvFullMsg(s.t.Context(), buf)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(buf[:n]), info
}
