package main

import "github.com/rserpool/rsp/internal/protocol"

// sweep is what is simulated: each policy in a pool at each utilisation, several
// runs each.
type sweep struct {
	model
	pool         poolShape
	policies     []protocol.PolicyType
	utilisations []float64
	runs         int    // at least 2
	seed         uint64 // of the first run; the others have the next ones
}

// curve is what a policy makes of the utilisations.
type curve struct {
	policy protocol.PolicyType
	points []point
}

// point is a result as its mean over the runs of a scenario.
type point struct {
	target                      float64 // utilisation
	speed, utilisation, refused estimate
}

func (s sweep) run() ([]curve, error) {
	var curves []curve
	for _, policy := range s.policies {
		c := curve{policy: policy}
		for _, utilisation := range s.utilisations {
			p, err := s.point(scenario{policy, s.pool, utilisation, s.model})
			if err != nil {
				return nil, err
			}
			c.points = append(c.points, p)
		}
		curves = append(curves, c)
	}
	return curves, nil
}

func (s sweep) point(sc scenario) (point, error) {
	var speeds, utilisations, refused []float64
	for i := range s.runs {
		r, err := simulate(sc, s.seed+uint64(i))
		if err != nil {
			return point{}, err
		}
		speeds = append(speeds, r.speed)
		utilisations = append(utilisations, r.utilisation)
		refused = append(refused, r.refused)
	}
	return point{sc.utilisation, estimateOf(speeds), estimateOf(utilisations), estimateOf(refused)}, nil
}
