package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

// user is a proxy PU: it is a pool user for clients that know nothing of RSerPool (RFC 3237 section 2.6).
//
//	client ──▶ accept ──▶ pool.connect ──▶ relay until both have ended
//	                           ▲             │
//	                           └─────────────┘ the element has ended before anything was said
type user struct {
	pool     *pool
	listener net.Listener
	slots    chan struct{} // one for each connection that may be open
	idle     time.Duration
	drain    time.Duration
	traffic  *traffic
	log      *slog.Logger
	served   sync.WaitGroup
}

// runUser is the program with -listen.
func runUser(ctx context.Context, o *options, endpoint *rsp.Endpoint, traffic *traffic, log *slog.Logger) error {
	// Four system calls less for each connection: a client that has gone silently is found by -idle.
	listener, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	log.Info("proxy PU is running", "address", listener.Addr())
	err = newUser(ctx, o, endpoint, listener, traffic, log).run(ctx)
	log.Info("proxy PU has ended", "traffic", traffic)
	return err
}

// newUser returns a proxy PU whose probes of pool elements end with ctx.
func newUser(ctx context.Context, o *options, endpoint *rsp.Endpoint, listener net.Listener, traffic *traffic, log *slog.Logger) *user {
	return &user{
		pool: &pool{
			ctx: ctx, endpoint: endpoint, handle: o.pool,
			// A client takes the end of its connection for what it is: no other element can go on with it.
			dialer: rsp.Dialer{Endpoint: endpoint, Failover: rsp.FailoverNone, ConnectTimeout: o.connectTimeout},
			dial:   (&net.Dialer{Timeout: o.connectTimeout}).DialContext,
			log:    log, suspects: make(map[rsp.PEID]bool),
		},
		listener: listener, slots: make(chan struct{}, o.maxConnections), idle: o.idle, drain: o.drain,
		traffic: traffic, log: log,
	}
}

// run serves until ctx ends, and then those that are connected for the time of the drain.
func (u *user) run(ctx context.Context) error {
	serving, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	stop := context.AfterFunc(ctx, func() { u.listener.Close() })
	defer stop()
	err := u.accept(ctx, serving)
	u.listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.served.Wait()
		u.pool.probes.Wait()
	}()
	timeout := time.NewTimer(u.drain)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
		abandon()
		<-done
	}
	return err
}

// accept accepts connections until ctx ends or the listener fails. While as many are open as may be, others wait
// in the system's queue.
func (u *user) accept(ctx, serving context.Context) error {
	for pause := firstPause; ; {
		select {
		case u.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		client, err := u.listener.Accept()
		switch {
		case err == nil:
			pause = firstPause
			u.served.Go(func() {
				defer func() { <-u.slots }()
				u.serve(serving, client)
			})
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		<-u.slots
		u.log.Warn("cannot accept a connection", "err", err, "pause", pause) // too many files, mostly
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
}

// serve serves one connection. It stays with its pool element, unless that ends it before either side has got
// anything.
func (u *user) serve(ctx context.Context, client net.Conn) {
	u.traffic.begin()
	defer u.traffic.end()
	avoid := make(map[rsp.PEID]bool)
	var held []byte
	for lost := true; lost; {
		server, id, err := u.pool.connect(ctx, avoid)
		if err != nil {
			u.traffic.unserved.Add(1)
			u.log.Warn("no pool element for a client", "client", client.RemoteAddr(), "err", err)
			abort(client)
			return
		}
		u.log.Debug("connected", "client", client.RemoteAddr(), "pe", id, "server", server.RemoteAddr())
		r := &relay{client: client, server: server, idle: u.idle, traffic: u.traffic}
		if lost, held = r.run(ctx, held); lost {
			u.traffic.moved.Add(1)
			avoid[id] = true
		}
	}
}
