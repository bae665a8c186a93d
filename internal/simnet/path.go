package simnet

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// pathView is what one end knows of a path.
type pathView struct {
	failing  bool      // messages take another one, if there is
	down     bool      // NoticePathDown was told
	noticeAt time.Time // when a change will be noticed
}

// pathsBetween pairs the addresses of two ends, the path to the dialed address
// first.
func pathsBetween(local, remote []netip.Addr, dialed netip.Addr) []link {
	var paths []link
	if len(local) > len(remote) {
		for _, a := range local {
			paths = append(paths, linkOf(a, closest(remote, a)))
		}
	} else {
		for _, a := range remote {
			paths = append(paths, linkOf(closest(local, a), a))
		}
	}
	primary := max(0, slices.Index(paths, linkOf(closest(local, dialed), dialed)))
	paths[0], paths[primary] = paths[primary], paths[0]
	return paths
}

// working reports whether any path is.
func (a *association) working() bool {
	for _, works := range a.works {
		if works {
			return true
		}
	}
	return false
}

// setPaths takes in which paths work now. The caller holds net.mu.
func (a *association) setPaths(works func(link) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, before := time.Now(), a.working()
	for i, l := range a.paths {
		if a.works[i] == works(l) {
			continue
		}
		a.works[i] = !a.works[i]
		for _, e := range a.ends {
			e.pathChanged(i, now)
		}
	}
	for _, e := range a.ends {
		switch after := a.working(); {
		case before && !after:
			e.lostAt, e.turnAt = e.probed(now, e.opts.AssocMaxRetrans), time.Time{}
			if !e.suspected {
				e.turnAt = e.probed(now, 0)
			}
		case !before && after:
			e.lostAt, e.turnAt = time.Time{}, time.Time{}
			if e.suspected && !e.peer.lost {
				e.turnAt = now.Add(e.opts.RTOMin + 2*a.net.config.Latency)
			}
			e.flight.delay(now.Add(a.net.config.Latency + e.opts.RTOMin))
			if e.opts.HeartbeatInterval > 0 {
				e.answerStray(now.Add(e.opts.HeartbeatInterval))
			}
		}
		e.schedule()
	}
}

// pathChanged starts the watch that notices a change of path i.
func (e *end) pathChanged(i int, now time.Time) {
	v := &e.views[i]
	v.noticeAt = time.Time{}
	switch {
	case !e.assoc.works[i] && !v.down:
		v.noticeAt = e.probed(now, e.opts.PathMaxRetrans)
	case e.assoc.works[i] && !v.down:
		v.failing = false
	case e.assoc.works[i] && e.opts.HeartbeatInterval > 0:
		v.noticeAt = now.Add(e.opts.HeartbeatInterval)
	}
}

// Tune makes a silence that lasts count anew, by the new timers.
func (e *end) Tune(opts transport.Options) error {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	if errors.Is(e.recvErr, net.ErrClosed) {
		return net.ErrClosed
	}
	buffer := e.opts.Buffer
	e.opts = opts.Or(e.opts)
	e.opts.Buffer = buffer
	now := time.Now()
	if !e.assoc.working() {
		e.lostAt = e.probed(now, e.opts.AssocMaxRetrans)
		if !e.suspected {
			e.turnAt = e.probed(now, 0)
		}
	}
	for i, works := range e.assoc.works {
		if !works {
			e.pathChanged(i, now)
		}
	}
	e.schedule()
	return nil
}

// probed returns when one heartbeat more than retrans has gone unanswered (RFC 4960
// sections 8.1 to 8.3), zero if none are sent.
func (e *end) probed(now time.Time, retrans int) time.Time {
	if e.opts.HeartbeatInterval < 0 {
		return time.Time{}
	}
	return e.timedOut(now, retrans).Add(time.Duration(retrans+1) * e.opts.HeartbeatInterval)
}

// timedOut returns when a message sent now has timed out once more than retrans
// (RFC 4960 section 6.3.3).
func (e *end) timedOut(now time.Time, retrans int) time.Time {
	rto := e.opts.RTOMin
	for range retrans + 1 {
		now = now.Add(rto)
		rto = min(2*rto, e.opts.RTOMax)
	}
	return now
}

