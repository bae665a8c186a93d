// Calcapp is a lesson: what a server pool is, seen under load while its servers die.
//
//	go run ./examples/calcapp
//
// Some servers do the same: they are pool elements (PE) of one pool, "CalcAppPool". Clients, the pool users (PU),
// have jobs, so many calculations each. For every job a client asks for the pool, not for a server; the registrar
// knows who is in the pool, and selects one by the pool's policy. Here one server, Anna, is three times as fast
// as the others. With the policy LeastUsed each server tells the registrar its load, so that Anna gets three times
// as many jobs; RoundRobin gives each the same, and jobs wait or are refused. See what becomes of the handling speed:
//
//	go run ./examples/calcapp -policy=RoundRobin
//
// A server that runs a job gives the client a cookie now and then, which tells how far the job has come. When the
// server dies, a failover takes the session to another one, and that goes on from the cookie. What was calculated
// since is calculated once more; a job that has no cookie yet starts again. No job is lost.
//
// Time runs faster than that of the clock by -scale, and nothing is really calculated. The same seed gives
// the same jobs, whatever the policy. At the end there are a table and a plot.
//
// For a test of five minutes in which a server is killed every two seconds; it ends with exit code 1 if a job is lost:
//
//	go run ./examples/calcapp -runtime=5m -kill=2s -quiet
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rserpool/rsp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], rsp.Auto, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "calcapp:", err)
		os.Exit(1)
	}
}

// lesson is what the command line says.
type lesson struct {
	policy           rsp.Policy
	servers, clients int
	factor           float64 // how many times the capacity of the others Anna has
	load             float64 // what the clients ask for, as a part of the pool's capacity
	runtime          time.Duration
	kill, down       time.Duration // means of random times; kill 0: nobody dies
	scale            float64
	seed             uint64
	plot             string
	quiet            bool
}

// capacity is that of the others in calculations per second, RSPLIB's default.
const capacity = 1e6

// maxJobs is how many jobs the others run at the same time; Anna runs more, in proportion.
const maxJobs = 4

// jobSize is the mean size of a job in calculations: what keeps a server busy for ten seconds.
const jobSize = 10 * capacity

var names = []string{"Anna", "Berta", "Carla", "Dora", "Emma", "Frieda", "Greta", "Hanna"}

func parse(args []string) (*lesson, error) {
	l := &lesson{policy: rsp.LeastUsed(0)}
	fs := flag.NewFlagSet("calcapp", flag.ExitOnError)
	fs.Func("policy", "of the pool, as `LeastUsed`, RoundRobin, Random, PriorityLeastUsed:0.1 (default LeastUsed)", func(s string) (err error) {
		l.policy, err = rsp.ParsePolicy(s)
		return err
	})
	fs.IntVar(&l.servers, "servers", 4, fmt.Sprintf("how many there are, 2 to %d", len(names)))
	fs.IntVar(&l.clients, "clients", 20, "how many there are")
	fs.Float64Var(&l.factor, "factor", 3, "how many times the capacity of the others the first server has")
	fs.Float64Var(&l.load, "load", 0.6, "what the clients ask for, as a part of the pool's capacity")
	fs.DurationVar(&l.runtime, "runtime", 8*time.Second, "for how long the clients make jobs")
	fs.DurationVar(&l.kill, "kill", 1500*time.Millisecond, "mean time from one death of a server to the next, at random; 0: nobody dies")
	fs.DurationVar(&l.down, "down", 700*time.Millisecond, "mean time for which a server is away")
	fs.Float64Var(&l.scale, "scale", 30, "seconds of the pool that pass in one second; all its figures and the plot are in these")
	fs.Uint64Var(&l.seed, "seed", 1, "of the jobs and the deaths")
	fs.StringVar(&l.plot, "plot", "calcapp.svg", "`file` for the plot; empty: none")
	fs.BoolVar(&l.quiet, "quiet", false, "print the table alone")
	_ = fs.Parse(args) // ExitOnError
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unknown argument %q", fs.Arg(0))
	case l.servers < 2 || l.servers > len(names):
		return nil, fmt.Errorf("-servers must be 2 to %d", len(names))
	case l.clients < 1 || l.runtime <= 0 || l.kill < 0 || l.down < 0:
		return nil, fmt.Errorf("-clients must be at least 1, -runtime more than 0, -kill and -down not negative")
	case !(l.factor >= 1 && l.factor <= 100) || !(l.load > 0 && l.load <= 10) || !(l.scale >= 0.1 && l.scale <= 1000):
		return nil, fmt.Errorf("-factor must be 1 to 100, -load more than 0 and at most 10, -scale 0.1 to 1000")
	}
	return l, nil
}

// capacity is that of server i.
func (l *lesson) capacity(i int) float64 {
	if i == 0 {
		return l.factor * capacity
	}
	return capacity
}

// poolCapacity is that of all servers while none is away.
func (l *lesson) poolCapacity() (sum float64) {
	for i := range l.servers {
		sum += l.capacity(i)
	}
	return sum
}

// maxJobs is how many jobs server i runs at the same time.
func (l *lesson) maxJobs(i int) int { return int(math.Round(maxJobs * l.capacity(i) / capacity)) }

// jobInterval is the mean time from one job of a client to its next, in seconds of the pool.
func (l *lesson) jobInterval() float64 {
	return float64(l.clients) * jobSize / (l.load * l.poolCapacity())
}

// real makes seconds of the pool a time of the clock.
func (l *lesson) real(seconds float64) time.Duration {
	return time.Duration(seconds / l.scale * float64(time.Second))
}

// model makes a time of the clock seconds of the pool.
func (l *lesson) model(d time.Duration) float64 { return d.Seconds() * l.scale }

// run is the program.
func run(ctx context.Context, args []string, network rsp.Network, out io.Writer) error {
	l, err := parse(args)
	if err != nil {
		return err
	}
	r, err := l.measure(ctx, network, out)
	if err != nil {
		return err
	}
	r.writeTable(out)
	if l.plot != "" {
		if err := os.WriteFile(l.plot, r.plot(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "The plot is in %s.\n", l.plot)
	}
	if lost := r.lost(); lost > 0 {
		return fmt.Errorf("%d jobs were lost", lost)
	}
	return nil
}
