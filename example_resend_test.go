package rsp_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/rserpool/rsp"
)

// A session that keeps its requests until they are answered. The protocol's answers begin with the
// request that they answer.
func ExampleResend() {
	cfg, stop := exampleScope()
	defer stop()
	anna, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := anna.Listen(context.Background(), "Greetings", rsp.PE{}); err != nil {
		log.Fatal(err) // she listens, but never answers
	}
	client, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	d := rsp.Dialer{
		Endpoint: client,
		Resend: &rsp.Resend{Answered: func(request, reply []byte, _ rsp.MsgInfo) bool {
			return bytes.HasPrefix(reply, request)
		}},
		OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			fmt.Println(f.Unanswered, "requests are sent again")
			return nil
		},
	}
	session, err := d.Connect(context.Background(), "Greetings")
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	session.Write([]byte("Good morning"))
	session.Write([]byte("Good bye"))
	berta := exampleServer(cfg, "Berta")
	defer berta.Close()
	anna.Abort()
	buf := make([]byte, 1000)
	for range 2 {
		n, _ := session.Read(buf)
		fmt.Printf("%s\n", buf[:n])
	}
	// Output:
	// 2 requests are sent again
	// Good morning, says Berta (1)
	// Good bye, says Berta (2)
}
