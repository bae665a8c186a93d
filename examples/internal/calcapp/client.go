package calcapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"time"

	"github.com/rserpool/rsp"
)

// Client makes jobs at random times, of random size, both negative exponential, and has them handled by a
// pool, one after the other, each in a session of its own.
type Client struct {
	Endpoint    *rsp.Endpoint
	PoolHandle  rsp.PoolHandle
	JobInterval time.Duration // mean
	JobSize     float64       // mean, calculations
	// KeepAliveTransmissionInterval is the time from a keep-alive's answer to the next one,
	// KeepAliveTimeoutInterval how long a server may take to answer one, or a request.
	KeepAliveTransmissionInterval, KeepAliveTimeoutInterval time.Duration
	// RetryPause is the pause after a server has refused a job, or the pool has no server.
	RetryPause time.Duration
	// MakeJobsFor is for how long jobs are made; then Run handles those that wait, and returns. 0: until its ctx
	// ends.
	MakeJobsFor time.Duration
	Seed        uint64 // of the jobs; 0: a random one

	Out       *log.Logger // takes what happens; nil: nothing does
	Completed func(*Job)  // called for each completed job, if not nil
	// FailedOver, if not nil, is called when a job that was accepted before has been accepted by another server, to go on
	// from its cookie or, without one, to begin anew.
	FailedOver func(j *Job, to rsp.PEID, cookie bool)

	Stats Stats // to be read when Run has returned
}

// NewClient returns a Client with RSPLIB's defaults.
func NewClient(e *rsp.Endpoint) *Client {
	return &Client{
		Endpoint:                      e,
		PoolHandle:                    Pool,
		JobInterval:                   15 * time.Second,
		JobSize:                       5e6,
		KeepAliveTransmissionInterval: 5 * time.Second,
		KeepAliveTimeoutInterval:      5 * time.Second,
		RetryPause:                    time.Second,
	}
}

// Stats are a client's totals.
type Stats struct {
	QueuingTime, StartupTime, ProcessingTime, HandlingTime time.Duration // of completed jobs
	JobsQueued, JobsStarted, JobsCompleted                 int
	JobSizeQueued, JobSizeStarted, JobSizeCompleted        uint64
	Requests, Accepts, Rejects, Completes                  int // messages
	KeepAlives, KeepAliveAcks                              int // messages that were sent
	JobsFailedOver, Failovers                              int // jobs accepted by one server, then by another one; how often
	Restarts                                               int // failovers without a cookie: from the start
}

// Run makes and handles jobs until ctx ends, which is no error, or MakeJobsFor is over and all are handled.
func (c *Client) Run(ctx context.Context) error {
	if c.Out == nil {
		c.Out = log.New(io.Discard, "", 0)
	}
	seed := c.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	q := &jobQueue{interval: c.JobInterval, size: c.JobSize, random: rand.New(rand.NewPCG(seed, 0))}
	now := time.Now()
	if c.MakeJobsFor > 0 {
		q.until = now.Add(c.MakeJobsFor)
	}
	q.start(now)
	defer func() {
		q.fill(time.Now())
		c.Stats.JobsQueued, c.Stats.JobSizeQueued = int(q.made), q.total
	}()
	for {
		j := q.take(ctx)
		if j == nil {
			return nil
		}
		if err := c.handle(ctx, j); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("job #%d: %w", j.ID, err)
		}
	}
}

// handle has a job handled.
func (c *Client) handle(ctx context.Context, j *Job) error {
	j.Started = time.Now()
	c.Stats.JobsStarted++
	c.Stats.JobSizeStarted += j.Size
	r := &run{Client: c, job: j}
	session, err := r.connect(ctx)
	if err != nil {
		return err
	}
	r.session = session
	err = errors.Join(r.run(ctx), session.Close())
	if err != nil {
		return err
	}
	c.count(j)
	if c.Completed != nil {
		c.Completed(j)
	}
	return nil
}

func (c *Client) count(j *Job) {
	s := &c.Stats
	s.JobsCompleted++
	s.JobSizeCompleted += j.Size
	s.QueuingTime += j.QueuingDelay()
	s.StartupTime += j.StartupDelay()
	s.ProcessingTime += j.ProcessingTime()
	s.HandlingTime += j.HandlingTime()
	if j.Failovers > 0 {
		s.JobsFailedOver++
		s.Failovers += j.Failovers
	}
	c.Out.Printf(`Job #%d completed:
   Queue Length   = %d
   JobSize        = %.6g
   JobInterval    = %.6g [s]
   StartupDelay   = %.6g [s]
   QueuingDelay   = %.6g [s]
   ProcessingTime = %.6g [s] => ProcessingSpeed = %.6g [Calculations/s]
   HandlingTime   = %.6g [s] => HandlingSpeed   = %.6g [Calculations/s]`,
		j.ID, j.QueueLength, float64(j.Size), c.JobInterval.Seconds(), j.StartupDelay().Seconds(), j.QueuingDelay().Seconds(),
		j.ProcessingTime().Seconds(), j.ProcessingSpeed(), j.HandlingTime().Seconds(), j.HandlingSpeed())
}
