package rsp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/rserpool/rsp"
)

// tcpPipe returns the two ends of a TCP connection.
func tcpPipe(t *testing.T) (dialed, accepted net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if dialed, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

// tlsPipe returns the two ends of a TLS connection.
func tlsPipe(t *testing.T) (client, server net.Conn) {
	https := httptest.NewTLSServer(nil) // has a certificate
	certificates := https.TLS.Certificates
	https.Close()
	dialed, accepted := tcpPipe(t)
	return tls.Client(dialed, &tls.Config{InsecureSkipVerify: true}), tls.Server(accepted, &tls.Config{Certificates: certificates})
}

// sessions makes both ends of a connection sessions.
func sessions(t *testing.T, e *rsp.Endpoint, a, b net.Conn) (*rsp.Socket, *rsp.Socket) {
	t.Helper()
	type result struct {
		s   *rsp.Socket
		err error
	}
	far := make(chan result, 1)
	go func() {
		s, err := e.FromConn(ctx(), b)
		far <- result{s, err}
	}()
	near, err := e.FromConn(ctx(), a)
	r := <-far
	if err := errors.Join(err, r.err); err != nil {
		t.Fatal(err)
	}
	return near, r.s
}

func endpointOverTCP(t *testing.T, registrars ...string) *rsp.Endpoint {
	t.Helper()
	if registrars == nil {
		registrars = []string{"127.0.0.1:1"} // nobody asks
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: registrars, Network: rsp.TCPMapping, Logger: testLog(t, "endpoint")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	return e
}

// A session over a connection of the caller's own is a net.Conn in every respect, whatever it goes over.
func TestFromConnIsNetConn(t *testing.T) {
	for name, pipe := range map[string]func(t *testing.T) (net.Conn, net.Conn){
		"TCP":      tcpPipe,
		"TLS":      tlsPipe,
		"net.Pipe": func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() },
	} {
		t.Run(name, func(t *testing.T) {
			e := endpointOverTCP(t)
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				a, b := pipe(t)
				near, far := sessions(t, e, a, b)
				return near, far, func() { near.Close(); far.Close() }, nil
			})
		})
	}
}

// Messages keep their borders and PPIDs over TLS, cookies go the other way, and a deadline that interrupts
// a Send breaks nothing.
func TestFromConnOverTLS(t *testing.T) {
	e := endpointOverTCP(t)
	client, server := tlsPipe(t)
	near, far := sessions(t, e, client, server)
	defer near.Close()
	defer far.Close()
	// More than TLS and TCP take: nobody reads yet.
	message := make([]byte, 10_000)
	near.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	sent := 0
	for ; ; sent++ {
		message[0] = byte(sent)
		if err := near.SendMsg(ctx(), message, rsp.MsgInfo{PPID: rsp.PPID(100 + sent)}); err != nil {
			if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
				t.Fatal(err)
			}
			break
		}
	}
	near.SetWriteDeadline(time.Time{})
	buf := make([]byte, 1<<16)
	for i := range sent {
		n, info, err := far.RecvFullMsg(ctx(), buf)
		if err != nil || n != len(message) || buf[0] != byte(i) || info.PPID != rsp.PPID(100+i) {
			t.Fatalf("message %d of %d: %d bytes, %+v, %v", i, sent, n, info, err)
		}
	}
	if err := near.SendMsg(ctx(), []byte("more"), rsp.MsgInfo{}); err != nil {
		t.Fatal(err)
	}
	wantMsg(t, far, "more", 0)
	if err := far.SendCookie(ctx(), []byte("state")); err != nil {
		t.Fatal(err)
	}
	if err := far.SendMsg(ctx(), []byte("answer"), rsp.MsgInfo{}); err != nil {
		t.Fatal(err)
	}
	wantMsg(t, near, "answer", 0)
	if !near.HasCookie() {
		t.Error("no cookie")
	}
	far.Close()
	if _, err := near.Read(buf); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// A PE may accept by a listener of its own. For its PUs it is as good as any, in failovers too.
func TestFromConnAsPE(t *testing.T) {
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.TCPMapping})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Shutdown(context.Background())
	got := map[rsp.PEID]chan string{1: make(chan string, 100), 2: make(chan string, 100)}
	serve := func(id rsp.PEID) (stop func()) {
		e := endpointOverTCP(t, r.Addrs()...)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.RegisterElement(t.Context(), "EchoPool", rsp.ElementRegistration{
			ID: id, Protocol: "tcp", ControlChannel: true, Addrs: []netip.AddrPort{ln.Addr().(*net.TCPAddr).AddrPort()},
		}); err != nil {
			t.Fatal(err)
		}
		pe := &testPE{got: got[id], cookie: "state"}
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				session, err := e.FromConn(context.Background(), conn)
				if err != nil {
					continue
				}
				go pe.echo(session)
			}
		}()
		return func() {
			ln.Close()
			e.Abort()
		}
	}
	stop := map[rsp.PEID]func(){1: serve(1), 2: serve(2)}
	d := rsp.Dialer{Endpoint: endpointOverTCP(t, r.Addrs()...)}
	session, err := d.Connect(t.Context(), "EchoPool")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	first := session.PeerPE()
	exchange(t, session, "hello", first)
	exchange(t, session, "hello", first) // the cookie that follows the first answer has come
	stop[first]()
	if err := session.ForceFailover(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if first := <-got[3-first]; first != "cookie state" {
		t.Errorf("the second PE got %q first, want the cookie", first)
	}
	exchange(t, session, "hello again", 3-first)
	stop[3-first]()
}

// A peer that speaks something else, or nothing, is an error, and the connection is closed.
func TestFromConnErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("e", s.host(), rsp.Config{})
		wantClosed := func(why string, far net.Conn) {
			t.Helper()
			if _, err := io.Copy(io.Discard, far); err != nil {
				t.Errorf("%s: the far end gets %v, want its end", why, err)
			}
		}
		near, far := net.Pipe()
		go io.WriteString(far, "GET / HTTP/1.1\r\n")
		go io.CopyN(io.Discard, far, 4)
		if _, err := e.FromConn(ctx(), near); err == nil {
			t.Error("HTTP: no error")
		}
		wantClosed("HTTP", far)

		near, far = net.Pipe()
		start := time.Now()
		if _, err := e.FromConn(ctx(), near); err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("silence: %v after %v", err, time.Since(start))
		}
		wantClosed("silence", far)

		near, far = net.Pipe()
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		if _, err := e.FromConn(short, near); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context: %v", err)
		}
		wantClosed("context", far)

		e.Close()
		near, far = net.Pipe()
		go s.endpoint("far", s.host(), rsp.Config{}).FromConn(ctx(), far)
		if _, err := e.FromConn(ctx(), near); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed Endpoint: %v", err)
		}
		synctest.Wait()
	})
}
