package tcp

import "time"

// deadline ends the waiting of calls. Its fields belong to the lock of the assoc.
type deadline struct {
	at     time.Time // zero: none
	passed bool
	timer  *time.Timer
}

// setDeadline changes d, one of the deadlines of a. a.mu is held.
func (a *assoc) setDeadline(d *deadline, at time.Time) {
	d.at, d.passed = at, false
	if d.timer != nil {
		d.timer.Stop()
	}
	if !at.IsZero() {
		a.checkDeadline(d)
	}
}

// checkDeadline wakes the calls that wait if d has passed, otherwise it looks again when
// it will have: a timer may be late for a deadline that has changed. a.mu is held.
func (a *assoc) checkDeadline(d *deadline) {
	if d.passed || d.at.IsZero() {
		return
	}
	rest := time.Until(d.at)
	switch {
	case rest <= 0:
		d.passed = true
		a.wake()
		if d == &a.writeDeadline {
			a.interruptSend()
		}
	case d.timer != nil:
		d.timer.Reset(rest)
	default:
		d.timer = time.AfterFunc(rest, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.checkDeadline(d)
		})
	}
}

// hasPassed does not rely on the timer, which may be a little late. a.mu is held.
func (d *deadline) hasPassed() bool {
	return d.passed || !d.at.IsZero() && !time.Now().Before(d.at)
}

// stop ends d for good. a.mu of its assoc is held.
func (d *deadline) stop() {
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}
