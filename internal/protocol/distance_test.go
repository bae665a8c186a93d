package protocol

import (
	"math"
	"testing"
	"time"
)

// RSPLIB's registrar: "distance = round((srtt/2) / DistanceStep) * DistanceStep".
func TestDistance(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		rtt, step time.Duration
		want      uint32
	}{
		{0, 50 * ms, 0},
		{49 * ms, 50 * ms, 0},
		{50 * ms, 50 * ms, 50},
		{149 * ms, 50 * ms, 50},
		{150 * ms, 50 * ms, 100},
		{81 * ms, ms, 41},
		{-ms, ms, 0},
		{math.MaxInt64, ms, math.MaxUint32},
	} {
		if got := Distance(c.rtt, c.step); got != c.want {
			t.Errorf("Distance(%v, %v) = %d, want %d", c.rtt, c.step, got, c.want)
		}
	}
}

// What the registrar measures is what is written as FieldDistance.
func TestHasDistance(t *testing.T) {
	for policy, info := range policies {
		want := false
		for _, f := range info.fields {
			want = want || f == FieldDistance
		}
		if got := policy.HasDistance(); got != want {
			t.Errorf("%v: %v, want %v", policy, got, want)
		}
	}
}
