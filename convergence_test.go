package rsp_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/simnet"
)

var (
	scheduleCount = flag.Int("schedules", 200, "how many schedules TestConvergence and TestDialogue run")
	scheduleSeed  = flag.Uint64("seed", 0, "run the schedule of this seed alone, and tell what happens")
)

// "each ENRP server in the operational scope SHOULD periodically verify that its local copy of
// handlespace data is still in sync with that of its peers" (RFC 5353 section 3.6), whatever happens:
// registrars and PEs start, end and die, and the network between them is cut and healed, at
// random. Once that is over, all registrars list exactly the PEs that live, with the same home.
//
//	go test -run TestConvergence -schedules=1000
//	go test -run TestConvergence -seed=N -v
func TestConvergence(t *testing.T) {
	var longest time.Duration
	n := eachSchedule(t, func(t *testing.T, seed uint64) { longest = max(longest, newFaults(t, seed).run()) })
	t.Logf("%d schedules, all equal after %v at most", n, longest)
}

// eachSchedule runs the schedules of all seeds, each in a bubble, and returns how many there are.
func eachSchedule(t *testing.T, run func(t *testing.T, seed uint64)) uint64 {
	seed, last := uint64(1), uint64(*scheduleCount)
	if *scheduleSeed != 0 {
		seed, last = *scheduleSeed, *scheduleSeed
	}
	n := last - seed + 1
	// More threads than processors: a goroutine may be interrupted anywhere.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(8, runtime.NumCPU())))
	defer func() { // a bubble that fails ends the test
		if t.Failed() {
			t.Logf("to see this again: go test -run %s -seed=%d -v", t.Name(), seed)
		}
	}()
	for ; seed <= last; seed++ {
		cryptotest.SetGlobalRandom(t, seed) // of which the endpoints' timers come
		synctest.Test(t, func(t *testing.T) { run(t, seed) })
	}
	return n
}

// faults is an operation scope to which a random schedule of faults happens.
type faults struct {
	*testing.T
	rand       *rand.Rand
	net        *simnet.Network
	announced  bool // registrars are found by multicast, not by configuration
	renewed    bool // PEs reregister, and end, in time to repair what registrars do not
	registrars []*mortalRegistrar
	elements   []*mortalPE
	cuts       map[[2]netip.Addr]bool
	hosts      int // of PEs, until now
	began      time.Time
	history    []string
	closing    sync.WaitGroup
}

// mortalRegistrar is a machine where a registrar may run.
type mortalRegistrar struct {
	addr netip.Addr
	host *simnet.Host
	id   rsp.RegistrarID
	*rsp.Registrar
}

// mortalPE is a pool element that may run, each time on another machine.
type mortalPE struct {
	pool rsp.PoolHandle
	id   rsp.PEID
	host *simnet.Host
	*rsp.Endpoint
}

func newFaults(t *testing.T, seed uint64) *faults {
	f := &faults{
		T: t, rand: rand.New(rand.NewPCG(seed, 0)), net: simnet.New(simnet.Config{Latency: latency, Seed: seed}),
		cuts: make(map[[2]netip.Addr]bool), began: time.Now(),
	}
	f.announced, f.renewed = f.rand.IntN(2) == 0, f.rand.IntN(2) == 0
	for i := range 2 + f.rand.IntN(3) {
		h := f.net.Host(fmt.Sprintf("10.0.0.%d", i+1))
		f.registrars = append(f.registrars, &mortalRegistrar{addr: h.Addrs()[0], host: h})
	}
	for i := range f.rand.IntN(9) {
		f.elements = append(f.elements, &mortalPE{pool: rsp.PoolHandle([]string{"Echo", "Web"}[i%2]), id: rsp.PEID(i + 1)})
	}
	return f
}

// run lets it all happen, and returns how long afterwards everything was the same.
func (f *faults) run() time.Duration {
	for i := range f.registrars {
		f.startRegistrar(i)
		f.pause(time.Second)
	}
	for i := range f.elements {
		f.startPE(i)
	}
	for range 10 + f.rand.IntN(11) {
		f.pause(10 * time.Second)
		f.fault()
	}
	f.pause(10 * time.Second)
	f.endFaults()
	settled := f.quiet(3 * time.Minute)
	f.stopAll()
	return settled
}

func (f *faults) pause(most time.Duration) { time.Sleep(time.Duration(f.rand.Int64N(int64(most)))) }

