package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/rserpool/rsp"
)

// runElement is the program with -service.
func runElement(ctx context.Context, o *options, endpoint *rsp.Endpoint, traffic *traffic, log *slog.Logger) error {
	service, err := resolveService(ctx, o.service)
	if err != nil {
		return err
	}
	log.Info("proxy PE is running", "service", service, "check", o.check)
	if o.session {
		err = runRelayed(ctx, o, endpoint, service, traffic, log)
	} else {
		err = runDirect(ctx, o, endpoint, service, log)
	}
	log.Info("proxy PE has ended")
	return err
}

// resolveService gives the address of the service; an empty host is all addresses of this machine.
func resolveService(ctx context.Context, address string) (netip.AddrPort, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("-service: %w", err)
	}
	tcp, err := net.ResolveTCPAddr("tcp", address)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("-service: %w", err)
	case tcp.Port == 0:
		return netip.AddrPort{}, fmt.Errorf("-service: %q has no port", address)
	case host == "":
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(tcp.Port)), nil
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// reachable is where this machine reaches its service.
func reachable(service netip.AddrPort) netip.AddrPort {
	switch service.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), service.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), service.Port())
	}
	return service
}

// runDirect registers the service's own address: those who resolve the pool go there without a hop between.
func runDirect(ctx context.Context, o *options, endpoint *rsp.Endpoint, service netip.AddrPort, log *slog.Logger) error {
	e := newDirect(o, endpoint, service, log)
	if e.load != nil {
		if _, err := e.load(); err != nil {
			return fmt.Errorf("cannot measure the load for -policy=%v: %w", o.policy, err)
		}
	}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	events := endpoint.Events(watching)
	watch.Go(func() {
		for event := range events {
			if event.Type == rsp.EventRejected {
				e.rejected.Store(true)
			}
		}
	})
	e.run(ctx)
	stop()
	watch.Wait()
	return nil
}

// newDirect returns a proxy PE that registers the service's own address.
func newDirect(o *options, endpoint *rsp.Endpoint, service netip.AddrPort, log *slog.Logger) *element {
	e := &element{policy: o.policy, interval: o.interval, check: newCheck(o.check, reachable(service).String()), log: log}
	var id rsp.PEID // random, and the same until the end
	e.join = func(ctx context.Context, policy rsp.Policy) error {
		got, err := endpoint.RegisterElement(ctx, o.pool, rsp.ElementRegistration{
			ID: id, Protocol: "tcp", Addrs: []netip.AddrPort{service}, Policy: policy,
		})
		if err == nil {
			id = got
		}
		return err
	}
	e.leave = func(ctx context.Context) error { return endpoint.DeregisterElement(ctx, o.pool, id) }
	if hasLoad(o.policy) {
		e.load = func() (float64, error) {
			n, err := establishedTo(service.Port())
			return float64(n) / float64(o.maxConnections), err
		}
	}
	return e
}

// hasLoad tells whether a policy looks at a load.
func hasLoad(p rsp.Policy) bool { return p.WithLoad(0) != p.WithLoad(1) }

// relayed is a proxy PE that is a pool element of its own and relays sessions to the service: for pool users that
// open sessions, and for services at addresses that others cannot reach.
type relayed struct {
	*element
	o       *options
	service string
	traffic *traffic
	dialer  net.Dialer
}

func runRelayed(ctx context.Context, o *options, endpoint *rsp.Endpoint, service netip.AddrPort, traffic *traffic, log *slog.Logger) error {
	listener := endpoint.Socket()
	defer listener.Close()
	if err := listener.Listen(ctx); err != nil {
		return err
	}
	r := &relayed{o: o, service: reachable(service).String(), traffic: traffic, dialer: net.Dialer{Timeout: o.connectTimeout}}
	r.element = &element{
		policy: o.policy, interval: o.interval, check: newCheck(o.check, r.service), log: log,
		load: func() (float64, error) { return float64(traffic.open.Load()) / float64(o.maxConnections), nil },
		join: func(ctx context.Context, policy rsp.Policy) error {
			return listener.RegisterPE(ctx, o.pool, rsp.PE{Policy: policy})
		},
		leave: listener.DeregisterPE,
	}
	return r.serve(ctx, listener)
}

// serve serves until ctx ends, and then the sessions that are open for the time of the drain; or until the
// registrar refuses the pool element.
func (r *relayed) serve(ctx context.Context, listener *rsp.Socket) error {
	server := &rsp.Server{Handler: r.relay, MaxSessions: r.o.maxConnections, Logger: r.log}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.WithoutCancel(ctx), listener) }()
	running, stop := context.WithCancel(ctx)
	defer stop()
	left := make(chan struct{})
	go func() {
		defer close(left)
		r.run(running)
	}()
	select {
	case err := <-served:
		stop()
		<-left
		return err
	case <-left:
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.drain)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		r.log.Warn("sessions were ended before they had come to their end", "err", err)
	}
	if err := <-served; !errors.Is(err, rsp.ErrServerClosed) {
		return err
	}
	return nil
}

// relay serves one session.
func (r *relayed) relay(ctx context.Context, session *rsp.Socket) {
	r.traffic.begin()
	defer r.traffic.end()
	conn, err := r.dialer.DialContext(ctx, "tcp", r.service)
	if err != nil {
		r.traffic.unserved.Add(1)
		r.log.Warn("service not reached", "client", session.RemoteAddr(), "err", err)
		abort(session)
		return
	}
	(&relay{client: session, server: conn, idle: r.o.idle, traffic: r.traffic}).run(ctx, nil)
}
