package rsp_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/simnet"
)

// scope is an operation scope on a network in memory, for tests in a synctest bubble: every
// part is a host of its own.
type scope struct {
	t     *testing.T
	net   *simnet.Network
	hosts int
	rules map[uint32]rsp.Rule // of the registrar
	reg   *rsp.Registrar
	addr  string

	registrarHost *simnet.Host
}

const latency = time.Millisecond

// newScope starts a registrar on 10.0.0.1.
func newScope(t *testing.T) *scope {
	s := &scope{t: t, net: simnet.New(simnet.Config{Latency: latency})}
	s.registrarHost = s.host()
	s.startRegistrar(s.registrarHost)
	return s
}

func (s *scope) host() *simnet.Host {
	s.hosts++
	return s.net.Host(fmt.Sprintf("10.0.%d.%d", s.hosts/256, s.hosts%256))
}

func (s *scope) startRegistrar(h *simnet.Host) {
	s.t.Helper()
	s.addr = h.Addrs()[0].String() + ":3863"
	s.reg = rsp.NewRegistrarOn(rsp.RegistrarConfig{Address: s.addr, Rules: s.rules, Logger: testLog(s.t, "registrar")}, h)
	if err := s.reg.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	reg := s.reg
	s.t.Cleanup(func() { reg.Abort() })
}

// endpoint makes a program on h.
func (s *scope) endpoint(name string, h *simnet.Host, cfg rsp.Config) *rsp.Endpoint {
	s.t.Helper()
	if cfg.Registrars == nil {
		cfg.Registrars = []string{s.addr}
	}
	if cfg.Logger == nil {
		cfg.Logger = testLog(s.t, name)
	}
	e, err := rsp.NewEndpointOn(cfg, h)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(e.Abort)
	return e
}

// testPE is a pool element that echoes what it gets, and keeps what it saw.
type testPE struct {
	*rsp.Endpoint
	host   *simnet.Host
	socket *rsp.Socket
	got    chan string // messages, cookie echoes as "cookie ..."
	cookie string      // given after each message, unless empty
	silent bool        // does not echo
	deaf   bool        // does not even read
	// replies, unless nil, are what its messages are answered with, in turn; then it is silent.
	replies []string

	sessions atomic.Int32 // accepted
}

func (s *scope) pe(name string, id rsp.PEID, set func(*testPE)) *testPE {
	s.t.Helper()
	pe := &testPE{host: s.host(), got: make(chan string, 1000)}
	if set != nil {
		set(pe)
	}
	pe.Endpoint = s.endpoint(name, pe.host, rsp.Config{})
	var err error
	if pe.socket, err = pe.Listen(s.t.Context(), "EchoPool", rsp.PE{ID: id}); err != nil {
		s.t.Fatal(err)
	}
	go pe.serve()
	return pe
}

func (pe *testPE) serve() {
	for {
		session, err := pe.socket.AcceptSocket(context.Background())
		if err != nil {
			return
		}
		pe.sessions.Add(1)
		go pe.echo(session)
	}
}

func (pe *testPE) echo(session *rsp.Socket) {
	if pe.deaf {
		return
	}
	defer session.Close()
	buf := make([]byte, 1<<20)
	for {
		n, info, err := session.RecvFullMsg(context.Background(), buf)
		if err != nil {
			return
		}
		if info.CookieEcho {
			pe.got <- "cookie " + string(buf[:n])
			continue
		}
		pe.got <- string(buf[:n])
		reply := buf[:n]
		switch {
		case pe.silent, pe.replies != nil && len(pe.replies) == 0:
			continue
		case pe.replies != nil:
			reply, pe.replies = []byte(pe.replies[0]), pe.replies[1:]
		}
		if session.SendMsg(context.Background(), reply, rsp.MsgInfo{PPID: info.PPID, Stream: info.Stream}) != nil {
			return
		}
		if pe.cookie != "" && session.SendCookie(context.Background(), []byte(pe.cookie)) != nil {
			return
		}
	}
}

// die ends the pool element as if its process had been killed, and waits until all
// have noticed: what is sent to it before that is lost.
func (pe *testPE) die() {
	pe.Abort()
	time.Sleep(10 * latency)
}

// connect opens a session from a new host.
func (s *scope) connect(d rsp.Dialer) *rsp.Socket {
	s.t.Helper()
	if d.Endpoint == nil {
		d.Endpoint = s.endpoint("pu", s.host(), rsp.Config{})
	}
	session, err := d.Connect(s.t.Context(), "EchoPool")
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// exchange sends a message and wants it back from PE id.
func exchange(t *testing.T, session *rsp.Socket, text string, id rsp.PEID) {
	t.Helper()
	if err := session.SendMsg(t.Context(), []byte(text), rsp.MsgInfo{}); err != nil {
		t.Fatalf("sending %q: %v", text, err)
	}
	wantMsg(t, session, text, id)
}

func wantMsg(t *testing.T, session *rsp.Socket, text string, id rsp.PEID) {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, info, err := session.RecvFullMsg(t.Context(), buf)
	if err != nil || string(buf[:n]) != text || info.PE != id || info.Notification != nil {
		t.Fatalf("received %q from PE %v (%v), %v; want %q from PE %v", buf[:n], info.PE, info.Notification, err, text, id)
	}
}

func wantNotification(t *testing.T, session *rsp.Socket, want string) {
	t.Helper()
	n, info, err := session.RecvMsg(t.Context(), make([]byte, 100))
	if err != nil || n != 0 || info.Notification == nil || info.Notification.String() != want {
		t.Fatalf("received %d bytes, notification %v, %v; want %q", n, info.Notification, err, want)
	}
}

func testLog(t *testing.T, who string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil)).With("who", who)
}

func debugLog(t *testing.T, who string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("who", who)
}
