package rsp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rserpool/rsp"
)

// What a program logs or counts: its registrar, its pool elements, the failovers of its sessions.
func ExampleEndpoint_Events() {
	ctx := context.Background()
	cfg, stop := exampleScope()
	defer stop()
	anna := exampleServer(cfg, "Anna")

	client, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	told := make(chan struct{})
	events := client.Events(ctx) // from here on
	go func() {
		defer close(told)
		for ev := range events {
			fmt.Println(ev.Type) // ev.Pool, ev.PE, ev.Addr and ev.Err say more
		}
	}()
	session, err := client.Connect(ctx, "Greetings")
	if err != nil {
		log.Fatal(err)
	}
	berta := exampleServer(cfg, "Berta")
	defer berta.Close()
	anna.Abort()
	session.ForceFailover(ctx, false) // or the next Read or Write would notice
	session.Close()
	client.Close()
	<-told
	// Output:
	// registrar found
	// failover begun
	// failover complete
}
