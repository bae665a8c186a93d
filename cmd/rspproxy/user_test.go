package main

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

const (
	addrA = "127.0.0.1:1001"
	addrB = "127.0.0.1:1002"
	addrC = "127.0.0.1:1003"
)

// Connections go to the elements by the pool's policy, and each stays where it is.
func TestUserSpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		var conns []net.Conn
		for i, addr := range []string{addrA, addrB, addrC} {
			u.net.serve(addr, echo(addr))
			u.register(rsp.PEID(i+1), addr, rsp.Policy{})
		}
		answers := make(map[string]int)
		for range 9 {
			c := u.listener.connect()
			defer c.Close()
			conns = append(conns, c)
			answers[ask(t, c, "x")]++
		}
		for _, addr := range []string{addrA, addrB, addrC} {
			if answers[addr+" x"] != 3 {
				t.Errorf("answers: %v, want 3 of each", answers)
			}
		}
		for _, c := range conns {
			first := ask(t, c, "y")
			for range 5 {
				if again := ask(t, c, "y"); again != first {
					t.Errorf("%q, then %q", first, again)
				}
			}
		}
	})
}

// A client of a pool whose element refuses gets the next one at once. The element is reported, left out while it
// cannot be reached, and used again when it can.
func TestUserNextElement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		u.net.serve(addrB, echo("B"))
		u.register(1, addrA, rsp.Priority(2)) // the preferred one
		u.register(2, addrB, rsp.Priority(1))
		start := time.Now()
		for range 20 {
			c := u.listener.connect()
			if got := ask(t, c, "x"); got != "B x" {
				t.Fatalf("%q, want B's answer", got)
			}
			c.Close()
		}
		if took := time.Since(start); took > 10*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if n := u.net.dialed(addrA); n != 1 {
			t.Errorf("A was dialed %d times for 20 connections, want 1", n)
		}
		if n := u.registrar.Stats().FailureReports; n != 1 {
			t.Errorf("%d failure reports, want 1", n)
		}
		u.net.serve(addrA, echo("A"))
		time.Sleep(probeInterval + 10*time.Millisecond)
		c := u.listener.connect()
		defer c.Close()
		if got := ask(t, c, "x"); got != "A x" {
			t.Errorf("when A is back: %q, want A's answer", got)
		}
	})
}

// A suspect is reported each time that it is not reached, until the registrar takes it out of the pool; then
// nobody goes there any more.
func TestUserReportsUntilGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		u.net.serve(addrB, echo("B"))
		u.register(1, addrA, rsp.Priority(2))
		u.register(2, addrB, rsp.Priority(1))
		c := u.listener.connect()
		defer c.Close()
		ask(t, c, "x")
		time.Sleep(5 * time.Second)
		if els := u.elements(); len(els) != 1 || els[0].ID != 2 {
			t.Errorf("the pool is %+v, want element 2 alone", els)
		}
		n := u.net.dialed(addrA)
		time.Sleep(10 * time.Second)
		if again := u.net.dialed(addrA); again != n || n > 5 {
			t.Errorf("A was dialed %d times, and then %d", n, again)
		}
		u.user.pool.mu.Lock()
		defer u.user.pool.mu.Unlock()
		if n := len(u.user.pool.suspects); n != 0 {
			t.Errorf("%d suspects are left", n)
		}
	})
}

// An element that ends the connection before either side has got a byte is no element for this client: it gets
// another one and does not notice, also if it has spoken meanwhile.
func TestUserMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		release := make(chan bool)
		u.net.serve(addrA, func(c net.Conn) {
			<-release
			c.Close()
		})
		u.net.serve(addrB, echo("B"))
		u.register(1, addrA, rsp.Priority(2))
		u.register(2, addrB, rsp.Priority(1))

		silent := u.listener.connect()
		defer silent.Close()
		talking := u.listener.connect()
		defer talking.Close()
		answer := make(chan string)
		go func() { answer <- ask(t, talking, "x") }()
		synctest.Wait()
		close(release) // what talking has said is read by the proxy, and not by A
		if got := <-answer; got != "B x" {
			t.Errorf("%q, want B's answer", got)
		}
		if got := ask(t, silent, "y"); got != "B y" {
			t.Errorf("%q, want B's answer", got)
		}
		if n := u.user.traffic.moved.Load(); n != 2 {
			t.Errorf("%d connections have moved, want 2", n)
		}
	})
}

// Once something was said, a connection ends with its element.
func TestUserSticks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		u.net.serve(addrA, func(c net.Conn) {
			defer c.Close()
			c.Read(make([]byte, 100))
		})
		u.net.serve(addrB, echo("B"))
		u.register(1, addrA, rsp.Priority(2))
		u.register(2, addrB, rsp.Priority(1))
		c := u.listener.connect()
		defer c.Close()
		if got := ask(t, c, "x"); got != io.EOF.Error() {
			t.Errorf("%q, want the end", got)
		}
	})
}

