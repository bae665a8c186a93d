// Http shows net/http on pools, as it is: http.Serve takes a pool element for its listener, and
// http.Transport takes a Dialer's DialContext, so that the host in http://WebPool/ is a pool. A registrar,
// three servers and a client run in one process; one server dies in the middle, with requests in its hands:
//
//	go run ./examples/http
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
	pool     = "WebPool"
	requests = 300
	workers  = 6              // of the client
	fatal    = "/150"         // whoever is asked for this first, dies of it
	network  = rsp.TCPMapping // works everywhere; without it SCTP is used where the kernel has it
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "http:", err)
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

	servers := &servers{out: out}
	defer servers.close()
	for _, name := range []string{"Anna", "Berta", "Carla"} {
		if err := servers.start(ctx, cfg, name); err != nil {
			return err
		}
	}
	return ask(ctx, cfg, out)
}
