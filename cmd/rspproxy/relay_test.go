package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

// listen serves TCP connections until the test ends, and returns the address.
func listen(t testing.TB, handler func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { handler(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}

// waitFor waits until ok is true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s after 20 s", what)
		}
	}
}

// startUser runs a proxy PU on real sockets and returns its address.
func startUser(t testing.TB, s *scope, idle time.Duration) (addr string, u *user) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := &options{pool: testPool, maxConnections: 1000, connectTimeout: 5 * time.Second, idle: idle}
	u = newUser(ctx, o, s.endpoint(rsp.Config{StaleCache: time.Second}), ln, new(traffic), testLog(t))
	ended := make(chan error, 1)
	go func() { ended <- u.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), u
}

// proxied is a connection through a proxy PU to a service of basic mode, or of sessions.
func proxied(t *testing.T, sessions bool, handler func(net.Conn)) (net.Conn, *user) {
	t.Helper()
	s := newScope(t, rsp.TCPMapping)
	if sessions {
		pe, err := s.endpoint(rsp.Config{}).Listen(t.Context(), testPool, rsp.PE{})
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				c, err := pe.Accept()
				if err != nil {
					return
				}
				serving.Go(func() { handler(c) })
			}
		})
		t.Cleanup(func() {
			pe.Close()
			serving.Wait()
		})
	} else {
		s.register(1, listen(t, handler), rsp.Policy{})
	}
	addr, u := startUser(t, s, time.Minute)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c, u
}

// Bytes arrive as they were sent, few and many, in both directions at once: by reading and writing, by splicing and
// by large buffers.
func TestRelayBytes(t *testing.T) {
	for name, sessions := range map[string]bool{"TCP": false, "sessions": true} {
		t.Run(name, func(t *testing.T) {
			c, u := proxied(t, sessions, func(c net.Conn) { // echoes
				defer c.Close()
				io.Copy(c, c)
			})
			sent := make([]byte, 8<<20)
			source := rand.NewChaCha8([32]byte{1})
			source.Read(sent)
			wrote := make(chan error, 1)
			go func() {
				for rest := sent; len(rest) > 0; {
					n := min(len(rest), 1+rand.IntN(1<<(1+rand.IntN(18))))
					if _, err := c.Write(rest[:n]); err != nil {
						wrote <- err
						return
					}
					rest = rest[n:]
				}
				wrote <- nil
			}()
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, sent) {
				t.Error("other bytes have come back")
			}
			c.Close()
			waitFor(t, "end of the connection", func() bool { return u.traffic.open.Load() == 0 })
			if sent, received := u.traffic.sent.Load(), u.traffic.received.Load(); sent != 8<<20 || received != 8<<20 {
				t.Errorf("%d and %d bytes were counted", sent, received)
			}
		})
	}
}

// Who has sent all says so, and gets the answer: a server of TCP learns of it, a session is heard for a while.
func TestRelayHalfClose(t *testing.T) {
	t.Run("TCP", func(t *testing.T) {
		c, _ := proxied(t, false, func(c net.Conn) {
			defer c.Close()
			all, err := io.ReadAll(c)
			if err == nil {
				c.Write(append(all, " was all"...))
			}
		})
		c.Write([]byte("this"))
		c.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(c); string(got) != "this was all" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("server first", func(t *testing.T) {
		read := make(chan string, 1)
		c, _ := proxied(t, false, func(c net.Conn) {
			defer c.Close()
			c.Write([]byte("hello"))
			c.(*net.TCPConn).CloseWrite()
			all, _ := io.ReadAll(c)
			read <- string(all)
		})
		if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		c.Write([]byte("still here"))
		c.Close()
		if got := <-read; got != "still here" {
			t.Errorf("the server has read %q", got)
		}
	})
	t.Run("session", func(t *testing.T) {
		goOn := make(chan bool)
		c, _ := proxied(t, true, func(c net.Conn) {
			defer c.Close()
			buf := make([]byte, 100)
			n, _ := c.Read(buf)
			<-goOn
			c.Write(buf[:n])
		})
		c.Write([]byte("this"))
		c.(*net.TCPConn).CloseWrite()
		close(goOn)
		if got, err := io.ReadAll(c); string(got) != "this" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A server that is lost in the middle is no end in good order for its client, nor a client for its server.
func TestRelayAbort(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		c, _ := proxied(t, false, func(c net.Conn) {
			c.Read(make([]byte, 10))
			c.Write([]byte("a part"))
			abort(c)
		})
		c.Write([]byte("x"))
		if got, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q, %v, want a reset", got, err)
		}
	})
	t.Run("client", func(t *testing.T) {
		read := make(chan error, 1)
		begun := make(chan bool)
		c, _ := proxied(t, false, func(c net.Conn) {
			defer c.Close()
			c.Read(make([]byte, 10))
			close(begun)
			_, err := c.Read(make([]byte, 10))
			read <- err
		})
		c.Write([]byte("x"))
		<-begun
		abort(c)
		if err := <-read; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server has read %v, want a reset", err)
		}
	})
}