// Where all elements close at once, so does the proxy: it does not go round and round.
func TestUserAllClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		for i, addr := range []string{addrA, addrB} {
			u.net.serve(addr, func(c net.Conn) { c.Close() })
			u.register(rsp.PEID(i+1), addr, rsp.Policy{})
		}
		c := u.listener.connect()
		defer c.Close()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%v, want the end", err)
		}
		if a, b := u.net.dialed(addrA), u.net.dialed(addrB); a != 1 || b != 1 {
			t.Errorf("dialed %d and %d times, want once each", a, b)
		}
	})
}

// A client waits for a pool that is empty, for a while.
func TestUserWaitsForPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		u.net.serve(addrA, echo("A"))
		c := u.listener.connect()
		defer c.Close()
		time.Sleep(patience / 2)
		u.register(1, addrA, rsp.Policy{})
		if got := ask(t, c, "x"); got != "A x" {
			t.Errorf("%q, want A's answer", got)
		}
		u.net.serve(addrA, nil)
		start := time.Now()
		late := u.listener.connect()
		defer late.Close()
		if _, err := late.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != patience {
			t.Errorf("%v after %v, want the end after %v", err, time.Since(start), patience)
		}
		if n := u.user.traffic.unserved.Load(); n != 1 {
			t.Errorf("%d unserved, want 1", n)
		}
	})
}

// Without a registrar, clients are served by what is known of the pool: the first one after a short time, the others
// at once.
func TestUserOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		u.net.serve(addrA, echo("A"))
		u.register(1, addrA, rsp.Policy{})
		connect := func() time.Duration {
			start := time.Now()
			c := u.listener.connect()
			defer c.Close()
			if got := ask(t, c, "x"); got != "A x" {
				t.Errorf("%q, want A's answer", got)
			}
			return time.Since(start)
		}
		connect()
		u.registrar.Abort()
		time.Sleep(time.Minute)
		if took := connect(); took > 2*registrarPatience {
			t.Errorf("the first connection took %v", took)
		}
		for range 10 {
			if took := connect(); took > time.Millisecond {
				t.Errorf("another one took %v", took)
			}
		}
	})
}

// Elements that speak the session layer are reached by sessions, also where the pool has others too.
func TestUserSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		pe, err := u.endpoint(rsp.Config{}).Listen(t.Context(), testPool, rsp.PE{ID: 7})
		if err != nil {
			t.Fatal(err)
		}
		defer pe.Close()
		go func() {
			for {
				session, err := pe.Accept()
				if err != nil {
					return
				}
				go echo("session")(session)
			}
		}()
		c := u.listener.connect()
		defer c.Close()
		if got := ask(t, c, "x"); got != "session x" {
			t.Errorf("%q, want the answer of the session", got)
		}
	})
}

// The proxy ends when its connections have, or when the time for that is over.
func TestUserDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, nil)
		u.net.serve(addrA, echo("A"))
		u.register(1, addrA, rsp.Policy{})
		c, other := u.listener.connect(), u.listener.connect()
		defer c.Close()
		ask(t, c, "x")
		ask(t, other, "x")
		start := time.Now()
		go func() {
			time.Sleep(u.user.drain / 2)
			if got := ask(t, c, "late"); got != "A late" {
				t.Errorf("while it drains: %q", got)
			}
			other.Close()
		}()
		u.stop()
		if took := time.Since(start); took != u.user.drain {
			t.Errorf("it ended after %v, want %v", took, u.user.drain)
		}
		if got := ask(t, c, "x"); got != io.ErrClosedPipe.Error() {
			t.Errorf("afterwards: %q", got)
		}
	})
}

// No more connections are served than may be; others wait until one has ended.
func TestUserLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTestUser(t, func(u *user) { u.slots = make(chan struct{}, 2) })
		u.net.serve(addrA, echo("A"))
		u.register(1, addrA, rsp.Policy{})
		conns := []net.Conn{u.listener.connect(), u.listener.connect()}
		connected := make(chan net.Conn)
		go func() { connected <- u.listener.connect() }()
		synctest.Wait()
		select {
		case <-connected:
			t.Fatal("a third connection was accepted")
		default:
		}
		conns[0].Close()
		conns = append(conns, <-connected)
		for _, c := range conns[1:] {
			if got := ask(t, c, "x"); got != "A x" {
				t.Errorf("%q, want A's answer", got)
			}
			c.Close()
		}
	})
}

// What is quiet for the idle time is ended, what is not stays.
func TestUserIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = time.Minute
		u := newTestUser(t, func(u *user) { u.idle = idle })
		u.net.serve(addrA, echo("A"))
		u.register(1, addrA, rsp.Policy{})
		quiet, busy := u.listener.connect(), u.listener.connect()
		defer busy.Close()
		ask(t, quiet, "x")
		start := time.Now()
		ended := make(chan time.Duration, 1)
		go func() {
			quiet.SetDeadline(time.Time{})
			io.Copy(io.Discard, quiet)
			ended <- time.Since(start)
		}()
		for range 10 {
			time.Sleep(idle - time.Second)
			if got := ask(t, busy, "x"); got != "A x" {
				t.Fatalf("%q, want A's answer", got)
			}
		}
		if after := <-ended; after < idle || after > idle*3/2 {
			t.Errorf("the quiet one was ended after %v", after)
		}
		if n := u.user.traffic.idle.Load(); n != 1 {
			t.Errorf("%d connections were idle, want 1", n)
		}
	})
}
