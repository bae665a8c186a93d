// Command pooluser is a program that only uses a pool, for TestPoolUserLinksNoENRP.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/rserpool/rsp"
)

func main() {
	session, err := rsp.Connect(context.Background(), "EchoPool")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer session.Close()
	io.Copy(os.Stdout, session)
}
