package rsp

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
)

// question is one handle resolution under way. A pool has one at most, for all who wait for
// its answer.
type question struct {
	pool     PoolHandle
	items    uint32       // that are asked for; 0: as many as the registrar gives unasked
	id       asap.QueryID // belongs to the loop's owner
	waiters  []*waiter    // who came first comes first
	reported []PEID       // since it was asked
}

// waiter is one caller of Resolve.
type waiter struct {
	n      uint32
	answer chan answer // buffered: there is one
}

// answer is a question's end for one waiter: a resolution, else an error, else the question
// brought too little and another one, for items, is due.
type answer struct {
	resolution *Resolution
	err        error
	items      uint32
}

// wait joins the question that is under way about a pool, or asks for items, and waits for its
// end.
func (e *Endpoint) wait(ctx context.Context, pool PoolHandle, n, items uint32) answer {
	w := &waiter{n: n, answer: make(chan answer, 1)}
	if err := e.ask(pool, items, w); err != nil {
		return answer{err: err}
	}
	select {
	case a := <-w.answer:
		return a
	case <-e.ctx.Done():
		return answer{err: errEndpointClosed}
	case <-ctx.Done():
		e.loop.Do(func(_ time.Time, c *asap.Client) {
			if q := e.cache.leave(pool, w); q != nil {
				c.Cancel(q.id)
				delete(e.questions, q.id)
			}
		})
		return answer{err: ctx.Err()}
	}
}

// ask makes sure that a question about a pool is under way. w is told its end, unless it is nil.
func (e *Endpoint) ask(pool PoolHandle, items uint32, w *waiter) error {
	e.hearAnnounces()
	if !e.loop.Do(func(now time.Time, c *asap.Client) {
		if q := e.cache.join(pool, items, w); q != nil {
			q.id = c.Resolve(now, pool, items)
			e.questions[q.id] = q
		}
	}) {
		return errEndpointClosed
	}
	return nil
}

// join adds w, unless it is nil, to those who wait for an answer about a pool. If nobody has
// asked, it returns the question that is to be asked.
func (c *cache) join(pool PoolHandle, items uint32, w *waiter) (ask *question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.questions[pool]
	if q == nil {
		q = &question{pool: pool, items: items}
		c.questions[pool], ask = q, q
	}
	if w != nil {
		q.waiters = append(q.waiters, w)
	}
	return ask
}

// leave ends the waiting of w. It returns the question if that is not needed any more. About a
// pool that is known it is: its end tells whether registrars can be reached, also to those who
// have not the time to wait for it.
func (c *cache) leave(pool PoolHandle, w *waiter) (cancel *question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.questions[pool]
	if q == nil || !slices.Contains(q.waiters, w) {
		return nil // it was answered at the same time
	}
	q.waiters = slices.DeleteFunc(q.waiters, func(other *waiter) bool { return other == w })
	if len(q.waiters) > 0 || c.pools[pool] != nil {
		return nil
	}
	delete(c.questions, pool)
	return q
}

// handleResolved takes the end of a question; the loop's lock is held.
func (e *Endpoint) handleResolved(ev asap.Resolved) {
	q := e.questions[ev.Query]
	if q == nil {
		return
	}
	delete(e.questions, ev.Query)
	cause, refused := CauseOf(ev.Err)
	err := ev.Err
	switch {
	case refused && cause == protocol.CauseUnknownPoolHandle:
		err = &unknownPoolError{ev.Err}
	case err == nil && len(ev.Elements) == 0:
		err = ErrUnknownPool
	}
	e.setOutage(errors.Is(err, asap.ErrNoRegistrar) || errors.Is(err, asap.ErrNoResponse), err)
	e.cache.end(time.Now(), q, ev.Elements, err)
}

// setOutage notes whether a registrar has answered; the loop's lock is held.
func (e *Endpoint) setOutage(outage bool, err error) {
	switch {
	case !e.cache.setOutage(outage):
	case outage:
		e.events.tell(slog.LevelWarn, "no registrar answers: pools are resolved by what is known of them", "err", err)
	default:
		e.events.tell(slog.LevelInfo, "a registrar answers again")
	}
}

// unknownPoolError is a registrar's word that it does not know a pool.
type unknownPoolError struct{ cause error }

func (e *unknownPoolError) Error() string        { return ErrUnknownPool.Error() }
func (e *unknownPoolError) Unwrap() error        { return e.cause }
func (e *unknownPoolError) Is(target error) bool { return target == ErrUnknownPool }
