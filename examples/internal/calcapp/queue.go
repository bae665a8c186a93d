package calcapp

import (
	"context"
	"math/rand/v2"
	"time"
)

// Job is a job of a client, with what has become of it.
type Job struct {
	ID          uint32
	Size        uint64 // calculations
	QueueLength int    // jobs that waited when it was made
	Failovers   int    // how often another server has accepted it

	Queued, Started, Accepted, Completed time.Time
}

// The times that make up the handling of a job.
func (j *Job) QueuingDelay() time.Duration   { return j.Started.Sub(j.Queued) }
func (j *Job) StartupDelay() time.Duration   { return j.Accepted.Sub(j.Started) }
func (j *Job) ProcessingTime() time.Duration { return j.Completed.Sub(j.Accepted) }
func (j *Job) HandlingTime() time.Duration   { return j.Completed.Sub(j.Queued) }

// speed is what a job gets done in a time, in calculations per second.
func speed(calculations uint64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(calculations) / in.Seconds()
}

// ProcessingSpeed is the job's size by the time from the first ACCEPT to its completion.
func (j *Job) ProcessingSpeed() float64 { return speed(j.Size, j.ProcessingTime()) }

// HandlingSpeed is the job's size by the time since it was made: what the user has of the pool.
func (j *Job) HandlingSpeed() float64 { return speed(j.Size, j.HandlingTime()) }

// jobQueue makes jobs at random times, independent of how fast they are handled, and keeps them until
// their turn. It makes those that are late when somebody looks, with the time at which they were due.
type jobQueue struct {
	interval time.Duration // mean
	size     float64       // mean, calculations
	random   *rand.Rand
	until    time.Time // no job is made later; zero: without end

	waiting []*Job
	next    time.Time // when the next one is made
	made    uint32
	total   uint64 // calculations
}

func (q *jobQueue) start(now time.Time) { q.next = now.Add(q.pause()) }

// pause is a random time to the next job. They are never so dense that making them takes all time.
func (q *jobQueue) pause() time.Duration {
	return max(time.Microsecond, time.Duration(q.random.ExpFloat64()*float64(q.interval)))
}

func (q *jobQueue) over(t time.Time) bool { return !q.until.IsZero() && t.After(q.until) }

// fill makes the jobs that are due.
func (q *jobQueue) fill(now time.Time) {
	for !q.next.After(now) && !q.over(q.next) {
		q.made++
		j := &Job{ID: q.made, Size: uint64(max(1, q.random.ExpFloat64()*q.size)), QueueLength: len(q.waiting), Queued: q.next}
		q.total += j.Size
		q.waiting = append(q.waiting, j)
		q.next = q.next.Add(q.pause())
	}
}

// take waits for the next job; nil if there will be none, or ctx ends.
func (q *jobQueue) take(ctx context.Context) *Job {
	for ctx.Err() == nil {
		q.fill(time.Now())
		if len(q.waiting) > 0 {
			j := q.waiting[0]
			q.waiting = q.waiting[1:]
			return j
		}
		if q.over(q.next) {
			return nil
		}
		select {
		case <-time.After(time.Until(q.next)):
		case <-ctx.Done():
		}
	}
	return nil
}
