package rsp_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"

	"github.com/rserpool/rsp"
)

// A server with a listener of its own, one that was handed to it, limits its connections or hides behind
// TLS, serves sessions by FromConn. Its pool users connect as to any other.
func ExampleEndpoint_FromConn() {
	ctx := context.Background()
	cfg, stop := exampleScope()
	defer stop()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	if _, err := e.RegisterElement(ctx, "Greetings", rsp.ElementRegistration{
		Protocol: "tcp", ControlChannel: true,
		Addrs: []netip.AddrPort{listener.Addr().(*net.TCPAddr).AddrPort()},
	}); err != nil {
		log.Fatal(err)
	}
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		session, err := e.FromConn(ctx, conn)
		if err != nil {
			return // it was no session
		}
		greet(session, "Carla")
	}()

	session, err := e.Connect(ctx, "Greetings")
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	session.Write([]byte("Hello"))
	buf := make([]byte, 100)
	n, err := session.Read(buf)
	fmt.Printf("%s %v\n", buf[:n], err)
	// Output: Hello, says Carla (1) <nil>
}
