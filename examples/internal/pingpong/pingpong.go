// Package pingpong is the service Ping Pong: it numbers its replies, and takes the number along to the
// next server by a cookie.
package pingpong

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
	"github.com/rserpool/rsp/examples/internal/service"
)

type pingPong struct {
	failureAfter int // replies; 0: never
	maxThreads   int
}

// New returns the service.
func New() service.Service { return &pingPong{maxThreads: 4} }

func (*pingPong) Name() string         { return "Ping Pong" }
func (*pingPong) Pool() rsp.PoolHandle { return "PingPongPool" }
func (*pingPong) Policy() rsp.Policy   { return rsp.RoundRobin() }

func (p *pingPong) RegisterFlags(fs *flag.FlagSet) {
	fs.Var(program.Count(&p.failureAfter, 0), "pppfailureafter", "After the set number of `messages`, the server will terminate the connection in order to test failovers; 0: never.")
	fs.Var(program.Count(&p.maxThreads, 1), "pppmaxthreads", "Sets an upper limit for the number of simultaneous PingPong sessions, `threads`.")
}

func (p *pingPong) PrintParameters(w io.Writer) {
	fmt.Fprintf(w, "   %-23s = %d\n", "Max Threads", p.maxThreads)
}

func (p *pingPong) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error {
	return service.Threads(ctx, listener, p.maxThreads, out, func(ctx context.Context, session *rsp.Socket, number int) {
		p.answer(ctx, session, number, out)
	})
}

// answer answers each Ping, and gives its PU a cookie after each Pong.
func (p *pingPong) answer(ctx context.Context, session *rsp.Socket, number int, out *log.Logger) {
	nextReply := uint64(1)
	buf := make([]byte, maxMessage)
	for replies := 0; p.failureAfter == 0 || replies < p.failureAfter; {
		n, info, err := session.RecvFullMsg(ctx, buf)
		if errors.Is(err, io.ErrShortBuffer) {
			continue // longer than any message of ours
		}
		if err != nil {
			return // the PU has ended the session, or is lost, or ctx has ended
		}
		if info.CookieEcho {
			if next, err := parseCookie(buf[:n]); err == nil { // as RSPLIB's, it begins at 1 without a good one
				nextReply = next
			}
			continue
		}
		ping, err := ParsePing(buf[:n])
		if err != nil || info.PPID != PPID {
			continue // nothing to answer
		}
		if err := reply(ctx, session, ping, nextReply); err != nil {
			return
		}
		nextReply++
		replies++
	}
	out.Printf("Failure Tester on RSerPool socket %d -> Disconnecting after %d replies!", number, p.failureAfter)
}

func reply(ctx context.Context, session *rsp.Socket, ping Ping, number uint64) error {
	pong := Pong{Number: ping.Number, Reply: number, Payload: ping.Payload}
	if err := session.SendMsg(ctx, pong.Append(nil), rsp.MsgInfo{PPID: PPID}); err != nil {
		return err
	}
	return session.SendCookie(ctx, appendCookie(nil, number+1))
}
