//go:build !linux

package tcp

import "time"

// RTT is not told on this system.
func (a *assoc) RTT() time.Duration { return 0 }