// earlier returns the earlier one of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// answerStray plans the abort with which the peer's host answers what e sends at a time, if
// it does not know the association any more (RFC 4960 section 8.4).
func (e *end) answerStray(sent time.Time) {
	if e.peer.lost && e.recvErr == nil {
		e.flight.insert(message{kind: abort, at: sent.Add(2 * e.assoc.net.config.Latency)})
	}
}

// transmit sends m on its way to the peer.
func (e *end) transmit(m message) {
	if e.peer.lost {
		e.peer.discard(m)
		e.answerStray(time.Now())
		e.schedule()
		return
	}
	if m.kind != data && e.peer.recvErr != nil {
		return // the end of an end
	}
	delay := e.delay()
	if delay == 0 && e.peer.flight.empty() && e.assoc.working() {
		e.peer.arrive(m)
		return
	}
	now := time.Now()
	m.at = now.Add(delay)
	e.peer.flight.insert(m)
	if !e.assoc.working() && e.recvErr == nil {
		e.lostAt = earlier(e.lostAt, e.timedOut(now, e.opts.AssocMaxRetrans))
		if !e.suspected {
			e.turnAt = earlier(e.turnAt, e.timedOut(now, 0))
		}
		e.schedule()
	}
	e.peer.schedule()
}

// delay returns how long a message takes that is sent now.
func (e *end) delay() time.Duration {
	config := &e.assoc.net.config
	d, rto := config.Latency, e.opts.RTOMin
	for config.Loss > 0 && e.random.Float64() < config.Loss {
		d += rto
		rto = min(2*rto, e.opts.RTOMax)
	}
	for i := range e.views {
		v := &e.views[i]
		if v.failing {
			continue
		}
		if !e.assoc.works[i] {
			v.failing = true
			v.noticeAt = earlier(v.noticeAt, e.timedOut(time.Now(), e.opts.PathMaxRetrans))
			e.schedule()
			d += e.opts.RTOMin
		}
		break
	}
	return d
}

// schedule sets the timer to the next thing that is due at e.
func (e *end) schedule() {
	if e.recvErr != nil {
		return
	}
	next := earlier(e.lostAt, e.turnAt)
	for i := range e.views {
		next = earlier(next, e.views[i].noticeAt)
	}
	if !e.flight.empty() && e.assoc.working() {
		next = earlier(next, e.flight.first().at)
	}
	switch {
	case next.IsZero() && e.timer != nil:
		e.timer.Stop()
	case next.IsZero():
	case e.timer == nil:
		e.timer = time.AfterFunc(time.Until(next), e.advance)
	default:
		e.timer.Reset(time.Until(next))
	}
}

// advance does what is due.
func (e *end) advance() {
	e.assoc.mu.Lock()
	defer e.assoc.unlock()
	now := time.Now()
	due := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	for e.assoc.working() && !e.flight.empty() && due(e.flight.first().at) {
		e.arrive(e.flight.pop())
	}
	if e.recvErr != nil {
		return
	}
	for i := range e.views {
		if due(e.views[i].noticeAt) {
			e.noticePath(i)
		}
	}
	if due(e.turnAt) {
		e.turn()
	}
	if due(e.lostAt) {
		e.lost = true
		e.peer.dropFlight()
		e.finish(transport.ErrLost)
		return
	}
	e.schedule()
}

// noticePath tells that path i is down, or up again.
func (e *end) noticePath(i int) {
	v := &e.views[i]
	v.down = !e.assoc.works[i]
	v.failing, v.noticeAt = v.down, time.Time{}
	notice := transport.NoticePathUp
	if v.down {
		notice = transport.NoticePathDown
	}
	e.tell(notice)
}

// turn tells that the peer is suspected, or no longer.
func (e *end) turn() {
	e.suspected, e.turnAt = !e.suspected, time.Time{}
	notice := transport.NoticeAnswers
	if e.suspected {
		notice = transport.NoticeSuspect
	}
	e.tell(notice)
}

func (e *end) tell(n transport.Notice) {
	e.inbox.push(message{notice: n})
	e.readable.Signal()
}
