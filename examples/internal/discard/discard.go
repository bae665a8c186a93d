// Package discard is the service Discard: it takes each message, and that is all (RFC 863).
package discard

import (
	"context"
	"flag"
	"io"
	"log"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/service"
)

type discard struct{}

// New returns the service.
func New() service.Service { return discard{} }

func (discard) Name() string                { return "Discard" }
func (discard) Pool() rsp.PoolHandle        { return "DiscardPool" }
func (discard) Policy() rsp.Policy          { return rsp.RoundRobin() }
func (discard) RegisterFlags(*flag.FlagSet) {}
func (discard) PrintParameters(io.Writer)   {}

func (discard) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error {
	return service.Sessions(ctx, listener, out, func(ctx context.Context, session *rsp.Socket, number int) {
		take(ctx, session, number, out)
	})
}

func take(ctx context.Context, session *rsp.Socket, number int, out *log.Logger) {
	buf := make([]byte, 64<<10)
	for {
		n, info, err := session.RecvMsg(ctx, buf)
		if err != nil {
			return // the PU has ended the session, or is lost, or ctx has ended
		}
		if !info.CookieEcho {
			out.Printf("Discard %d bytes on session %d", n, number)
		}
	}
}
