package calcapp

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

// Service is the server's side of CalcApp, a service of rspserver. Its fields are its options, which must not be
// changed while Serve runs.
type Service struct {
	Options

	mu sync.Mutex
	pe *pe // of the latest Serve; nil before
}

// New returns a Service with RSPLIB's defaults.
func New() *Service { return &Service{Options: defaultOptions()} }

// Name returns "CalcApp".
func (s *Service) Name() string { return "CalcApp" }

// Pool returns the pool of the service.
func (s *Service) Pool() rsp.PoolHandle { return Pool }

// Policy returns the default policy, which does not look at the load: RSPLIB's.
func (s *Service) Policy() rsp.Policy { return rsp.RoundRobin() }

// Usage is what a server was used for.
type Usage struct {
	Uptime             time.Duration
	Calculations       float64 // that were made
	Running            int     // jobs, now
	Accepted, Rejected int     // jobs
}

// Utilisation is the part of the capacity that was used, 0 to 1.
func (u Usage) Utilisation(capacity float64) float64 {
	if available := u.Uptime.Seconds() * capacity; available > 0 {
		return u.Calculations / available
	}
	return 0
}

// Usage tells what the server has been used for since the latest Serve.
func (s *Service) Usage() Usage {
	s.mu.Lock()
	pe := s.pe
	s.mu.Unlock()
	if pe == nil {
		return Usage{}
	}
	pe.mu.Lock()
	defer pe.mu.Unlock()
	if !pe.over {
		pe.advance(time.Now())
	}
	return pe.usage()
}

// pe is a server that serves.
type pe struct {
	Options
	listener *rsp.Socket
	out      *log.Logger
	start    time.Time
	clean    bool          // the clients get a last cookie
	load     chan struct{} // has room for the news that the load has changed

	mu                 sync.Mutex
	share              share
	over               bool // Serve has ended
	sessions           []*session
	number             int // of sessions there have been
	accepted, rejected int
	vector             *Vector
}

// Serve serves the sessions of a registered pool element until ctx ends. Then their clients get a last cookie, by
// the probability of the options, and go on with another server.
func (s *Service) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error {
	p := &pe{
		Options:  s.Options,
		listener: listener,
		out:      out,
		start:    time.Now(),
		clean:    rand.Float64() < s.CleanShutdownProbability,
		load:     make(chan struct{}, 1),
	}
	p.share = share{capacity: s.Capacity, at: p.start}
	if p.VectorFile != "" {
		var err error
		if p.vector, err = CreateVector(p.VectorFile, vectorHeader); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.pe = p
	s.mu.Unlock()
	return errors.Join(p.serve(ctx), p.end())
}

// shutdownTimeout is how long the clients' last cookies may take.
const shutdownTimeout = time.Second

func (p *pe) serve(ctx context.Context) error {
	srv := &rsp.Server{Handler: p.serveSession}
	serving, served := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { p.tellLoad(serving) })
	helpers.Go(func() {
		select {
		case <-ctx.Done():
			timeout, cancel := context.WithTimeout(serving, shutdownTimeout)
			defer cancel()
			_ = srv.Shutdown(timeout) // what is not done by then, Serve ends
		case <-serving.Done():
		}
	})
	err := srv.Serve(serving, p.listener)
	served()
	helpers.Wait()
	if errors.Is(err, rsp.ErrServerClosed) {
		return nil
	}
	return err
}

// tellLoad tells the registrar each new load, for as long as the policy has one.
func (p *pe) tellLoad(ctx context.Context) {
	for {
		select {
		case <-p.load:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		load := float64(len(p.share.running)) / float64(p.MaxJobs)
		p.mu.Unlock()
		now := p.listener.Policy()
		told := now.WithLoad(load)
		if told == now {
			continue
		}
		err := p.listener.SetPolicy(ctx, told)
		if err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, rsp.ErrNoRole) {
			p.out.Printf("Cannot tell the load: %v", err)
		}
	}
}

