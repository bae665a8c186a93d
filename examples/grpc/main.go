// Grpc shows gRPC on pools, as it is: a grpc.Server serves on a pool element, and a client dials a pool. A
// registrar, three servers and a client run in one process. One server dies with a call in its hands, the next
// leaves the pool as one that is updated does, and each call is answered:
//
//	cd examples/grpc && go run .
//
// It is a module of its own, so that users of package rsp need no gRPC.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/rserpool/rsp"
)

const (
	pool    = "GreetPool"
	calls   = 300
	fatal   = 100            // the server that gets this call dies of it
	last    = 200            // the server that answers this one leaves after it
	network = rsp.TCPMapping // works everywhere; without it SCTP is used where the kernel has it
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "grpc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer) error {
	out := log.New(w, "", 0) // which several goroutines may use
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err != nil {
		return err
	}
	if err := registrar.Start(ctx); err != nil {
		return err
	}
	defer registrar.Shutdown(ctx)
	cfg := rsp.Config{Registrars: registrar.Addrs(), Network: network}

	servers := &servers{out: out, byName: make(map[string]*server)}
	defer servers.close()
	for _, name := range []string{"Anna", "Berta", "Carla"} {
		if err := servers.start(ctx, cfg, name); err != nil {
			return err
		}
	}
	return callAll(ctx, cfg, out, func(n int64, server string) {
		if n == last {
			servers.leave(server)
		}
	})
}
