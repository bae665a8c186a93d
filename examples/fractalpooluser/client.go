package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/fractal"
)

// client computes pictures with a pool.
type client struct {
	endpoint                 *rsp.Endpoint
	pool                     rsp.PoolHandle
	threads                  int
	sendTimeout, recvTimeout time.Duration
	history                  *history
}

// compute computes one picture.
func (c *client) compute(ctx context.Context, title string, parameter fractal.Parameter) (*picture, error) {
	p := newPicture(title, parameter, c.threads)
	c.history.begin(p)
	start := time.Now()
	err := c.computeTiles(ctx, p)
	if err != nil {
		err = fmt.Errorf("%s: %w", title, err)
		c.history.add(event{kind: eventEnd, picture: p, text: "given up: " + err.Error()})
		return nil, err
	}
	c.history.add(event{kind: eventEnd, picture: p, text: fmt.Sprintf("the picture is complete after %.1f s and %d failovers",
		time.Since(start).Seconds(), p.failovers())})
	return p, nil
}

// computeTiles computes all tiles at the same time. The first that fails ends the others.
func (c *client) computeTiles(ctx context.Context, p *picture) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sessions sync.WaitGroup
	for _, t := range p.tiles {
		sessions.Go(func() {
			s := &session{client: c, picture: p, tile: t}
			if err := s.run(ctx); err != nil {
				cancel(fmt.Errorf("session %d: %w", t.number+1, err))
			}
		})
	}
	sessions.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return p.complete()
}

// session computes one tile with whichever servers it gets.
type session struct {
	client  *client
	picture *picture
	tile    *tile
	socket  *rsp.Socket
}

func (s *session) run(ctx context.Context) error {
	// As long as there is no server, the picture waits.
	dialer := rsp.Dialer{Endpoint: s.client.endpoint, OnFailover: s.onFailover, FailoverTimeout: -1}
	var err error
	if s.socket, err = s.connect(ctx, &dialer); err != nil {
		return err
	}
	defer s.socket.Close()
	s.client.history.add(event{kind: eventServer, picture: s.picture, tile: s.tile.number, pe: s.socket.PeerPE()})
	if err := s.ask(ctx); err != nil {
		return err
	}
	buf := make([]byte, fractal.MaxMessage)
	for {
		end, err := s.receive(ctx, buf)
		if end || err != nil {
			return err
		}
	}
}

// connect waits for the pool to have a server.
func (s *session) connect(ctx context.Context, d *rsp.Dialer) (*rsp.Socket, error) {
	const pause = time.Second
	for told := false; ; told = true {
		socket, err := d.Connect(ctx, s.client.pool)
		if err == nil || ctx.Err() != nil {
			return socket, err
		}
		if !told {
			s.client.history.add(event{kind: eventNote, picture: s.picture, text: fmt.Sprintf("session %d waits for a server: %v", s.tile.number+1, err)})
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ask asks for the tile. A server that does not take the question is given up, and
// onFailover asks the next one.
func (s *session) ask(ctx context.Context) error {
	sending, cancel := context.WithTimeout(ctx, s.client.sendTimeout)
	defer cancel()
	err := s.socket.SendMsg(sending, s.tile.parameter.AppendTo(nil), rsp.MsgInfo{PPID: fractal.PPID})
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return s.socket.ForceFailover(ctx, true)
	}
	return err
}

// onFailover asks the new server for the tile, unless it has the cookie, which says all.
func (s *session) onFailover(_ context.Context, f *rsp.FailoverEvent) error {
	s.picture.failedOver(s.tile)
	s.client.history.add(event{
		kind: eventFailover, picture: s.picture, tile: s.tile.number,
		pe: f.PE, lost: f.Lost, took: time.Since(f.LostAt), cookie: f.HasCookie,
	})
	if f.HasCookie {
		return nil
	}
	return f.SendMsg(s.tile.parameter.AppendTo(nil), rsp.MsgInfo{PPID: fractal.PPID})
}

// receive takes the next points. A server that sends none for too long is given up.
func (s *session) receive(ctx context.Context, buf []byte) (end bool, err error) {
	receiving, cancel := context.WithTimeout(ctx, s.client.recvTimeout)
	n, info, err := s.socket.RecvFullMsg(receiving, buf)
	cancel()
	switch {
	case err == nil:
	case errors.Is(err, io.ErrUnexpectedEOF): // a message that was lost with its server: the next one repeats it
		return false, nil
	case ctx.Err() == nil && errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return false, s.socket.ForceFailover(ctx, false)
	default:
		return false, err
	}
	if info.PPID != fractal.PPID {
		return false, fmt.Errorf("PE %v sends a message of protocol %d", info.PE, info.PPID)
	}
	d, err := fractal.ParseData(buf[:n])
	if err != nil {
		return false, fmt.Errorf("PE %v: %w", info.PE, err)
	}
	if d.IsEnd() {
		return true, nil
	}
	first, err := s.picture.put(s.tile, info.PE, d)
	if err != nil {
		return false, fmt.Errorf("PE %v: %w", info.PE, err)
	}
	s.client.history.add(event{
		kind: eventPoints, picture: s.picture, tile: s.tile.number, pe: info.PE, first: first, points: len(d.Points),
	})
	return false, nil
}
