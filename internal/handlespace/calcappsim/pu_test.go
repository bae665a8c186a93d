package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// quiet returns a simulation of PEs that run one job each, and PUs that make none
// by themselves. It takes 0.5 s to ask a PE, and 1 s until the next is chosen.
func quiet(t *testing.T, pes, pus int) (*simulation, []*pu) {
	t.Helper()
	sim, err := newSimulation(scenario{
		policy:      protocol.RoundRobin,
		pool:        poolShape{pes, 1},
		utilisation: 0.5,
		model:       model{pusPerPE: 1, maxJobs: 1, jobSize: capacity, startup: 0.5, retryPause: 1},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	users := make([]*pu, pus)
	for i := range users {
		users[i] = newPU(sim, rand.NewPCG(0, 0))
		sim.queue.stop(users[i].interval)
	}
	return sim, users
}

// want checks the number of jobs that are complete, the sum of their speeds as
// parts of the capacity, and the refusals.
func (sim *simulation) want(t *testing.T, jobs int, speed float64, refused int) {
	t.Helper()
	if sim.jobs != jobs || math.Abs(sim.speed/capacity-speed) > 1e-9 || sim.refused != refused {
		t.Errorf("at %v: %d jobs, speeds %v, %d refused, want %d, %v, %d",
			sim.queue.now, sim.jobs, sim.speed/capacity, sim.refused, jobs, speed, refused)
	}
}

// Two jobs of 10 s at time 0: the second waits until 10.5, and is at the PE at 11.
func TestPUHandlesJobsInOrder(t *testing.T) {
	sim, pus := quiet(t, 1, 1)
	pus[0].add(10 * capacity)
	pus[0].add(10 * capacity)
	sim.queue.run(10.4)
	sim.want(t, 0, 0, 0)
	sim.queue.run(10.6)
	sim.want(t, 1, 10/10.5, 0)
	sim.queue.run(20.9)
	sim.want(t, 1, 10/10.5, 0)
	sim.queue.run(21.1)
	sim.want(t, 2, 10/10.5+10./21, 0)
}

// The first two PUs get a PE each until 10.5. The third asks at 0.5, 2, 3.5, 5,
// 6.5, 8 and 9.5 in vain, and at 11 with success.
func TestPUTriesAgain(t *testing.T) {
	sim, pus := quiet(t, 2, 3)
	for _, u := range pus {
		u.add(10 * capacity)
	}
	sim.queue.run(9.6)
	sim.want(t, 0, 0, 7)
	sim.queue.run(20.9)
	sim.want(t, 2, 2*10/10.5, 7)
	sim.queue.run(21.1)
	sim.want(t, 3, 2*10/10.5+10./21, 7)
}

// One of three PEs is busy. It refuses once; the PU then asks one of the others,
// though by round robin it would be the first one's turn.
func TestPUTriesAnotherPE(t *testing.T) {
	sim, pus := quiet(t, 3, 2)
	pus[0].add(100 * capacity)
	for range 2 { // to where the busy one leads again
		sim.choose(nil)
	}
	pus[1].add(10 * capacity)
	sim.queue.run(0.6)
	sim.want(t, 0, 0, 1)
	for range 2 {
		sim.choose(nil)
	}
	sim.queue.run(50)
	sim.want(t, 1, 10./12, 1)
}
