package rsp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rserpool/rsp"
)

// Pools that talk to pools: a front end is a member of its own pool and opens a session with a back end, which
// learns from the business card where to go when that front end dies.
func ExampleDialer_ConnectCard() {
	ctx := context.Background()
	cfg, stop := exampleScope()
	defer stop()
	newEndpoint := func() *rsp.Endpoint {
		e, err := rsp.NewEndpoint(&cfg)
		if err != nil {
			log.Fatal(err)
		}
		return e
	}
	backEnd, frontEnd, second := newEndpoint(), newEndpoint(), newEndpoint()
	defer backEnd.Close()
	defer second.Close()
	backListener, err := backEnd.Listen(ctx, "BackEnds", rsp.PE{})
	if err != nil {
		log.Fatal(err)
	}
	frontListener, err := frontEnd.Listen(ctx, "FrontEnds", rsp.PE{})
	if err != nil {
		log.Fatal(err)
	}
	secondListener, err := second.Listen(ctx, "FrontEnds", rsp.PE{})
	if err != nil {
		log.Fatal(err)
	}

	d := rsp.Dialer{Endpoint: frontEnd, PE: frontListener}
	request, err := d.Connect(ctx, "BackEnds")
	if err != nil {
		log.Fatal(err)
	}
	request.Write([]byte("compute something"))

	session, err := backListener.AcceptSocket(ctx)
	if err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 100)
	n, _ := session.Read(buf)
	fmt.Printf("%s, for %s\n", buf[:n], session.PeerCard().Pool)

	frontEnd.Abort() // as if the program had been killed
	_, err = session.Read(buf)
	fmt.Println("front end lost:", err != nil)
	answer, err := (&rsp.Dialer{Endpoint: backEnd}).ConnectCard(ctx, session.PeerCard())
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Close()
	answer.Write([]byte("the result"))

	accepted, err := secondListener.AcceptSocket(ctx)
	if err != nil {
		log.Fatal(err)
	}
	n, _ = accepted.Read(buf)
	fmt.Printf("second front end: %s\n", buf[:n])
	// Output:
	// compute something, for FrontEnds
	// front end lost: true
	// second front end: the result
}
