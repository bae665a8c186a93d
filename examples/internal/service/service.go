// Package service is what rspserver and the services that it can run agree on.
package service

import (
	"context"
	"flag"
	"io"
	"log"

	"github.com/rserpool/rsp"
)

// Service is a service that rspserver runs as a pool element.
type Service interface {
	// Name is the service's name as RSPLIB's programs print it, "Echo".
	Name() string
	// Pool is the pool that it registers in by default, "EchoPool".
	Pool() rsp.PoolHandle
	// Policy is the policy that it registers with by default.
	Policy() rsp.Policy
	// RegisterFlags defines the service's own options, by RSPLIB's names.
	RegisterFlags(fs *flag.FlagSet)
	// PrintParameters prints the values of the service's own options, for the start.
	PrintParameters(w io.Writer)
	// Serve serves the sessions of listener until ctx ends, then ends them in the way of the
	// service and returns nil. What happens goes to out, a line each.
	Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error
}
