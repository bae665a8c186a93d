// Package daytime is the service Daytime: it tells the time of day as text (RFC 867).
//
// RSPLIB's ends the session when it has told it, which its rspterminal, as any PU would, takes for the loss of
// the server: it asks the next one, and so on for ever. Here the session lasts until the PU ends it. It
// gets the time at the beginning, and again for each message that it sends.
package daytime

import (
	"context"
	"flag"
	"io"
	"log"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/service"
)

// format is RSPLIB's, in local time.
const format = "Monday, 02-January-2006 15:04:05.000000\n"

type daytime struct{}

// New returns the service.
func New() service.Service { return daytime{} }

func (daytime) Name() string                { return "Daytime" }
func (daytime) Pool() rsp.PoolHandle        { return "DaytimePool" }
func (daytime) Policy() rsp.Policy          { return rsp.RoundRobin() }
func (daytime) RegisterFlags(*flag.FlagSet) {}
func (daytime) PrintParameters(io.Writer)   {}

func (daytime) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error {
	return service.Sessions(ctx, listener, out, func(ctx context.Context, session *rsp.Socket, _ int) {
		tell(ctx, session)
	})
}

// tell tells the time until the session or ctx ends.
func tell(ctx context.Context, session *rsp.Socket) {
	buf := make([]byte, 4<<10) // what the messages say does not matter
	for {
		if err := session.SendMsg(ctx, time.Now().AppendFormat(nil, format), rsp.MsgInfo{}); err != nil {
			return
		}
		if err := awaitMessage(ctx, session, buf); err != nil {
			return
		}
	}
}

// awaitMessage receives a message to its end.
func awaitMessage(ctx context.Context, session *rsp.Socket, buf []byte) error {
	for {
		_, info, err := session.RecvMsg(ctx, buf)
		if err != nil {
			return err
		}
		if info.EOR && !info.CookieEcho {
			return nil
		}
	}
}
