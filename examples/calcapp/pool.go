package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/calcapp"
)

// pool is all that runs: a registrar, servers that die and come back, and clients.
type pool struct {
	*lesson
	cfg       rsp.Config
	registrar *rsp.Registrar
	servers   []*server
	clients   []*calcapp.Client
	start     time.Time

	mu     sync.Mutex
	out    io.Writer
	jobs   []point // when each was complete, and its handling speed
	deaths []float64
}

// server is one that can die and come back, each time as a program of its own: with its own Endpoint.
type server struct {
	name     string
	id       rsp.PEID
	capacity float64 // of the real time
	lives    []*calcapp.Service
	end      func(kill bool) // of the present life; nil while it is away
	backAt   time.Time       // when it is to live again
	samples  []point         // its utilisation
	sampled  float64         // what it had used by the last one
}

// measure runs the lesson.
func (l *lesson) measure(ctx context.Context, network rsp.Network, out io.Writer) (r *result, err error) {
	p := &pool{lesson: l, cfg: rsp.Config{Network: network}, out: out, start: time.Now()}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.addRegistrar(ctx); err != nil {
		return nil, err
	}
	for i := range l.servers {
		s := &server{name: names[i], id: rsp.PEID(i + 1), capacity: l.capacity(i) * l.scale}
		p.servers = append(p.servers, s)
		if err := p.revive(ctx, i); err != nil {
			return nil, err
		}
		p.say("%s joins the pool, with %g·10⁶ calculations per second", s.name, l.capacity(i)/1e6)
	}
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	return p.result(), nil
}

func (p *pool) addRegistrar(ctx context.Context) (err error) {
	p.registrar, err = rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: p.cfg.Network})
	if err != nil {
		return err
	}
	if err := p.registrar.Start(ctx); err != nil {
		return err
	}
	p.cfg.Registrars = p.registrar.Addrs()
	return nil
}

// revive starts server i: it registers as a pool element, and serves.
func (p *pool) revive(ctx context.Context, i int) error {
	s := p.servers[i]
	e, err := rsp.NewEndpoint(&p.cfg)
	if err != nil {
		return err
	}
	listener, err := e.Listen(ctx, calcapp.Pool, rsp.PE{ID: s.id, Policy: p.policy})
	if err != nil {
		return errors.Join(err, e.Close())
	}
	service := calcapp.New()
	service.Capacity, service.MaxJobs = s.capacity, p.maxJobs(i)
	service.CookieMaxTime = p.real(service.CookieMaxTime.Seconds())
	service.VectorFile, service.ScalarFile = "", ""
	life, cancel := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = service.Serve(life, listener, log.New(io.Discard, "", 0)) // of one that is killed, it is an error
	}()
	s.lives = append(s.lives, service)
	s.end = func(kill bool) {
		if kill {
			e.Abort() // as if the program had died
		}
		cancel()
		<-served
		_ = e.Close() // which leaves the pool, or fails because it was killed
		s.end = nil
	}
	return nil
}

// load lets the clients make jobs while servers die, then has all servers back until each job is done.
func (p *pool) load(ctx context.Context) error {
	e, err := rsp.NewEndpoint(&p.cfg)
	if err != nil {
		return err
	}
	clients, cancel := context.WithCancel(ctx)
	ended := make(chan error, p.lesson.clients)
	for i := range p.lesson.clients {
		c := p.newClient(e, i)
		p.clients = append(p.clients, c)
		go func() { ended <- c.Run(clients) }()
	}
	err = p.disturb(ctx)
	patience := time.AfterFunc(drainTimeout, cancel)
	for range p.clients {
		err = errors.Join(err, <-ended)
	}
	patience.Stop()
	cancel()
	return errors.Join(err, e.Close())
}

// drainTimeout is for the jobs that are not done when no more are made. What takes longer is lost.
const drainTimeout = time.Minute

