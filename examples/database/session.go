package main

import (
	"bufio"
	"context"
	"errors"

	"github.com/rserpool/rsp"
)

// client keeps one session with the pool. FailoverManual suits a client that sends a command and waits
// for its reply: the loss comes as the reply's error, and what to do depends on the command.
type client struct {
	session *rsp.Socket
	r       *bufio.Reader
}

func connect(ctx context.Context, e *rsp.Endpoint) (*client, error) {
	d := rsp.Dialer{Endpoint: e, Failover: rsp.FailoverManual}
	session, err := d.Connect(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &client{session, bufio.NewReader(session)}, nil
}

var errUnanswered = errors.New("not answered, and not sent again: it may have been done")

// do sends a command and returns the reply. If the server is lost the session goes on with the
// next one, which gets the cookie, and then the command again if that does no harm.
func (c *client) do(ctx context.Context, args ...string) (string, error) {
	for {
		reply, err := roundTrip(c.session, c.r, args)
		if !errors.Is(err, rsp.ErrFailover) {
			return reply, err
		}
		if err := c.session.ForceFailover(ctx, true); err != nil {
			return "", err
		}
		c.r.Reset(c.session) // a part of a reply is worth nothing
		if !repeatable(args[0]) {
			return "", errUnanswered
		}
	}
}
