package loop

import "time"

// clock is time.Now for a loop that asks for each message. A time.Time has a wall clock's reading
// and a monotonic one, and where the kernel cannot be asked without a system call, two of them
// cost more than the answer to a message: so the wall clock is asked once a second only.
type clock struct{ base time.Time }

func (c *clock) now() time.Time {
	since := time.Since(c.base) // monotonic
	if since > time.Second || since < 0 {
		c.base = time.Now()
		return c.base
	}
	return c.base.Add(since)
}
