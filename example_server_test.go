package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/rserpool/rsp"
)

// serveGreetings starts a Server of the pool "Greetings" whose sessions count what was said.
// Sealed cookies carry the count to the next one.
func serveGreetings(cfg rsp.Config, name string, sealer *rsp.CookieSealer) *rsp.Server {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := e.Listen(context.Background(), "Greetings", rsp.PE{Policy: rsp.LeastUsed(0)})
	if err != nil {
		log.Fatal(err)
	}
	srv := &rsp.Server{
		MaxSessions: 1000, // the load of n sessions is n/1000
		Handler: func(ctx context.Context, session *rsp.Socket) {
			said := 0
			session.KeepCookie(rsp.CookiePlan{
				State:    func(b []byte) []byte { return fmt.Append(b, said) },
				Messages: 10, // more often than that only if Shutdown asks for it
				Sealer:   sealer,
			})
			buf := make([]byte, 1000)
			for {
				n, info, err := session.RecvFullMsg(ctx, buf)
				if err != nil {
					return // the client has gone, or the server shuts down
				}
				if info.CookieEcho {
					if state, err := sealer.Open(nil, buf[:n]); err == nil {
						fmt.Sscan(string(state), &said)
					}
					continue
				}
				said++
				session.SendMsg(ctx, fmt.Appendf(nil, "%s, says %s (%d)", buf[:n], name, said), rsp.MsgInfo{})
			}
		},
	}
	go func() {
		defer e.Close()
		if err := srv.Serve(context.Background(), listener); !errors.Is(err, rsp.ErrServerClosed) {
			log.Print(err)
		}
	}()
	return srv
}

// A server that is shut down loses no client: each goes on with another one, from where it was.
func ExampleServer() {
	cfg, stop := exampleScope()
	defer stop()
	var key rsp.CookieKey // the same in each server; in earnest from crypto/rand, as a secret of the pool
	copy(key.Secret[:], "an example's key is not a secret")
	sealer, err := rsp.NewCookieSealer("Greetings", time.Hour, key)
	if err != nil {
		log.Fatal(err)
	}
	anna := serveGreetings(cfg, "Anna", sealer)
	client, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var text []byte // not answered yet: what is on its way to a server that ends is lost
	d := rsp.Dialer{Endpoint: client, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		_, err := f.Write(text)
		return err
	}}
	session, err := d.Connect(context.Background(), "Greetings")
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	say := func(greeting string) {
		buf := make([]byte, 100)
		text = []byte(greeting)
		session.Write(text)
		n, _ := session.Read(buf)
		fmt.Printf("%s\n", buf[:n])
	}
	say("Good morning")
	say("Good day")
	berta := serveGreetings(cfg, "Berta", sealer)
	defer berta.Close()
	if err := anna.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	say("Good evening")
	// Output:
	// Good morning, says Anna (1)
	// Good day, says Anna (2)
	// Good evening, says Berta (3)
}

// One Socket serves all its sessions, with one goroutine.
func ExampleSocket_RecvMsg_oneToMany() {
	cfg, stop := exampleScope()
	defer stop()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	ctx := context.Background()
	listener, err := e.Listen(ctx, "Shouts", rsp.PE{})
	if err != nil {
		log.Fatal(err)
	}
	say := func(text string) {
		session, err := e.Connect(ctx, "Shouts")
		if err != nil {
			log.Fatal(err)
		}
		defer session.Close()
		session.Write([]byte(text))
		session.Read(make([]byte, 100))
	}
	go say("hello")
	buf := make([]byte, 1000)
	for ended := 0; ended < 2; {
		n, info, err := listener.RecvFullMsg(ctx, buf)
		if err != nil {
			log.Fatal(err)
		}
		if info.Notification != nil {
			fmt.Println(info.Notification)
			if info.Notification.Type == rsp.SessionRemoved {
				if ended++; ended == 1 {
					go say("ahoy")
				}
			}
			continue
		}
		fmt.Printf("%d says %s\n", info.Session, buf[:n])
		if err := listener.SendMsg(ctx, []byte("AHA"), info); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// session added: 1
	// 1 says hello
	// session removed: 1: EOF
	// session added: 2
	// 2 says ahoy
	// session removed: 2: EOF
}

// A pool element that is not well is selected no more until it is.
func ExampleSocket_SetHealthy() {
	cfg, stop := exampleScope()
	defer stop()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	ctx := context.Background()
	listener, err := e.Listen(ctx, "Pool", rsp.PE{ID: 7, Policy: rsp.WeightedRoundRobin(1)})
	if err != nil {
		log.Fatal(err)
	}
	for _, healthy := range []bool{false, true} {
		if err := listener.SetHealthy(ctx, healthy); err != nil {
			log.Fatal(err)
		}
		r, err := e.Resolve(ctx, "Pool", rsp.AllElements)
		fmt.Println("healthy:", healthy, "unknown pool:", errors.Is(err, rsp.ErrUnknownPool), "found:", err == nil && len(r.Elements) == 1)
	}
	if err := listener.SetPolicy(ctx, rsp.WeightedRoundRobin(3)); err != nil {
		log.Fatal(err)
	}
	r, err := e.Resolve(ctx, "Pool", rsp.AllElements)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Elements[0].ID, r.Elements[0].Policy)
	// Output:
	// healthy: false unknown pool: true found: false
	// healthy: true unknown pool: false found: true
	// 0x00000007 WeightedRoundRobin:3
}
