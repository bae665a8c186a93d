package calcapp

import (
	"math"
	"slices"
	"time"
)

// share is the capacity of a server, shared equally by the jobs that run. It has no clock: its callers
// say what time it is, by advance, before they ask or change anything.
type share struct {
	capacity float64 // calculations per second
	at       time.Time
	progress float64 // calculations of a job that would have run since the beginning
	used     float64 // calculations of all jobs
	running  []*job
}

// job is a job of a server. As all that run get the same, their progress is that of the share.
type job struct {
	id   uint32
	size uint64
	end  float64 // the share's progress when the job is complete
	done bool
}

// add starts a job of which a part is completed.
func (s *share) add(id uint32, size, completed uint64) *job {
	j := &job{id: id, size: size, end: s.progress + float64(size-completed)}
	s.running = append(s.running, j)
	return j
}

// remove ends a job that may not be complete.
func (s *share) remove(j *job) {
	s.running = slices.DeleteFunc(s.running, func(other *job) bool { return other == j })
}

// advance lets the jobs run up to now, and reports whether one has become complete. When one is, the others
// get more from that moment on, whenever somebody looks.
func (s *share) advance(now time.Time) (completed bool) {
	left := now.Sub(s.at).Seconds()
	s.at = now
	for len(s.running) > 0 {
		first := s.first()
		rate := s.capacity / float64(len(s.running))
		step := (first.end - s.progress) / rate
		if step > left {
			s.progress += left * rate
			s.used += left * s.capacity
			return completed
		}
		s.progress = first.end
		s.used += step * s.capacity
		left -= step
		first.done, completed = true, true
		s.remove(first)
	}
	return completed
}

// first is the running job that will be complete first.
func (s *share) first() *job {
	return slices.MinFunc(s.running, func(a, b *job) int {
		if a.end < b.end {
			return -1
		}
		return 1
	})
}

// completed is how many calculations of a job are completed.
func (s *share) completed(j *job) uint64 {
	if j.done {
		return j.size
	}
	return j.size - min(j.size, uint64(math.Ceil(j.end-s.progress)))
}

// due is when so many calculations of a job will be completed if the number of jobs stays as it is.
func (s *share) due(j *job, completed uint64) time.Time {
	if j.done {
		return s.at
	}
	missing := max(0, j.end-s.progress-float64(j.size-min(j.size, completed)))
	return s.at.Add(seconds(missing * float64(len(s.running)) / s.capacity))
}

// seconds rounds up: who wakes up then is not too early. A time beyond all reason becomes one of 30 years.
func seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(min(s, 1e9) * float64(time.Second)))
}
