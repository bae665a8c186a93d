// Package chargen is the service CharGen: characters without end, as fast as the PU takes them (RFC 864).
package chargen

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"sync"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
	"github.com/rserpool/rsp/examples/internal/service"
)

type charGen struct{ maxThreads int }

// New returns the service.
func New() service.Service { return &charGen{maxThreads: 4} }

func (*charGen) Name() string         { return "Character Generator" }
func (*charGen) Pool() rsp.PoolHandle { return "CharGenPool" }
func (*charGen) Policy() rsp.Policy   { return rsp.RoundRobin() }

func (c *charGen) RegisterFlags(fs *flag.FlagSet) {
	fs.Var(program.Count(&c.maxThreads, 1), "chargenmaxthreads", "Sets an upper limit for the number of simultaneous CharGen sessions, `threads`.")
}

func (c *charGen) PrintParameters(w io.Writer) {
	fmt.Fprintf(w, "   %-23s = %d\n", "Max Threads", c.maxThreads)
}

func (c *charGen) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error {
	return service.Threads(ctx, listener, c.maxThreads, out, func(ctx context.Context, session *rsp.Socket, _ int) {
		serve(ctx, session)
	})
}

// serve sends, and throws away what comes, until the session or ctx ends.
func serve(ctx context.Context, session *rsp.Socket) {
	ctx, cancel := context.WithCancel(ctx)
	var receiver sync.WaitGroup
	receiver.Go(func() {
		defer cancel()
		discard(ctx, session)
	})
	generate(ctx, session)
	cancel()
	receiver.Wait()
}

// RSPLIB's pattern: each byte is one more than that before, from first, and again from there.
const (
	first      = 30
	characters = 98
	messageLen = 1024
)

// generate sends messages for as long as they are taken: SendMsg waits while the PU does not.
func generate(ctx context.Context, session *rsp.Socket) {
	b := make([]byte, messageLen)
	for sent := 0; ; sent = (sent + messageLen) % characters {
		for i := range b {
			b[i] = byte(first + (sent+i)%characters)
		}
		if err := session.SendMsg(ctx, b, rsp.MsgInfo{}); err != nil {
			return
		}
	}
}

// discard throws away what the PU sends, until the session or ctx ends.
func discard(ctx context.Context, session *rsp.Socket) {
	buf := make([]byte, 4<<10)
	for {
		if _, _, err := session.RecvMsg(ctx, buf); err != nil {
			return
		}
	}
}
