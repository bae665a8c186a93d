package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
)

// simulation is one run of a scenario.
type simulation struct {
	scenario
	queue  queue
	space  *handlespace.Space[*pe]
	pes    []*pe
	answer []*handlespace.Element[*pe]

	// Measured since the warm-up ended.
	jobs    int     // that were completed
	speed   float64 // sum of their handling speeds in calculations per second
	refused int     // tries
}

// result is what a run, or the mean of several, measured.
type result struct {
	speed       float64 // mean handling speed of a job as a part of the average PE capacity
	utilisation float64 // part of the pool's capacity that was used
	refused     float64 // tries per completed job
}

const handle protocol.PoolHandle = "CalcAppPool"

// simulate makes one run. With the same seed, the PUs make the same jobs at the
// same times whatever the policy.
func simulate(s scenario, seed uint64) (result, error) {
	sim, err := newSimulation(s, seed)
	if err != nil {
		return result{}, err
	}
	for i := range s.pool.pes * s.pusPerPE {
		newPU(sim, rand.NewPCG(seed, uint64(i)+1))
	}
	sim.queue.run(s.warmUp)
	sim.startMeasuring()
	sim.queue.run(s.warmUp + s.duration)
	if sim.jobs == 0 {
		return result{}, fmt.Errorf("no job was completed within %g s", s.duration)
	}
	return sim.measured(), nil
}

// newSimulation has PEs, but no PUs as yet.
func newSimulation(s scenario, seed uint64) (*simulation, error) {
	sim := &simulation{
		scenario: s,
		space:    handlespace.New[*pe](handlespace.Options{Rand: rand.NewPCG(seed, 0)}),
	}
	return sim, sim.addPEs()
}

// addPEs makes the PEs and registers them. Those of an adaptive policy, which is
// one with a load, re-register whenever their load changes.
func (sim *simulation) addPEs() error {
	fields, _ := sim.policy.Fields()
	adaptive := slices.Contains(fields, protocol.FieldLoad)
	for i := range sim.pool.pes {
		changed := func(*pe) {}
		if adaptive {
			changed = func(p *pe) { sim.mustRegister(i, p) }
		}
		p := newPE(&sim.queue, sim.pool.capacity(i), sim.jobLimit(i), changed)
		if err := sim.register(i, p); err != nil {
			return err
		}
		sim.pes = append(sim.pes, p)
	}
	return nil
}

func (sim *simulation) register(i int, p *pe) error {
	el, _, err := sim.space.Put(handle, &protocol.PoolElement{
		ID:     protocol.PEID(i + 1),
		Policy: sim.policyOf(i, len(p.jobs)),
	}, handlespace.Registered)
	if err != nil {
		return fmt.Errorf("registering a PE: %w", err)
	}
	el.Value = p
	return nil
}

// mustRegister registers a PE again, which is never refused since its policy type
// is still the same.
func (sim *simulation) mustRegister(i int, p *pe) {
	if err := sim.register(i, p); err != nil {
		panic(err)
	}
}

// choose selects a PE. A PU that has been refused asks for more PEs, to get one
// that it has not asked yet.
func (sim *simulation) choose(refusedBy []*pe) *pe {
	sim.answer, _ = sim.space.Select(sim.answer[:0], handle, len(refusedBy)+1)
	for _, el := range sim.answer {
		if !slices.Contains(refusedBy, el.Value) {
			return el.Value
		}
	}
	panic("the pool has fewer PEs than refused")
}

// handled is told each completed job.
func (sim *simulation) handled(j *job) {
	sim.jobs++
	sim.speed += j.size / (sim.queue.now - j.queued)
}

// startMeasuring forgets what was measured during the warm-up.
func (sim *simulation) startMeasuring() {
	sim.jobs, sim.speed, sim.refused = 0, 0, 0
	for _, p := range sim.pes {
		p.advance()
		p.busy = 0
	}
}

func (sim *simulation) measured() result {
	var used float64
	for _, p := range sim.pes {
		p.advance()
		used += p.busy * p.capacity
	}
	return result{
		speed:       sim.speed / float64(sim.jobs) / capacity,
		utilisation: used / (float64(len(sim.pes)) * capacity * sim.duration),
		refused:     float64(sim.refused) / float64(sim.jobs),
	}
}
