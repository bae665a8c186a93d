package calcapp

import (
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// oneJob runs a client until a job of a fixed size is complete. (The random sizes are tested elsewhere.)
func (p *pool) oneJob(size uint64) (j *Job, c *Client, out *lines, wait func()) {
	p.Helper()
	out = new(lines)
	e := p.endpoint()
	c = NewClient(e)
	c.Out = log.New(out, "", 0)
	j = &Job{ID: 1, Size: size, Queued: time.Now()}
	done := make(chan error, 1)
	go func() { done <- c.handle(p.Context(), j) }()
	synctest.Wait()
	return j, c, out, func() {
		if err := <-done; err != nil {
			p.Error(err)
		}
		e.Close()
	}
}

func TestClient(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		s := p.start(1, func(*Service) {})
		j, c, out, wait := p.oneJob(6e6)
		wait()
		// The client asks after 5 s; the server asks after 2.5 s and 5 s.
		if c.Stats.Requests != 1 || c.Stats.Accepts != 1 || c.Stats.Completes != 1 || c.Stats.KeepAlives != 1 || c.Stats.KeepAliveAcks != 2 {
			t.Errorf("%+v", c.Stats)
		}
		if took := j.ProcessingTime(); took < 6*time.Second || took > 6010*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		p.expect(out, "Request for job #1 (job size 6e+06)", "Job #1 accepted", "Job #1 completed:", "   Queue Length   = 0", "   JobSize        = 6e+06")
		s.stop()
	})
}

// A job that loses its server without a cookie starts anew with another, one with a cookie goes on. The
// processing time is that of all servers.
func TestClientFailsOver(t *testing.T) {
	for name, c := range map[string]struct {
		cookies  time.Duration
		took     time.Duration
		requests int
		want     []string
	}{
		"without a cookie": {5 * time.Second, 4500 * time.Millisecond, 2, []string{
			"Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=no", "Request for job #1 (job size 3e+06)", "Job #1 accepted",
		}},
		"with a cookie": {time.Second, 3500 * time.Millisecond, 1, []string{
			"Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=yes", "--- FAILOVER ---",
			"Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=yes", "Job #1 accepted",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inPool(t, func(t *testing.T, p *pool) {
				first := p.start(1, func(s *Service) { s.CookieMaxTime = c.cookies })
				j, client, out, wait := p.oneJob(3e6)
				second := p.start(2, func(*Service) {})
				time.Sleep(1500 * time.Millisecond)
				first.kill()
				wait()
				if took := j.ProcessingTime(); took < c.took || took > c.took+100*time.Millisecond {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if j.Failovers != 1 || client.Stats.JobsFailedOver != 1 || client.Stats.Requests != c.requests || client.Stats.Restarts != c.requests-1 {
					t.Errorf("%+v, %+v", j, client.Stats)
				}
				p.expect(out, c.want...)
				second.stop()
			})
		})
	}
}

// A refused job pauses, then asks another server; so does one that is refused with a cookie, by the cookie alone.
func TestClientRejected(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		full := p.start(1, func(s *Service) { s.MaxJobs = 1; s.CookieMaxTime = 100 * time.Millisecond })
		other := p.connect(rsp.Dialer{})
		defer other.stop()
		other.send(Request, 5, 12e5)
		other.wants(Message{Type: Accept, JobID: 5}, time.Now(), 0)
		j, c, out, wait := p.oneJob(1e6)
		wait()
		if c.Stats.Rejects != 2 || c.Stats.Requests != 3 {
			t.Errorf("%+v", c.Stats)
		}
		if took := j.StartupDelay(); took < 2*time.Second || took > 2100*time.Millisecond {
			t.Errorf("it started after %v", took)
		}
		p.expect(out, "Job #1 rejected", "Job #1 rejected", "Job #1 accepted")
		full.stop()
	})
}

// A server that answers no more is given up, though its association lives.
func TestClientTimeout(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		e := p.endpoint()
		defer e.Close()
		deaf, err := e.Listen(t.Context(), Pool, rsp.PE{Policy: rsp.LeastUsed(0)})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				if _, err := deaf.AcceptSocket(t.Context()); err != nil {
					return
				}
			}
		}()
		j, c, out, wait := p.oneJob(1e6)
		s := p.start(2, func(*Service) {})
		wait()
		if took := j.StartupDelay(); took < 5*time.Second || took > 5100*time.Millisecond || c.Stats.Requests != 2 {
			t.Errorf("it started after %v: %+v", took, c.Stats)
		}
		p.expect(out, "Timeout of job #1: no answer from PE "+deaf.LocalPE().String(), "Job #1 accepted")
		s.stop()
	})
}

// A pool without servers is waited for.
func TestClientWithoutServers(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		j, _, _, wait := p.oneJob(1e6)
		time.Sleep(10 * time.Second)
		s := p.start(1, func(*Service) {})
		wait()
		if took := j.StartupDelay(); took < 10*time.Second || took > 11100*time.Millisecond {
			t.Errorf("it started after %v", took)
		}
		s.stop()
	})
}

// Jobs are made whether or not the one before is done, and all are handled at the end.
func TestClientQueue(t *testing.T) {
	inPool(t, func(t *testing.T, p *pool) {
		s := p.start(1, func(*Service) {})
		e := p.endpoint()
		defer e.Close()
		c := NewClient(e)
		c.JobInterval, c.JobSize, c.MakeJobsFor, c.Seed = time.Second, 1e6, 5*time.Minute, 1
		longest, count := 0, 0
		c.Completed = func(j *Job) {
			longest = max(longest, j.QueueLength)
			count++
			if j.HandlingTime() != j.QueuingDelay()+j.StartupDelay()+j.ProcessingTime() || j.QueuingDelay() < 0 || j.StartupDelay() < 0 || j.ProcessingTime() < 0 {
				t.Errorf("%+v", j)
			}
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		st := c.Stats
		// 300 are expected; ±5 standard deviations of the Poisson distribution.
		if st.JobsQueued < 213 || st.JobsQueued > 387 || st.JobsStarted != st.JobsQueued || st.JobsCompleted != st.JobsQueued || count != st.JobsCompleted || longest == 0 {
			t.Errorf("longest queue %d: %+v", longest, st)
		}
		if mean := float64(st.JobSizeQueued) / float64(st.JobsQueued); mean < 0.7e6 || mean > 1.3e6 || st.JobSizeCompleted != st.JobSizeQueued {
			t.Errorf("mean job size %v: %+v", mean, st)
		}
		if u := s.Usage(); u.Calculations < 0.999*float64(st.JobSizeCompleted) || u.Calculations > 1.001*float64(st.JobSizeCompleted) {
			t.Errorf("the server made %v calculations for jobs of %d", u.Calculations, st.JobSizeCompleted)
		}
		s.stop()
	})
}
