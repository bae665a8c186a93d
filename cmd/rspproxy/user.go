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

	mu      sync.Mutex
	clients map[net.Conn]bool
	served  sync.WaitGroup
}

// runUser is the program with -listen.
func runUser(ctx context.Context, o *options, endpoint *rsp.Endpoint, traffic *traffic, log *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	u := &user{
		pool: &pool{
			ctx: ctx, endpoint: endpoint, handle: o.pool,
			dialer:         rsp.Dialer{Endpoint: endpoint, Failover: rsp.FailoverNone, ConnectTimeout: o.connectTimeout},
			connectTimeout: o.connectTimeout, patience: patience,
			dial: (&net.Dialer{}).DialContext, log: log, suspects: make(map[rsp.PEID]bool),
		},
		listener: listener, slots: make(chan struct{}, o.maxConnections), idle: o.idle, drain: o.drain,
		traffic: traffic, log: log, clients: make(map[net.Conn]bool),
	}
	log.Info("proxy PU is running", "address", listener.Addr())
	err = u.run(ctx)
	log.Info("proxy PU has ended", "traffic", traffic)
	return err
}

// patience is how long a client waits for an element of the pool.
const patience = 5 * time.Second

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
		u.abortAll()
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
			u.add(client)
			u.served.Go(func() {
				defer func() { <-u.slots }()
				defer u.remove(client)
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
		if lost, held = r.run(held); lost {
			u.traffic.moved.Add(1)
			avoid[id] = true
		}
	}
}

func (u *user) add(client net.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clients[client] = true
}

func (u *user) remove(client net.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.clients, client)
}

// abortAll ends all connections. Their relays end the other sides.
func (u *user) abortAll() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for client := range u.clients {
		abort(client)
	}
}
