package main

import (
	"math/rand/v2"
	"slices"
)

// pu is a CalcApp client. It makes jobs of random size at random intervals and
// has them handled one at a time, in order.
type pu struct {
	sim  *simulation
	rand *rand.Rand

	jobs      []*job // the first one is at work
	refusedBy []*pe  // that job, since a round of all PEs ended
	asked     *pe    // the PE that is being asked to accept it

	interval *timer // to the next job
	startup  *timer // until the request is at the PE
	retry    *timer // after a refusal
}

func newPU(sim *simulation, source rand.Source) *pu {
	u := &pu{sim: sim, rand: rand.New(source)}
	u.interval = newTimer(u.makeJob)
	u.startup = newTimer(u.request)
	u.retry = newTimer(u.choose)
	u.setInterval()
	return u
}

func (u *pu) setInterval() {
	u.sim.queue.set(u.interval, u.sim.queue.now+u.rand.ExpFloat64()*u.sim.jobInterval())
}

func (u *pu) makeJob() {
	u.setInterval()
	u.add(u.rand.ExpFloat64() * u.sim.jobSize)
}

// add queues a job of some size.
func (u *pu) add(size float64) {
	u.jobs = append(u.jobs, &job{size: size, queued: u.sim.queue.now, done: u.completed})
	if len(u.jobs) == 1 {
		u.choose()
	}
}

// choose resolves the pool handle to a PE that has not refused the job yet.
func (u *pu) choose() {
	u.asked = u.sim.choose(u.refusedBy)
	u.sim.queue.set(u.startup, u.sim.queue.now+u.sim.startup)
}

// request asks the PE to accept the job. When all have refused it, their turn
// comes again.
func (u *pu) request() {
	if u.asked.accept(u.jobs[0]) {
		return
	}
	u.sim.refused++
	u.refusedBy = append(u.refusedBy, u.asked)
	if len(u.refusedBy) == len(u.sim.pes) {
		u.refusedBy = u.refusedBy[:0]
	}
	u.sim.queue.set(u.retry, u.sim.queue.now+u.sim.retryPause)
}

func (u *pu) completed(j *job) {
	u.sim.handled(j)
	u.jobs = slices.Delete(u.jobs, 0, 1)
	u.refusedBy = u.refusedBy[:0]
	if len(u.jobs) > 0 {
		u.choose()
	}
}
