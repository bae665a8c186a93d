// Package echo is the service Echo: each message comes back to where it came from (RFC 862).
package echo

import (
	"context"
	"flag"
	"io"
	"log"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/service"
)

type echo struct{}

// New returns the service.
func New() service.Service { return echo{} }

func (echo) Name() string                { return "Echo" }
func (echo) Pool() rsp.PoolHandle        { return "EchoPool" }
func (echo) Policy() rsp.Policy          { return rsp.RoundRobin() }
func (echo) RegisterFlags(*flag.FlagSet) {}
func (echo) PrintParameters(io.Writer)   {}

func (echo) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error {
	return service.Sessions(ctx, listener, out, func(ctx context.Context, session *rsp.Socket, number int) {
		answer(ctx, session, number, out)
	})
}

// maxMessage is how long a message may be to come back as one. A longer one comes back in pieces.
const maxMessage = 64 << 10

// answer returns each message with its PPID, in its stream. A PU that does not take its
// answers waits with its next messages: nothing is kept for it here.
func answer(ctx context.Context, session *rsp.Socket, number int, out *log.Logger) {
	buf := make([]byte, maxMessage)
	for {
		n, info, err := session.RecvMsg(ctx, buf)
		if err != nil {
			return // the PU has ended the session, or is lost, or ctx has ended
		}
		if info.CookieEcho {
			continue // no state of ours
		}
		if err := session.SendMsg(ctx, buf[:n], rsp.MsgInfo{PPID: info.PPID, Stream: info.Stream, Unordered: info.Unordered}); err != nil {
			return
		}
		out.Printf("Echo %d bytes on session %d", n, number)
	}
}
