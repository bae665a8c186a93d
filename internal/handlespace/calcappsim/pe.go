package main

import (
	"cmp"
	"slices"
)

// pe is a CalcApp server: its capacity is shared equally by the jobs that run, of
// which there are at most maxJobs.
type pe struct {
	queue    *queue
	capacity float64 // calculations per second
	maxJobs  int
	changed  func(*pe) // told when the number of jobs is another

	jobs       []*job
	completion *timer  // of the job that completes first
	at         float64 // the time up to which the next two hold
	progress   float64 // calculations of a job that would have run since time 0
	busy       float64 // seconds with a job
}

// job is what a PU wants to have calculated. Handling it is queuing in the PU,
// startup until a PE accepts it, and processing there.
type job struct {
	size     float64 // calculations
	queued   float64 // when it was made
	done     func(*job)
	progress float64 // that of the PE when the job is complete
}

func newPE(q *queue, capacity float64, maxJobs int, changed func(*pe)) *pe {
	p := &pe{queue: q, capacity: capacity, maxJobs: maxJobs, changed: changed}
	p.completion = newTimer(p.complete)
	return p
}

// accept starts a job, or refuses it.
func (p *pe) accept(j *job) bool {
	if len(p.jobs) >= p.maxJobs {
		return false
	}
	p.advance()
	j.progress = p.progress + j.size
	p.jobs = append(p.jobs, j)
	p.reset()
	return true
}

// complete ends the job that needs the least progress.
func (p *pe) complete() {
	p.advance()
	j := p.first()
	p.progress = j.progress // which it is, but for rounding
	p.jobs = slices.DeleteFunc(p.jobs, func(other *job) bool { return other == j })
	p.reset()
	j.done(j)
}

// advance lets the jobs run up to now. As all get the same share, one number
// tells the progress of each.
func (p *pe) advance() {
	elapsed := p.queue.now - p.at
	p.at = p.queue.now
	if n := len(p.jobs); n > 0 {
		p.busy += elapsed
		p.progress += elapsed * p.capacity / float64(n)
	}
}

// reset follows each change of the number of jobs.
func (p *pe) reset() {
	if n := len(p.jobs); n > 0 {
		left := max(0, p.first().progress-p.progress)
		p.queue.set(p.completion, p.at+left*float64(n)/p.capacity)
	} else {
		p.queue.stop(p.completion)
	}
	p.changed(p)
}

// first is the job that completes first; there must be one.
func (p *pe) first() *job {
	return slices.MinFunc(p.jobs, func(a, b *job) int { return cmp.Compare(a.progress, b.progress) })
}
