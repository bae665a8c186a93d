// Echo shows a session that survives the loss of its server. Without options it runs a
// registrar, three servers and a client in one process, and takes the serving server away
// three times while the client talks to it:
//
//	go run ./examples/echo
//
// The same roles run as processes of their own, on one machine or on several:
//
//	go run ./examples/echo -role=registrar
//	go run ./examples/echo -role=server -registrar=localhost:3863
//	go run ./examples/echo -role=client -registrar=localhost:3863
//
// With certificates, here of an authority for tests, all of it goes over TLS:
//
//	go run ./cmd/rsptestca -dir=certs registrar.rsp.internal server client
//	go run ./examples/echo -role=registrar -tlscert=certs/registrar.rsp.internal.pem -tlskey=certs/registrar.rsp.internal.key -tlsca=certs/ca.pem
//	go run ./examples/echo -role=server -tlscert=certs/server.pem -tlskey=certs/server.key -tlsca=certs/ca.pem
//	go run ./examples/echo -role=client -tlscert=certs/client.pem -tlskey=certs/client.key -tlsca=certs/ca.pem
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rserpool/rsp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var cfg rsp.Config
	cfg.RegisterFlags(flag.CommandLine)
	role := flag.String("role", "all", "all, registrar, server or client")
	address := flag.String("address", "", "where a registrar serves (default :3863, with TLS :3864)")
	pool := flag.String("pool", "EchoPool", "pool handle")
	lines := flag.Int("lines", 100, "how many lines a client sends")
	interval := flag.Duration("interval", 30*time.Millisecond, "pause between a client's lines")
	verbose := flag.Bool("v", false, "log what the library does")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if *verbose {
		cfg.Logger = slog.Default()
	}

	c := &client{pool: rsp.PoolHandle(*pool), lines: *lines, interval: *interval, timeline: newTimeline()}
	switch *role {
	case "all":
		return demo(ctx, cfg, c)
	case "registrar":
		return runRegistrar(ctx, cfg, *address)
	case "server":
		return runServer(ctx, cfg, rsp.PoolHandle(*pool))
	case "client":
		return runClient(ctx, cfg, c)
	}
	return fmt.Errorf("unknown role %q", *role)
}

func runRegistrar(ctx context.Context, cfg rsp.Config, address string) error {
	if address == "" {
		address = ":3863"
		if cfg.TLS != nil {
			address = ":3864"
		}
	}
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{
		Address: address, Logger: cfg.Logger, TLS: cfg.TLS, RegistrarName: cfg.RegistrarName,
	})
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	fmt.Printf("registrar %v serves at %v\n", r.ID(), r.Addrs())
	<-ctx.Done()
	return r.Shutdown(context.Background())
}

func runServer(ctx context.Context, cfg rsp.Config, pool rsp.PoolHandle) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	listener, err := e.Listen(ctx, pool, rsp.PE{})
	if err != nil {
		return err
	}
	fmt.Printf("PE %v serves %v\n", listener.LocalPE(), listener.Addr())
	return serve(ctx, listener)
}

func runClient(ctx context.Context, cfg rsp.Config, c *client) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := c.run(ctx, e); err != nil {
		return err
	}
	return c.summary()
}
