package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

// client sends numbered lines to a pool and counts their answers.
type client struct {
	pool     rsp.PoolHandle
	lines    int
	interval time.Duration
	timeline *timeline
	sent     func(line int, session *rsp.Socket) // of the demo: called after each line; may be nil

	mu         sync.Mutex
	unanswered []int // lines that were sent, oldest first
	answered   int   // how many were answered, each once and in order
	repeated   int   // answers that came twice
	failovers  int
}

func (c *client) run(ctx context.Context, e *rsp.Endpoint) error {
	d := rsp.Dialer{Endpoint: e, OnFailover: c.onFailover}
	session, err := d.Connect(ctx, c.pool)
	if err != nil {
		return err
	}
	defer session.Close()

	received := make(chan error, 1)
	go func() { received <- c.receive(ctx, session) }()
	if err := c.send(ctx, session); err != nil {
		return err
	}
	return <-received
}

// send sends the lines. It knows nothing of failovers: while the session has no server, SendMsg
// waits.
func (c *client) send(ctx context.Context, session *rsp.Socket) error {
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for line := 1; line <= c.lines; line++ {
		c.mu.Lock()
		c.unanswered = append(c.unanswered, line)
		c.mu.Unlock()
		if err := session.SendMsg(ctx, fmt.Appendf(nil, "line %d\n", line), rsp.MsgInfo{}); err != nil {
			return err
		}
		if c.sent != nil {
			c.sent(line, session)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// onFailover is called when another server has taken over, before anything else is sent to
// it: whatever the lost one has not answered is sent again.
func (c *client) onFailover(_ context.Context, f *rsp.FailoverEvent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failovers++
	c.timeline.failover(f, len(c.unanswered))
	for _, line := range c.unanswered {
		if _, err := fmt.Fprintf(f, "line %d\n", line); err != nil {
			return err
		}
	}
	return nil
}

// receive takes the answers. A line that was sent again may be answered twice, by either
// server: its number tells.
func (c *client) receive(ctx context.Context, session *rsp.Socket) error {
	buf := make([]byte, 64<<10)
	for {
		n, info, err := session.RecvFullMsg(ctx, buf)
		if err != nil {
			return err
		}
		var line int
		if _, err := fmt.Sscanf(string(buf[:n]), "line %d", &line); err != nil {
			return fmt.Errorf("strange answer %q: %w", buf[:n], err)
		}
		done, err := c.answer(line)
		if err != nil {
			return err
		}
		c.timeline.answer(info.PE, line)
		if done {
			return nil
		}
	}
}

// answer counts an answer, and reports whether it was the last one.
func (c *client) answer(line int) (done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case line <= c.answered:
		c.repeated++
	case line == c.answered+1:
		c.answered = line
		c.unanswered = c.unanswered[1:]
	default:
		return false, fmt.Errorf("line %d was answered before line %d", line, c.answered+1)
	}
	return c.answered == c.lines, nil
}

func (c *client) summary() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeline.printf("%d of %d lines answered exactly once, in order; %d failovers, %d repeated answers dropped",
		c.answered, c.lines, c.failovers, c.repeated)
	if c.answered != c.lines {
		return fmt.Errorf("%d lines were not answered", c.lines-c.answered)
	}
	return nil
}