// advance lets the jobs run up to now; mu is held.
func (p *pe) advance(now time.Time) {
	if p.share.advance(now) {
		p.jobsChanged()
	}
}

// jobsChanged wakes up all whom the number of running jobs concerns; mu is held.
func (p *pe) jobsChanged() {
	wake(p.load)
	for _, s := range p.sessions {
		wake(s.changed)
	}
}

// wake leaves a message for the one who waits at c, if there is none yet.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// startJob starts a job of which a part may be completed; nil if there are as many as there may be.
func (p *pe) startJob(c Cookie) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(time.Now())
	if len(p.share.running) >= p.MaxJobs {
		p.rejected++
		return nil
	}
	p.accepted++
	j := p.share.add(c.JobID, c.JobSize, c.Completed)
	p.out.Printf(" Job added (%d are running)", len(p.share.running))
	p.jobsChanged()
	return j
}

// removeJob ends a job, complete or not.
func (p *pe) removeJob(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(time.Now())
	if !j.done {
		p.share.remove(j)
		p.jobsChanged()
	}
	p.out.Printf(" Job removed (%d still running)", len(p.share.running))
}

// progress returns how far a job has come, when it will be complete, and when so many calculations of it will be.
func (p *pe) progress(j *job, calculations uint64) (c Cookie, end, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(time.Now())
	c = Cookie{JobID: j.id, JobSize: j.size, Completed: p.share.completed(j)}
	return c, p.share.due(j, j.size), p.share.due(j, calculations)
}

// usage is that since the start; mu is held.
func (p *pe) usage() Usage {
	return Usage{
		Uptime: p.share.at.Sub(p.start), Calculations: p.share.used, Running: len(p.share.running),
		Accepted: p.accepted, Rejected: p.rejected,
	}
}

func (p *pe) addSession(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	s.number = p.number
	p.sessions = append(p.sessions, s)
}

func (p *pe) removeSession(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions = slices.DeleteFunc(p.sessions, func(other *session) bool { return other == s })
}

const vectorHeader = "ObjectName PID PoolElementIdentifier CurrentTimeStamp Runtime   " +
	"AvailableCalculations UsedCalculations Utilization   CurrentJobs MaxJobs"

// recordCompletion adds a line to the vector file. The job counts as current still.
func (p *pe) recordCompletion() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(time.Now())
	u := p.usage()
	p.vector.Add(fmt.Sprintf("%s %d 0x%08x %s   %s   %.0f %.0f %.6f   %d %d",
		p.Object, os.Getpid(), uint32(p.listener.LocalPE()), timestamp(p.share.at), seconds6(u.Uptime),
		u.Uptime.Seconds()*p.Capacity, u.Calculations, u.Utilisation(p.Capacity), u.Running+1, p.MaxJobs))
}

// end writes the files, when all sessions have ended.
func (p *pe) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(time.Now())
	p.over = true
	err := p.vector.Close()
	if p.ScalarFile == "" {
		return err
	}
	u := p.usage()
	return errors.Join(err, WriteScalars(p.ScalarFile, p.Object, []Scalar{
		{"CalcAppPE Service Uptime", seconds6(u.Uptime)},
		{"CalcAppPE Service Capacity", fmt.Sprintf("%.0f", p.Capacity)},
		{"CalcAppPE Service Max Jobs", fmt.Sprint(p.MaxJobs)},
		{"CalcAppPE Total Used Capacity", fmt.Sprintf("%.0f", u.Calculations)},
		// RSPLIB's is right for 10⁶ calculations per second only.
		{"CalcAppPE Total Wasted Capacity", fmt.Sprintf("%.0f", max(0, u.Uptime.Seconds()*p.Capacity-u.Calculations))},
		{"CalcAppPE Total Jobs Accepted", fmt.Sprint(u.Accepted)},
		{"CalcAppPE Total Jobs Rejected", fmt.Sprint(u.Rejected)},
		{"CalcAppPE Utilization", fmt.Sprintf("%.6f", u.Utilisation(p.Capacity))},
	}))
}
