// Server is a pool element for Kubernetes: it is ready when a registrar has it in its pool, and leaves without losing
// an answer when its pod ends. It answers each message by itself, as the server of examples/echo does, whose client it
// serves. Beside a registrar (go run ./cmd/rspregistrar) it runs anywhere:
//
//	go run ./examples/kubernetes/server -http=:8080
//	curl localhost:8080/readyz
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rserpool/rsp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // SIGTERM is the kubelet's
	defer stop()
	if err := run(ctx, os.Args[1:], slog.Default()); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log *slog.Logger) error {
	cfg := rsp.Config{
		Network: rsp.TCPMapping, // pods may be on nodes with and without SCTP
		Logger:  log,
	}
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	cfg.RegisterFlags(flags)
	pool := flags.String("pool", "EchoPool", "pool handle")
	address := flags.String("http", "localhost:8080", "where /healthz and /readyz are")
	limit := flags.Int("sessions", 1000, "how many sessions are served at the same time")
	drain := flags.Duration("drain", 20*time.Second, "how long sessions may take to end; less than terminationGracePeriodSeconds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	ready, stopReady, err := tellReady(e, *address, log)
	if err != nil {
		return err
	}
	defer stopReady()

	// Without a registrar this waits; Kubernetes does not count the pod as ready meanwhile.
	listener, err := e.Listen(ctx, rsp.PoolHandle(*pool), rsp.PE{Policy: rsp.LeastUsed(0)})
	if ctx.Err() != nil {
		return nil // the pod has ended before
	}
	if err != nil {
		return err
	}
	srv := &rsp.Server{Handler: echo, MaxSessions: *limit, Logger: log}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.WithoutCancel(ctx), listener) }()
	select {
	case err := <-served: // a registrar has refused this pool element
		return err
	case <-ctx.Done():
	}
	ready.set(false)
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), *drain)
	defer cancel()
	err = srv.Shutdown(leaving)
	if stopped := <-served; !errors.Is(stopped, rsp.ErrServerClosed) {
		err = errors.Join(err, stopped)
	}
	return err
}

// echo answers each message by itself. The cookie, which the client brings along from another server, says how many have
// been answered in this session.
func echo(ctx context.Context, session *rsp.Socket) {
	var answered atomic.Int64 // the last cookie may be made while this function is busy
	plan := rsp.CookiePlan{Messages: 1, State: func(b []byte) []byte { return fmt.Appendf(b, "%d answered", answered.Load()) }}
	if err := session.KeepCookie(plan); err != nil {
		return // the client is gone already
	}
	buf := make([]byte, 64<<10)
	for {
		n, info, err := session.RecvFullMsg(ctx, buf)
		if err != nil {
			return // the client has closed or is lost, or this server is about to end
		}
		if info.CookieEcho {
			var before int64
			fmt.Sscanf(string(buf[:n]), "%d answered", &before)
			answered.Store(before)
			continue
		}
		answered.Add(1)
		if err := session.SendMsg(ctx, buf[:n], rsp.MsgInfo{PPID: info.PPID, Stream: info.Stream}); err != nil {
			return
		}
	}
}

// readiness is whether a registrar has this program's pool element.
type readiness struct {
	mu  sync.Mutex
	yes bool
}

func (r *readiness) set(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.yes = yes
}

// follow keeps r by what happens to an Endpoint with one pool element.
func (r *readiness) follow(events iter.Seq[rsp.Event]) {
	for ev := range events {
		switch ev.Type {
		case rsp.EventRegistered:
			r.set(true)
		case rsp.EventRegistrarLost, rsp.EventRejected, rsp.EventDeregistered:
			r.set(false) // a lost registrar's successor has it registered again at once
		}
	}
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.yes {
		fmt.Fprintln(w, "registered")
	} else {
		http.Error(w, "not registered", http.StatusServiceUnavailable)
	}
}

// tellReady answers the kubelet's probes until stop is called.
func tellReady(e *rsp.Endpoint, address string, log *slog.Logger) (r *readiness, stop func(), err error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	log.Info("probes are answered", "address", ln.Addr())
	r = new(readiness)
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", r)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	srv := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	events := e.Events(ctx) // from now on, not from when follow begins
	var wg sync.WaitGroup
	wg.Go(func() { r.follow(events) })
	wg.Go(func() { srv.Serve(ln) })
	return r, func() {
		cancel()
		srv.Close()
		wg.Wait()
	}, nil
}