// note keeps what happens for the case of failure.
func (f *faults) note(format string, args ...any) {
	f.history = append(f.history, fmt.Sprintf("%8.3fs ", time.Since(f.began).Seconds())+fmt.Sprintf(format, args...))
	if *scheduleSeed != 0 {
		f.Log(f.history[len(f.history)-1])
	}
}

// fault is one thing that happens.
func (f *faults) fault() {
	switch f.rand.IntN(8) {
	case 0, 1:
		f.cut()
	case 2:
		f.heal()
	case 3, 4:
		f.startOrEndRegistrar(f.rand.IntN(len(f.registrars)))
	default:
		if len(f.elements) > 0 {
			f.startOrEndPE(f.rand.IntN(len(f.elements)))
		}
	}
}

// cut separates two registrars, or a registrar and a PE.
func (f *faults) cut() {
	i := f.rand.IntN(len(f.registrars))
	a, b := f.registrars[i].addr, f.registrars[(i+1)%len(f.registrars)].addr
	if f.rand.IntN(3) == 0 && len(f.elements) > 0 {
		if pe := f.elements[f.rand.IntN(len(f.elements))]; pe.Endpoint != nil {
			b = pe.host.Addrs()[0]
		}
	}
	f.note("%v and %v are cut", a, b)
	f.net.Cut(a, b)
	f.cuts[[2]netip.Addr{a, b}] = true
}

func (f *faults) heal() {
	for _, link := range slices.SortedFunc(maps.Keys(f.cuts), func(a, b [2]netip.Addr) int {
		return slices.CompareFunc(a[:], b[:], netip.Addr.Compare)
	}) {
		if f.rand.IntN(2) == 0 {
			f.healLink(link)
		}
	}
}

func (f *faults) healLink(link [2]netip.Addr) {
	f.note("%v and %v are healed", link[0], link[1])
	f.net.Heal(link[0], link[1])
	delete(f.cuts, link)
}

func (f *faults) startOrEndRegistrar(i int) {
	r := f.registrars[i]
	if r.Registrar == nil {
		f.startRegistrar(i)
		return
	}
	switch f.rand.IntN(3) {
	case 0:
		f.note("registrar %v is killed", r.id)
	case 1:
		f.note("registrar %v has no power", r.id)
		r.host.Kill()
		defer func() { r.host = f.net.Host(r.addr.String()) }()
	case 2:
		f.note("registrar %v is shut down", r.id)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			f.Errorf("registrar %v: %v", r.id, err)
		}
	}
	r.Abort()
	r.Registrar = nil
}

// startRegistrar starts a registrar under its last identifier or a new one, as it does that
// is configured with one or not.
func (f *faults) startRegistrar(i int) {
	r := f.registrars[i]
	if r.id == 0 || f.rand.IntN(2) == 0 {
		r.id = rsp.RegistrarID(f.rand.Uint32() | 1)
	}
	cfg := rsp.RegistrarConfig{ID: r.id, Address: f.asap()[i], Announce: "auto"}
	if !f.announced {
		cfg.Announce = "off"
		for _, peer := range f.registrars {
			cfg.Peers = append(cfg.Peers, peer.addr.String()) // itself, too
		}
	}
	f.note("registrar %v starts on %v", r.id, r.addr)
	r.Registrar = rsp.NewRegistrarOn(cfg, r.host)
	if err := r.Start(context.Background()); err != nil {
		f.Fatalf("registrar %v: %v", r.id, err)
	}
}

// asap is where registrars serve PEs.
func (f *faults) asap() (addrs []string) {
	for _, r := range f.registrars {
		addrs = append(addrs, r.addr.String()+":3863")
	}
	return addrs
}

func (f *faults) startOrEndPE(i int) {
	pe := f.elements[i]
	if pe.Endpoint == nil {
		f.startPE(i)
		return
	}
	switch ended := pe.Endpoint; f.rand.IntN(3) {
	case 0:
		f.note("PE %d is killed", pe.id)
		ended.Abort()
	case 1:
		f.note("PE %d has no power", pe.id)
		pe.host.Kill()
		ended.Abort()
	case 2:
		f.note("PE %d leaves", pe.id)
		f.closing.Go(func() { ended.Close() }) // waits for a registrar to answer
	}
	pe.Endpoint = nil
}

