package main

import (
	"fmt"
	"io"
	"time"

	"github.com/rserpool/rsp/examples/internal/calcapp"
)

// point is a value at a time in seconds of the pool.
type point struct{ at, value float64 }

// result is what was measured.
type result struct {
	*lesson
	servers []*server
	jobs    []point // when each was complete, and its handling speed as a part of a common server's capacity
	deaths  []float64
	total   calcapp.Stats // of all clients
}

// result is called when all has ended.
func (p *pool) result() *result {
	r := &result{lesson: p.lesson, servers: p.servers, jobs: p.jobs, deaths: p.deaths}
	for _, c := range p.clients {
		s, t := &c.Stats, &r.total
		t.JobsQueued += s.JobsQueued
		t.JobsStarted += s.JobsStarted
		t.JobsCompleted += s.JobsCompleted
		t.JobSizeCompleted += s.JobSizeCompleted
		t.JobsFailedOver += s.JobsFailedOver
		t.Failovers += s.Failovers
		t.Restarts += s.Restarts
		t.Rejects += s.Rejects
		t.QueuingTime += s.QueuingTime
		t.StartupTime += s.StartupTime
		t.ProcessingTime += s.ProcessingTime
		t.HandlingTime += s.HandlingTime
	}
	return r
}

// lost is how many jobs were made and never completed.
func (r *result) lost() int { return r.total.JobsQueued - r.total.JobsCompleted }

// writeTable prints what the servers and the clients have met.
func (r *result) writeTable(w io.Writer) {
	fmt.Fprintf(w, "\n%-8s %9s %6s %9s %8s %14s\n", "server", "capacity", "lives", "accepted", "refused", "utilisation/%")
	var used, available float64
	for i, s := range r.servers {
		var accepted, refused int
		var had float64 // calculations that it could have made while it was there
		for _, life := range s.lives {
			u := life.Usage()
			accepted += u.Accepted
			refused += u.Rejected
			had += u.Uptime.Seconds() * s.capacity
		}
		fmt.Fprintf(w, "%-8s %9g %6d %9d %8d %14.1f\n", s.name, r.capacity(i)/capacity, len(s.lives), accepted, refused, 100*s.used()/had)
		used += s.used()
		available += had
	}
	fmt.Fprintf(w, "%-8s %9g %40.1f\n\n", "pool", r.poolCapacity()/capacity, 100*used/available)

	t := &r.total
	jobs := time.Duration(max(1, t.JobsCompleted))
	fmt.Fprintf(w, "Policy %v; %d deaths of servers in %.0f s of the pool (%v of the clock).\n", r.policy, len(r.deaths), r.model(r.runtime), r.runtime)
	fmt.Fprintf(w, "Jobs: %d made, %d started, %d completed, %d lost. %d failed over, %d times; %d of these began anew. %d refusals.\n",
		t.JobsQueued, t.JobsStarted, t.JobsCompleted, r.lost(), t.JobsFailedOver, t.Failovers, t.Restarts, t.Rejects)
	fmt.Fprintf(w, "Calculations made in vain: %.1f %% of all.\n", 100*max(0, 1-float64(t.JobSizeCompleted)/max(1, used)))
	fmt.Fprintf(w, "A job takes %.1f s on average: %.1f s of queuing at its client, %.1f s of startup, %.1f s of processing.\n",
		r.model(t.HandlingTime/jobs), r.model(t.QueuingTime/jobs), r.model(t.StartupTime/jobs), r.model(t.ProcessingTime/jobs))
	fmt.Fprintf(w, "Its handling speed is %.0f %% of the capacity of a server like Berta.\n", 100*r.meanSpeed())
}

// meanSpeed is the mean of the jobs' handling speeds.
func (r *result) meanSpeed() (mean float64) {
	for _, j := range r.jobs {
		mean += j.value / float64(len(r.jobs))
	}
	return mean
}
