package fractal

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rserpool/rsp"
)

// production is a picture that is computed for a session.
type production struct {
	service   *Service
	session   *rsp.Socket
	parameter Parameter
	// last is the last pixel that the client has been sent, counted row by row; the next server
	// computes it once more, as RSPLIB's do. complete: there is no next server. Cookies are
	// also made by others than the goroutine that computes.
	last     atomic.Int64
	messages int // Data sent
	buf      []byte
}

const complete = -1

var errFailureTest = errors.New("disconnecting to test failovers")

// keepCookie gives the client a cookie at once, and from now on as the options say. Its cookies tell of
// messages that were sent before, not of the one that makes a cookie due: were both to be lost
// but the cookie, the picture would have a hole.
func (p *production) keepCookie(ctx context.Context) error {
	err := p.session.KeepCookie(rsp.CookiePlan{
		State:    p.appendCookie,
		Messages: p.service.CookieMaxPackets,
		Interval: p.service.CookieMaxTime,
	})
	if err != nil {
		return err
	}
	return p.session.FlushCookie(ctx)
}

func (p *production) appendCookie(b []byte) []byte {
	last := p.last.Load()
	if last == complete {
		return b
	}
	c := cookie{parameter: p.parameter}
	c.x, c.y = p.position(last)
	return c.appendTo(b)
}

func (p *production) position(pixel int64) (x, y uint32) {
	width := int64(p.parameter.Width)
	return uint32(pixel % width), uint32(pixel / width)
}

// run computes the picture and sends it, until ctx ends.
func (p *production) run(ctx context.Context) error {
	pixels := int64(p.parameter.Width) * int64(p.parameter.Height)
	first := p.last.Load()
	points := make([]uint32, 0, MaxPoints)
	sent := time.Now()
	for pixel := first; pixel < pixels; pixel++ {
		points = append(points, p.value(pixel))
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(points) < MaxPoints && time.Since(sent) < p.service.DataMaxTime && pixel+1 < pixels {
			continue
		}
		if err := p.sendPoints(ctx, first, points); err != nil {
			return err
		}
		first, points = pixel+1, points[:0]
		if err := p.pause(ctx); err != nil {
			return err
		}
		sent = time.Now()
	}
	if err := p.send(ctx, &End); err != nil {
		return err
	}
	p.last.Store(complete)
	p.awaitEnd(ctx)
	return nil
}

func (p *production) value(pixel int64) uint32 {
	x, y := p.position(pixel)
	if p.service.TestMode {
		return x * y % 256
	}
	return p.parameter.Value(x, y)
}

func (p *production) sendPoints(ctx context.Context, first int64, points []uint32) error {
	x, y := p.position(first)
	if err := p.send(ctx, &Data{X: x, Y: y, Points: points}); err != nil {
		return err
	}
	p.last.Store(first + int64(len(points)) - 1)
	p.messages++
	if p.messages == p.service.FailureAfter {
		return errFailureTest
	}
	return nil
}

func (p *production) send(ctx context.Context, d *Data) error {
	p.buf = d.AppendTo(p.buf[:0])
	ctx, cancel := context.WithTimeout(ctx, p.service.TransmitTimeout)
	defer cancel()
	return p.session.SendMsg(ctx, p.buf, rsp.MsgInfo{PPID: PPID})
}

func (p *production) pause(ctx context.Context) error {
	if p.service.Pause == 0 {
		return nil
	}
	select {
	case <-time.After(p.service.Pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitEnd waits for the client to end the session, so that it does not take the server's end
// for a loss.
func (p *production) awaitEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.service.TransmitTimeout)
	defer cancel()
	_, _, _ = p.session.RecvFullMsg(ctx, p.buf[:cap(p.buf)]) // whatever comes, it is over
}