// startPE starts a PE, which is registered as soon as it finds a registrar.
func (f *faults) startPE(i int) {
	pe := f.elements[i]
	f.hosts++
	pe.host = f.net.Host(fmt.Sprintf("10.0.%d.%d", 1+f.hosts/256, f.hosts%256))
	f.note("PE %d starts on %v", pe.id, pe.host.Addrs()[0])
	cfg := rsp.Config{Registrars: []string{"10.9.9.9:3863"}, Announce: "auto"} // where nobody is
	if !f.announced {
		cfg = rsp.Config{Registrars: f.asap()}
	}
	if !f.renewed {
		cfg.ReregistrationInterval = time.Hour
	}
	endpoint, err := rsp.NewEndpointOn(cfg, pe.host)
	if err != nil {
		f.Fatal(err)
	}
	pe.Endpoint = endpoint
	f.closing.Go(func() { endpoint.Listen(context.Background(), pe.pool, rsp.PE{ID: pe.id}) })
}

// endFaults heals the network, and starts a registrar should there be none.
func (f *faults) endFaults() {
	for link := range f.cuts {
		f.healLink(link)
	}
	if len(f.living()) == 0 {
		f.startRegistrar(0)
	}
}

func (f *faults) living() []*mortalRegistrar {
	return slices.DeleteFunc(slices.Clone(f.registrars), func(r *mortalRegistrar) bool { return r.Registrar == nil })
}

// quiet waits, and returns since when everything is the same.
func (f *faults) quiet(wait time.Duration) (settled time.Duration) {
	var wrong []string
	for since := range int(wait / time.Second) {
		if wrong = f.differences(); len(wrong) > 0 {
			settled = time.Duration(since+1) * time.Second
		}
		time.Sleep(time.Second)
	}
	if wrong = f.differences(); len(wrong) > 0 {
		f.Errorf("%v after the last fault:\n%s\nafter\n%s", wait, strings.Join(wrong, "\n"), strings.Join(f.history, "\n"))
	}
	return settled
}

// differences lists what is wrong with any registrar.
func (f *faults) differences() (wrong []string) {
	var want []string
	for _, pe := range f.elements {
		if pe.Endpoint != nil {
			want = append(want, fmt.Sprintf("%s/%d", pe.pool, pe.id))
		}
	}
	slices.Sort(want)
	living := f.living()
	homes := f.homesOf(living[0], want)
	for _, r := range living {
		if got := f.homesOf(r, want); !maps.Equal(got, homes) || !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			wrong = append(wrong, fmt.Sprintf("registrar %v has the PEs and homes %v, registrar %v %v, PEs that live: %v", r.id, got, living[0].id, homes, want))
		}
		for pe, home := range f.homesOf(r, want) {
			if !f.lives(home) {
				wrong = append(wrong, fmt.Sprintf("registrar %v: the home of PE %v is %v, which is dead", r.id, pe, home))
			}
		}
		if peers := peersOf(r); len(peers) != len(living)-1 {
			wrong = append(wrong, fmt.Sprintf("registrar %v has the peers %v of %d registrars", r.id, peers, len(living)))
		}
	}
	return wrong
}

// homesOf is the handlespace of r: the home of each PE. A PE that has died, as has its home, may be
// there to the end of its registration life if r has never heard that home.
func (f *faults) homesOf(r *mortalRegistrar, living []string) map[string]rsp.RegistrarID {
	homes := make(map[string]rsp.RegistrarID)
	for _, pool := range r.Pools() {
		for _, el := range pool.Elements {
			pe := fmt.Sprintf("%s/%d", pool.Handle, el.ID)
			if f.renewed || f.lives(el.Registrar) || slices.Contains(living, pe) {
				homes[pe] = el.Registrar
			}
		}
	}
	return homes
}

func (f *faults) lives(id rsp.RegistrarID) bool {
	return slices.ContainsFunc(f.living(), func(r *mortalRegistrar) bool { return r.id == id })
}

// peersOf lists the peers that r has reached.
func peersOf(r *mortalRegistrar) (ids []rsp.RegistrarID) {
	for _, p := range r.Peers() {
		if p.ID != 0 {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// stopAll ends everything and waits. The bubble of the test sees to it that no goroutine is left.
func (f *faults) stopAll() {
	for _, pe := range f.elements {
		if pe.Endpoint != nil {
			pe.Abort()
		}
	}
	for _, r := range f.living() {
		r.Abort()
	}
	f.closing.Wait()
}