func (p *pool) newClient(e *rsp.Endpoint, i int) *calcapp.Client {
	c := calcapp.NewClient(e)
	c.JobInterval, c.JobSize = p.real(p.jobInterval()), jobSize
	c.RetryPause = p.real(c.RetryPause.Seconds())
	c.MakeJobsFor, c.Seed = p.runtime, p.seed<<32+uint64(i)+1
	c.Completed = func(j *calcapp.Job) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.jobs = append(p.jobs, point{p.model(j.Completed.Sub(p.start)), j.HandlingSpeed() / p.scale / capacity})
	}
	c.FailedOver = func(j *calcapp.Job, to rsp.PEID, cookie bool) {
		how := "which begins it anew: there was no cookie"
		if cookie {
			how = "which goes on from the cookie"
		}
		p.say("  job %d of client %d: failover to %s, %s", j.ID, i+1, p.name(to), how)
	}
	return c
}

// name is a server's; its identifier is its place in the list.
func (p *pool) name(id rsp.PEID) string {
	if id == 0 || int(id) > len(p.servers) {
		return id.String() // none of ours
	}
	return p.servers[id-1].name
}

// disturb kills servers at random, has them back after a while, and takes samples, until the runtime is over. Then it
// has all back.
func (p *pool) disturb(ctx context.Context) error {
	random := rand.New(rand.NewPCG(p.seed, 0))
	pause := func(mean time.Duration) time.Duration { return time.Duration(random.ExpFloat64() * float64(mean)) }
	end := p.start.Add(p.runtime)
	death, sample := end, p.start
	if p.kill > 0 {
		death = p.start.Add(pause(p.kill))
	}
	for now := p.start; now.Before(end); now = time.Now() {
		if !now.Before(death) {
			if s := p.servers[random.IntN(len(p.servers))]; s.end != nil {
				p.killServer(s)
				s.backAt = now.Add(pause(p.down))
			}
			death = now.Add(pause(p.kill))
		}
		if !now.Before(sample) {
			p.sample(p.runtime / samples)
			sample = now.Add(p.runtime / samples)
		}
		if err := p.reviveThoseDue(ctx, now); err != nil {
			return err
		}
		next := earliest(end, death, sample)
		for _, s := range p.servers {
			if s.end == nil {
				next = earliest(next, s.backAt)
			}
		}
		if err := sleep(ctx, time.Until(next)); err != nil {
			return err
		}
	}
	return p.reviveThoseDue(ctx, end.Add(1<<62))
}

func (p *pool) killServer(s *server) {
	p.say("%s dies; jobs at it: %d", s.name, s.lives[len(s.lives)-1].Usage().Running)
	p.deaths = append(p.deaths, p.model(time.Since(p.start)))
	s.end(true)
}

// reviveThoseDue has those servers back whose time has come.
func (p *pool) reviveThoseDue(ctx context.Context, now time.Time) error {
	for i, s := range p.servers {
		if s.end != nil || now.Before(s.backAt) {
			continue
		}
		if err := p.revive(ctx, i); err != nil {
			return err
		}
		p.say("%s is back", s.name)
	}
	return nil
}

func earliest(times ...time.Time) time.Time {
	return slices.MinFunc(times, time.Time.Compare)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// samples is how many samples of the utilisation are taken.
const samples = 30

// sample notes what part of its capacity each server has used since the last sample.
func (p *pool) sample(interval time.Duration) {
	at := p.model(time.Since(p.start))
	for _, s := range p.servers {
		used := s.used()
		s.samples = append(s.samples, point{at, (used - s.sampled) / (s.capacity * interval.Seconds())})
		s.sampled = used
	}
}

// used is how many calculations a server has made in all its lives.
func (s *server) used() (sum float64) {
	for _, life := range s.lives {
		sum += life.Usage().Calculations
	}
	return sum
}

// say prints what happens, and when.
func (p *pool) say(format string, args ...any) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%7.1f s  %s\n", p.model(time.Since(p.start)), fmt.Sprintf(format, args...))
}

func (p *pool) close() error {
	for _, s := range p.servers {
		if s.end != nil {
			s.end(false)
		}
	}
	if p.registrar == nil {
		return nil
	}
	return p.registrar.Shutdown(context.Background())
}
