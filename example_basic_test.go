package rsp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"

	"github.com/rserpool/rsp"
)

// Basic mode: a web server that knows nothing of RSerPool becomes a pool element, and whoever asks for its
// pool gets its address.
func ExampleEndpoint_RegisterElement() {
	ctx := context.Background()
	cfg, stop := exampleScope()
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "Hello from the pool")
	})}
	go server.Serve(listener)
	defer server.Close()

	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close() // deregisters it too
	id, err := e.RegisterElement(ctx, "Web", rsp.ElementRegistration{
		Protocol: "tcp", Addrs: []netip.AddrPort{listener.Addr().(*net.TCPAddr).AddrPort()},
	})
	if err != nil {
		log.Fatal(err)
	}

	r, err := e.Resolve(ctx, "Web", 0)
	if err != nil {
		log.Fatal(err)
	}
	best := r.Elements[0]
	response, err := http.Get("http://" + best.Addrs[0].String())
	if err != nil {
		e.ReportFailure("Web", best.ID) // so that others need not try
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(best.Protocol, best.ID == id, string(body), err)
	// Output: tcp true Hello from the pool <nil>
}
