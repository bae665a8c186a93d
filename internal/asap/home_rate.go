package asap

import (
	"math"
	"time"
)

// rate limits how often one association may ask for something, whatever the pool. RSPLIB counts
// refused requests too, so that one who asks a little too often is refused for ever; here who
// waits gets on.
type rate struct {
	credit float64 // requests that may come at once, as of last
	last   time.Time
}

// burst is for how many seconds' worth of requests one who was quiet may ask at once.
const burst = 1

// allow takes one request into account; perSecond 0 is no limit. A rate below one a second
// still allows single requests.
func (r *rate) allow(now time.Time, perSecond float64) bool {
	if perSecond == 0 {
		return true
	}
	most := math.Max(1, perSecond*burst)
	if r.last.IsZero() {
		r.credit = most
	} else {
		r.credit = math.Min(most, r.credit+now.Sub(r.last).Seconds()*perSecond)
	}
	r.last = now
	if r.credit < 1 {
		return false
	}
	r.credit--
	return true
}
