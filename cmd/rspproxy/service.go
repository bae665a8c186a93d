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
	e := &element{policy: o.policy, interval: o.interval, check: newCheck(o.check, reachable(service).String()), log: log}
	log.Info("proxy PE is running", "service", service, "check", o.check)
	if o.session {
		err = runRelayed(ctx, o, e, endpoint, service, traffic)
	} else {
		err = runDirect(ctx, o, e, endpoint, service)
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
func runDirect(ctx context.Context, o *options, e *element, endpoint *rsp.Endpoint, service netip.AddrPort) error {
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
	if hasLoad(o.policy) && o.maxConnections > 0 {
		e.load = func() (float64, error) {
			n, err := establishedTo(service.Port())
			return float64(n) / float64(o.maxConnections), err
		}
		if _, err := e.load(); err != nil {
			return fmt.Errorf("cannot measure the load of -policy=%v: %w", o.policy, err)
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

func hasLoad(p rsp.Policy) bool { return p.WithLoad(0) != p.WithLoad(1) }

// runRelayed makes the proxy a pool element of its own, which relays sessions to the service: for pool users that
// open sessions, and for services at addresses that others cannot reach.
func runRelayed(ctx context.Context, o *options, e *element, endpoint *rsp.Endpoint, service netip.AddrPort, traffic *traffic) error {
	listener := endpoint.Socket()
	defer listener.Close()
	if err := listener.Listen(ctx); err != nil {
		return err
	}
	e.join = func(ctx context.Context, policy rsp.Policy) error {
		return listener.RegisterPE(ctx, o.pool, rsp.PE{Policy: policy})
	}
	e.leave = listener.DeregisterPE
	if o.maxConnections > 0 {
		e.load = func() (float64, error) { return float64(traffic.open.Load()) / float64(o.maxConnections), nil }
	}
	dialer := net.Dialer{Timeout: o.connectTimeout}
	server := &rsp.Server{MaxSessions: o.maxConnections, Logger: e.log, Handler: func(ctx context.Context, session *rsp.Socket) {
		traffic.begin()
		defer traffic.end()
		conn, err := dialer.DialContext(ctx, "tcp", reachable(service).String())
		if err != nil {
			traffic.unserved.Add(1)
			e.log.Warn("service not reached", "client", session.RemoteAddr(), "err", err)
			abort(session)
			return
		}
		stop := context.AfterFunc(ctx, func() { abort(conn) })
		defer stop()
		(&relay{client: session, server: conn, idle: o.idle, traffic: traffic}).run(nil)
	}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.WithoutCancel(ctx), listener) }()
	checking, stopChecking := context.WithCancel(ctx)
	defer stopChecking()
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		e.run(checking)
	}()
	select {
	case err := <-served:
		stopChecking()
		<-checked
		return err
	case <-checked:
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.drain)
	defer cancel()
	if err := server.Shutdown(draining); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		e.log.Warn("shutdown", "err", err)
	}
	if err := <-served; !errors.Is(err, rsp.ErrServerClosed) {
		return err
	}
	return nil
}
