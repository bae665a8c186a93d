package rsp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rserpool/rsp"
)

// exampleScope starts a registrar in this process, as a program that needs no other may.
func exampleScope() (cfg rsp.Config, stop func()) {
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.TCPMapping})
	if err != nil {
		log.Fatal(err)
	}
	if err := registrar.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	return rsp.Config{Registrars: registrar.Addrs(), Network: rsp.TCPMapping},
		func() { registrar.Shutdown(context.Background()) }
}

// exampleServer starts a pool element of "Greetings", in an Endpoint of its own as if it were a
// program of its own. It gives each client a cookie that counts what was said.
func exampleServer(cfg rsp.Config, name string) *rsp.Endpoint {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := e.Listen(context.Background(), "Greetings", rsp.PE{})
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			session, err := listener.AcceptSocket(context.Background())
			if err != nil {
				return
			}
			go greet(session, name)
		}
	}()
	return e
}

func greet(session *rsp.Socket, name string) {
	defer session.Close()
	ctx := context.Background()
	said := 0
	buf := make([]byte, 1000)
	for {
		n, info, err := session.RecvFullMsg(ctx, buf)
		if err != nil {
			return
		}
		if info.CookieEcho {
			fmt.Sscan(string(buf[:n]), &said) // go on where another server stopped
			continue
		}
		said++
		// The cookie goes first, so that no answer is seen without it.
		session.SendCookie(ctx, fmt.Append(nil, said))
		session.SendMsg(ctx, fmt.Appendf(nil, "%s, says %s (%d)", buf[:n], name, said), rsp.MsgInfo{})
	}
}

// A session that outlives its server: the state comes along in the cookie, and what was
// not answered is sent again.
func Example() {
	cfg, stop := exampleScope()
	defer stop()
	anna := exampleServer(cfg, "Anna")

	client, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	d := rsp.Dialer{
		Endpoint: client,
		OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			fmt.Printf("failover, cookie %q\n", f.Cookie)
			_, err := f.Write([]byte("Good evening"))
			return err
		},
	}
	session, err := d.Connect(context.Background(), "Greetings")
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	buf := make([]byte, 1000)
	session.Write([]byte("Good morning"))
	n, _ := session.Read(buf)
	fmt.Printf("%s\n", buf[:n])

	berta := exampleServer(cfg, "Berta")
	defer berta.Close()
	anna.Abort() // as if the program had been killed
	n, _ = session.Read(buf)
	fmt.Printf("%s\n", buf[:n])
	// Output:
	// Good morning, says Anna (1)
	// failover, cookie "1"
	// Good evening, says Berta (2)
}

// Resolve gives the pool elements that a pool handle stands for.
func ExampleEndpoint_Resolve() {
	cfg, stop := exampleScope()
	defer stop()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Listen(context.Background(), "Pool", rsp.PE{ID: 0x2a, Policy: rsp.WeightedRoundRobin(3)}); err != nil {
		log.Fatal(err)
	}
	r, err := e.Resolve(context.Background(), "Pool", rsp.AllElements)
	if err != nil {
		log.Fatal(err)
	}
	for _, el := range r.Elements {
		fmt.Println(el.ID, el.Protocol, el.Addrs[0].Addr(), el.Policy)
	}
	_, err = e.Resolve(context.Background(), "NoPool", 0)
	fmt.Println(err)
	// Output:
	// 0x0000002a tcp 127.0.0.1 WeightedRoundRobin:3
	// rsp resolve "NoPool": unknown pool
}

// FailoverManual is RSPLIB's way: the session reports that it needs a failover.
func ExampleSocket_ForceFailover() {
	cfg, stop := exampleScope()
	defer stop()
	anna := exampleServer(cfg, "Anna")
	client, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	d := rsp.Dialer{Endpoint: client, Failover: rsp.FailoverManual}
	session, err := d.Connect(context.Background(), "Greetings")
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	berta := exampleServer(cfg, "Berta")
	defer berta.Close()

	anna.Abort()
	_, err = session.Read(make([]byte, 10))
	fmt.Println("needs a failover:", err != nil)
	if err := session.ForceFailover(context.Background(), false); err != nil {
		log.Fatal(err)
	}
	session.Write([]byte("Hello"))
	buf := make([]byte, 100)
	n, _ := session.Read(buf)
	fmt.Printf("%s\n", buf[:n])
	// Output:
	// needs a failover: true
	// Hello, says Berta (1)
}
