package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// lingering is how long a server may still answer a client that has ended its sending, if the server cannot
// be told so: a session has no half-close.
const lingering = 5 * time.Second

// relay is two connections whose bytes go from one to the other. Each is of TCP, or a session.
type relay struct {
	client, server net.Conn
	idle           time.Duration // so long without any byte ends it; 0: never
	traffic        *traffic
	moved          atomic.Int64 // bytes that either has got
	ends           atomic.Int32 // directions that have ended in good order
	answered       atomic.Bool  // client is a session, and closed behind the server's answer
	up, down       direction
}

// run moves bytes in both directions until both have ended, or one has failed, and closes both connections.
// If the server ends before either has got a byte, nobody has noticed yet: then the client stays open, for
// another relay, and held is what was read from it. It begins with what another relay has held. The end of ctx
// aborts both.
func (r *relay) run(ctx context.Context, held []byte) (lost bool, _ []byte) {
	r.up = direction{relay: r, src: r.client, dst: r.server, count: &r.traffic.sent, held: held}
	r.down = direction{relay: r, src: r.server, dst: r.client, count: &r.traffic.received}
	defer r.watch()()
	defer context.AfterFunc(ctx, r.abort)()
	defer r.server.Close()
	var up sync.WaitGroup
	up.Go(func() {
		err := r.up.copy()
		if err != nil && r.moved.Load() == 0 && !r.up.ended {
			r.server.Close() // it takes nothing; the client need not know
			return
		}
		r.end(&r.up, err)
	})
	err := r.down.copy()
	if r.moved.Load() == 0 {
		_ = r.client.SetReadDeadline(time.Unix(1, 0)) // wakes up; a client that is closed ends by itself
		up.Wait()
		_ = r.client.SetReadDeadline(time.Time{})
		if r.moved.Load() == 0 && !r.up.ended {
			return true, r.up.held
		}
	}
	r.end(&r.down, err)
	up.Wait()
	r.client.Close()
	return false, nil
}

// end passes the end of a direction on to the one who has received: as an end if the sender has ended in good
// order, else as a failure of all.
func (r *relay) end(d *direction, err error) {
	if err != nil {
		r.abort()
		return
	}
	if r.ends.Add(1) == 2 {
		return // both are about to be closed
	}
	// What fails here is closed or lost already, which the other direction finds out by itself.
	switch dst := d.dst.(type) {
	case interface{ CloseWrite() error }:
		_ = dst.CloseWrite()
	default: // a session
		if d == &r.up {
			_ = dst.SetReadDeadline(time.Now().Add(lingering))
			return
		}
		r.answered.Store(true)
		_ = dst.Close()
	}
}

// watch aborts both connections when nothing was moved for the idle time, or up to a half more: it looks
// twice in it.
func (r *relay) watch() (stop func()) {
	if r.idle == 0 {
		return func() {}
	}
	var timer *time.Timer
	var mu sync.Mutex // the timer is there before its function runs
	mu.Lock()
	defer mu.Unlock()
	seen, quiet := int64(0), 0
	timer = time.AfterFunc(r.idle/2, func() {
		mu.Lock()
		defer mu.Unlock()
		if moved := r.moved.Load(); moved != seen {
			seen, quiet = moved, 0
		} else if quiet++; quiet == 2 {
			r.traffic.idle.Add(1)
			r.abort()
			return
		}
		timer.Reset(r.idle / 2)
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}

func (r *relay) abort() {
	abort(r.client)
	abort(r.server)
}

// abort closes a connection so that the other side does not take it for an end in good order.
func abort(c net.Conn) {
	switch c := c.(type) {
	case *net.TCPConn:
		_ = c.SetLinger(0) // it may be closed already
		_ = c.Close()
	case interface{ Abort() error }:
		_ = c.Abort()
	default:
		_ = c.Close()
	}
}
