package main

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rserpool/rsp"
)

// serviceConfig makes gRPC itself go on: a call waits for a server instead of failing at once, and is
// sent again if its server died with it. That a server may have served it by then is for the service to bear,
// as with any retry.
const serviceConfig = `{"methodConfig": [{
	"name": [{"service": "rsp.example.Greeter"}],
	"waitForReady": true,
	"retryPolicy": {
		"maxAttempts": 4,
		"initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

// connect returns a ClientConn to the pool. There is no failover in the session: HTTP/2 has its
// own state on each connection (settings, header tables, streams), which another server does not
// have. gRPC opens the next connection itself, and the pool gives it a server that lives.
func connect(e *rsp.Endpoint) (*grpc.ClientConn, error) {
	d := rsp.Dialer{Endpoint: e, Failover: rsp.FailoverNone}
	return grpc.NewClient("passthrough:///"+pool, // no DNS: the pool handle is passed on to the dialer
		grpc.WithContextDialer(func(ctx context.Context, pool string) (net.Conn, error) {
			return d.DialContext(ctx, "rsp", pool)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
	)
}

// callAll makes all calls, one after the other, and tells who answered; after is called after each.
func callAll(ctx context.Context, cfg rsp.Config, out *log.Logger, after func(n int64, server string)) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	conn, err := connect(e)
	if err != nil {
		return err
	}
	defer conn.Close()

	var serving string
	for n := int64(1); n <= calls; n++ {
		var name wrapperspb.StringValue
		if err := conn.Invoke(ctx, "/rsp.example.Greeter/Greet", wrapperspb.Int64(n), &name); err != nil {
			return fmt.Errorf("call %d: %w", n, err)
		}
		if name.Value != serving {
			serving = name.Value
			out.Printf("%s answers, from call %d on", serving, n)
		}
		after(n, serving)
	}
	out.Printf("all %d calls answered", calls)
	return nil
}
