package rsp

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/registrar"
)

// ChangeKind is what has happened to a pool element in a registrar's handlespace.
type ChangeKind = handlespace.ChangeKind

// Kinds of changes.
const (
	Added       = handlespace.Added
	Updated     = handlespace.Updated // its policy, load, addresses or home
	Removed     = handlespace.Removed
	HomeChanged = handlespace.HomeChanged
)

// ChangeReason is why it has happened.
type ChangeReason = handlespace.Reason

// Reasons of changes.
const (
	Registered          = handlespace.Registered          // the PE registered, anew or again
	Deregistered        = handlespace.Deregistered        // it asked for it
	AssociationLost     = handlespace.AssociationLost     // its association with its home has ended
	KeepAliveLost       = handlespace.KeepAliveLost       // it did not answer its home
	ReportedUnreachable = handlespace.ReportedUnreachable // PUs could not reach it
	Expired             = handlespace.Expired             // its home has not renewed it within its life
	TakenOver           = handlespace.TakenOver           // it has another home, since its own is gone
	Synchronized        = handlespace.Synchronized        // a peer says so
)

// Change is one change of a registrar's handlespace.
type Change struct {
	Snapshot bool // no change: what was there when the watch began
	Kind     ChangeKind
	Reason   ChangeReason
	Pool     PoolHandle
	Element  Element     // as it is after the change; Removed: as it was
	OldHome  RegistrarID // the home before the change
}

// ErrWatchLagging ends a watch whose user takes the changes too slowly.
var ErrWatchLagging = errors.New("too many changes wait to be taken")

// maxLag is how many changes may wait for the user of a watch.
const maxLag = 1 << 16

// watcher is one watch. It is fed under the loop's lock, and emptied by its user.
type watcher struct {
	wake chan struct{} // of one place

	mu      sync.Mutex
	waiting []Change
	lagging bool
}

func (w *watcher) push(c Change) {
	w.mu.Lock()
	if len(w.waiting) < maxLag {
		w.waiting = append(w.waiting, c)
	} else {
		w.lagging = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() (waiting []Change, lagging bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting, w.waiting = w.waiting, nil
	return waiting, w.lagging
}

// Watch tells what is in the handlespace, then every change of it, in order and without a
// gap, until ctx ends, the registrar ends, or the caller lags too far behind (ErrWatchLagging): that error
// comes last. The loop's body may take its time; the registrar does not wait for it.
func (r *Registrar) Watch(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		w := &watcher{wake: make(chan struct{}, 1)}
		if !r.loop.Do(func(_ time.Time, e *registrar.Engine) {
			for p := range e.Space().Pools() {
				for el := range e.Space().Elements(p.Handle) {
					w.waiting = append(w.waiting, Change{
						Snapshot: true, Kind: Added, Reason: Synchronized, Pool: p.Handle,
						Element: newElement(el.PoolElement.Clone()), OldHome: el.Home,
					})
				}
			}
			r.watchers[w] = struct{}{}
		}) {
			yield(Change{}, errRegistrarClosed)
			return
		}
		defer r.loop.Do(func(time.Time, *registrar.Engine) { delete(r.watchers, w) })
		for {
			waiting, lagging := w.take()
			for _, c := range waiting {
				if !yield(c, nil) {
					return
				}
			}
			if lagging {
				yield(Change{}, ErrWatchLagging)
				return
			}
			if len(waiting) > 0 {
				continue // it took a while to take them
			}
			select {
			case <-w.wake:
			case <-ctx.Done():
				yield(Change{}, ctx.Err())
				return
			case <-r.ended:
				yield(Change{}, errRegistrarClosed)
				return
			}
		}
	}
}

// feed gives a change to all watches; the loop's lock is held.
func (r *Registrar) feed(c registrar.Change) {
	if len(r.watchers) == 0 {
		return
	}
	change := Change{
		Kind: c.Kind, Reason: c.Reason, Pool: c.Element.Handle,
		Element: newElement(c.Element.PoolElement.Clone()), OldHome: c.OldHome,
	}
	for w := range r.watchers {
		w.push(change)
	}
}
