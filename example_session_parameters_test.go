package rsp_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/rserpool/rsp"
)

// A session that is to be patient from now on, say as its server is about to begin a long computation.
func ExampleSocket_SetSessionParameters() {
	ctx := context.Background()
	cfg, stop := exampleScope()
	defer stop()
	anna := exampleServer(cfg, "Anna")
	defer anna.Close()
	client, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	session, err := client.Connect(ctx, "Greetings")
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	fmt.Println(session.SessionParameters().HeartbeatInterval)
	if err := session.SetSessionParameters(rsp.AssociationConfig{HeartbeatInterval: 10 * time.Second}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.SessionParameters().HeartbeatInterval)
	// Output:
	// 50ms
	// 10s
}
