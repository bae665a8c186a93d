package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/pingpong"
	"github.com/rserpool/rsp/examples/internal/program"
)

// client sends a Ping at each interval, and checks the Pongs.
type client struct {
	endpoint *rsp.Endpoint
	pool     rsp.PoolHandle
	interval time.Duration
	screen   *program.Screen

	session   *rsp.Socket
	sent      uint64 // number of the last Ping
	nextReply uint64 // that the next Pong should have
}

// run goes on until ctx ends. What a lost server has not answered is not sent again: the numbers of the
// replies tell of the state, which the cookie takes along, not of each message.
func (c *client) run(ctx context.Context) error {
	d := rsp.Dialer{Endpoint: c.endpoint, Failover: rsp.FailoverManual, FailoverTimeout: -1, Notifications: true}
	session, err := d.Connect(ctx, c.pool)
	if err != nil {
		return quietly(ctx, err)
	}
	defer session.Close()
	c.session, c.nextReply = session, 1
	for {
		if err := c.send(ctx); err != nil {
			return quietly(ctx, err)
		}
		if err := c.receive(ctx, time.Now().Add(c.interval)); err != nil {
			return quietly(ctx, err)
		}
	}
}

// quietly drops an error that came by the end of ctx.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// send sends the next Ping, unless the session has lost its server: a notification tells so next.
func (c *client) send(ctx context.Context) error {
	ping := pingpong.Ping{Number: c.sent + 1, Payload: fmt.Appendf(nil, "Nachricht: %d, Zeitstempel: %d", c.sent+1, time.Now().UnixMicro())}
	err := c.session.SendMsg(ctx, ping.Append(nil), rsp.MsgInfo{PPID: pingpong.PPID})
	if errors.Is(err, rsp.ErrFailover) {
		return nil
	}
	if err == nil {
		c.sent++
		c.screen.Printf("Message #%d sent", c.sent)
	}
	return err
}

// receive prints what comes until then, and fails over when it must.
func (c *client) receive(ctx context.Context, until time.Time) error {
	if err := c.session.SetReadDeadline(until); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		n, info, err := c.session.RecvFullMsg(ctx, buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrShortBuffer):
			// half a message, which is no Pong of ours
		case err != nil:
			return err
		case info.Notification != nil:
			if err := c.notice(ctx, info.Notification); err != nil {
				return err
			}
		default:
			if pong, err := pingpong.ParsePong(buf[:n]); err == nil {
				c.pong(pong, info.PE)
			}
		}
	}
}

// notice prints a notification, and goes on with another server if this one is lost.
func (c *client) notice(ctx context.Context, n *rsp.Notification) error {
	c.screen.Notification(n)
	if n.Type != rsp.FailoverNecessary {
		return nil
	}
	c.screen.Printf("FAILOVER...")
	return c.session.ForceFailover(ctx, false)
}

// pong prints a Pong, and whether replies are missing before it.
func (c *client) pong(pong pingpong.Pong, pe rsp.PEID) {
	c.screen.Answer("%s: Ack #%d from PE $%08x (reply #%d)", time.Now().Format(program.TimeFormat), pong.Number, uint32(pe), pong.Reply)
	if gap := int64(pong.Reply - c.nextReply); gap != 0 {
		c.screen.Printf("*** Detected gap of %d! ***", gap)
	}
	c.nextReply = pong.Reply + 1
}
