package rsp_test

import (
	"context"
	"fmt"
	"log"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp"
)

// A socket option of the system: packets of this session are marked for low delay.
func ExampleSocket_SyscallConn() {
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

	conn, err := session.SyscallConn()
	if err != nil {
		log.Fatal(err)
	}
	const lowDelay = 0x10
	var optionErr error
	err = conn.Control(func(fd uintptr) {
		optionErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, lowDelay)
	})
	fmt.Println(err, optionErr)
	// Output: <nil> <nil>
}
