package rsp_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// resolved is the end of a Resolve that ran beside others.
type resolved struct {
	*rsp.Resolution
	err error
}

// resolveTogether has several callers resolve EchoPool at the same time, each for its number of
// elements.
func resolveTogether(e *rsp.Endpoint, ns ...uint32) []resolved {
	results := make([]resolved, len(ns))
	var wg sync.WaitGroup
	for i, n := range ns {
		wg.Go(func() { results[i].Resolution, results[i].err = e.Resolve(ctx(), "EchoPool", n) })
		synctest.Wait() // in this order
	}
	wg.Wait()
	return results
}

// pes starts pool elements 1 to n.
func (s *scope) pes(n rsp.PEID) {
	for id := range n {
		s.pe("pe", id+1, nil)
	}
}

func ids(r *rsp.Resolution) (ids []rsp.PEID) {
	for _, el := range r.Elements {
		ids = append(ids, el.ID)
	}
	return ids
}

// repeat returns count times n.
func repeat(n uint32, count int) (ns []uint32) {
	for range count {
		ns = append(ns, n)
	}
	return ns
}

// One question serves all who ask at the same time. RFC 5356 section 4.1.2 (round robin): "Using this
// algorithm ensures that not all lists presented to the pool users start with the same element":
// here too.
func TestResolveTogether(t *testing.T) {
	for name, c := range map[string]struct {
		stale   time.Duration
		n       uint32
		callers int
		want    uint64 // resolutions
	}{
		"one of an answer each":       {n: 0, callers: 3, want: 1},
		"one element is not enough":   {n: 1, callers: 100, want: 2},
		"three elements are too few":  {n: 0, callers: 100, want: 2},
		"all elements":                {n: rsp.AllElements, callers: 100, want: 1},
		"all elements, kept":          {n: rsp.AllElements, callers: 100, want: 1, stale: time.Second},
		"a fresh answer serves on":    {n: 0, callers: 90, want: 1, stale: time.Second},
		"more than there are, shared": {n: 5, callers: 100, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				s.pes(4)
				e := s.endpoint("pu", s.host(), rsp.Config{StaleCache: c.stale})
				first := make(map[rsp.PEID]int)
				for _, r := range resolveTogether(e, repeat(c.n, c.callers)...) {
					if r.err != nil || r.Age != 0 || r.Stale {
						t.Fatalf("%+v, %v", r.Resolution, r.err)
					}
					first[r.Elements[0].ID]++
				}
				if n := s.reg.Stats().Resolutions; n != c.want {
					t.Errorf("the registrar was asked %d times, want %d", n, c.want)
				}
				least := min(4, uint64(c.callers))
				if c.n == 0 && c.want == 1 {
					least = 3 // as many as the registrar gives unasked
				}
				if uint64(len(first)) != least {
					t.Errorf("first elements: %v, want %d different ones", first, least)
				}
				for id, count := range first {
					if fair := c.callers / int(least); count < fair-1 || count > fair+1 {
						t.Errorf("PE %v came first %d times of %d", id, count, c.callers)
					}
				}
			})
		})
	}
}

// Who wants more than the question under way asks for waits for its answer, and asks anew only
// if that was cut short.
func TestResolveMoreThanUnderWay(t *testing.T) {
	for name, c := range map[string]struct {
		ns   []uint32
		want []int // elements
		asks uint64
	}{
		"cut short":             {[]uint32{1, 3, 4}, []int{1, 3, 4}, 2},
		"cut short for all":     {[]uint32{2, rsp.AllElements, 1}, []int{2, 4, 1}, 2},
		"not cut short":         {[]uint32{7, rsp.AllElements}, []int{4, 4}, 1},
		"less":                  {[]uint32{4, 1}, []int{4, 1}, 2},
		"unasked, then by name": {[]uint32{0, 4}, []int{3, 4}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				s.pes(4)
				e := s.endpoint("pu", s.host(), rsp.Config{})
				for i, r := range resolveTogether(e, c.ns...) {
					if r.err != nil || len(r.Elements) != c.want[i] {
						t.Errorf("asked for %d: %+v, %v", c.ns[i], r.Resolution, r.err)
					}
				}
				if n := s.reg.Stats().Resolutions; n != c.asks {
					t.Errorf("the registrar was asked %d times, want %d", n, c.asks)
				}
			})
		})
	}
}

// A caller whose context ends leaves; the others get their answer.
func TestResolveCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(1)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		impatient, cancel := context.WithCancel(ctx())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := e.Resolve(impatient, "EchoPool", 0); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
		wg.Go(func() {
			if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil {
				t.Errorf("who stayed got %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

// With the last caller the question goes.
func TestResolveLastCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(1)
		host := s.host()
		e := s.endpoint("pu", host, rsp.Config{})
		s.net.Cut(host.Addrs()[0], s.registrarHost.Addrs()[0])
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := e.Resolve(short, "EchoPool", 0); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.net.Heal(host.Addrs()[0], s.registrarHost.Addrs()[0])
		time.Sleep(10 * time.Second)
		if n := s.reg.Stats().Resolutions; n != 0 {
			t.Errorf("the registrar was asked %d times for nobody", n)
		}
		if _, err := e.Resolve(ctx(), "EchoPool", 0); err != nil {
			t.Errorf("the next caller: %v", err)
		}
	})
}

// RFC 5352 section 3.3: "If the named pool does not exist in the handlespace, the ENRP server MUST
// reject the handle resolution request": all who have waited are told, and the same without any
// registrar.
func TestResolveErrorsGoToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		e := s.endpoint("pu", s.host(), rsp.Config{})
		for _, want := range []error{rsp.ErrUnknownPool, rsp.ErrNoRegistrar} {
			start := time.Now()
			for _, r := range resolveTogether(e, 0, 1, rsp.AllElements, 0) {
				if !errors.Is(r.err, want) {
					t.Errorf("%v, want %v", r.err, want)
				}
			}
			if took := time.Since(start); took > 3*time.Second+10*latency {
				t.Errorf("%v took %v", want, took)
			}
			if n := s.reg.Stats().Resolutions; want == rsp.ErrUnknownPool && n != 1 {
				t.Errorf("the registrar was asked %d times", n)
			}
			s.reg.Abort()
			time.Sleep(time.Second)
		}
	})
}

// RFC 5352 section 3.3: "C4) If the cache entry is NOT stale, the endpoint SHOULD NOT send a handle
// resolution request but instead SHOULD use the entry from the cache." An entry of three elements
// is none for who wants four; and each lookup begins with another element.
func TestCacheServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(4)
		e := s.endpoint("pu", s.host(), rsp.Config{StaleCache: 10 * time.Second})
		resolve := func(n uint32) *rsp.Resolution {
			t.Helper()
			r, err := e.Resolve(ctx(), "EchoPool", n)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		asked := func(want uint64) {
			t.Helper()
			if n := s.reg.Stats().Resolutions; n != want {
				t.Errorf("the registrar was asked %d times, want %d", n, want)
			}
		}
		for i := range 9 {
			if r := resolve(0); len(r.Elements) != 3 || r.Elements[0].ID != rsp.PEID(i%3+1) {
				t.Errorf("resolution %d: PEs %v", i, ids(r))
			}
		}
		asked(1)
		time.Sleep(time.Second)
		if r := resolve(4); len(r.Elements) != 4 || r.Age != 0 {
			t.Errorf("four of four: PEs %v, age %v", ids(r), r.Age)
		}
		asked(2)
		time.Sleep(9 * time.Second)
		if r := resolve(3); len(r.Elements) != 3 || r.Age < 9*time.Second || r.Age > 9*time.Second+10*latency || r.Stale {
			t.Errorf("three of four: %+v", r)
		}
		asked(2)
		// "C2) ... If the cache entry is determined to be stale upon a cache hit, a handle resolution
		// message SHOULD be sent so the cache can be updated."
		time.Sleep(time.Second)
		if r := resolve(3); r.Age != 0 {
			t.Errorf("of a stale entry: %+v", r)
		}
		asked(3)
		// What a caller does with a resolution is its own business.
		r := resolve(3)
		clear(r.Elements[0].Addrs)
		_ = append(r.Elements[0].Addrs, r.Elements[0].Addrs...)
		for _, el := range resolve(3).Elements {
			if !el.Addrs[0].IsValid() {
				t.Errorf("PE %v has lost its address", el.ID)
			}
		}
	})
}

// A pool element that was reported does not come back by an answer that was asked for before, but
// by one to a later question.
func TestReportOvertakesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pes(2)
		e := s.endpoint("pu", s.host(), rsp.Config{StaleCache: 10 * time.Second})
		if _, err := e.Resolve(ctx(), "NoPool", 0); !errors.Is(err, rsp.ErrUnknownPool) {
			t.Fatal(err) // there is an association now
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				r, err := e.Resolve(ctx(), "EchoPool", rsp.AllElements)
				if err != nil || len(r.Elements) != 1 || r.Elements[0].ID != 2 {
					t.Errorf("PEs %v, %v, want the one that was not reported", ids(r), err)
				}
			})
		}
		synctest.Wait() // the question is on its way
		if err := e.ReportFailure("EchoPool", 1); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || len(r.Elements) != 1 {
			t.Errorf("from the cache: PEs %v, %v", ids(r), err)
		}
		time.Sleep(10 * time.Second)
		if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || len(r.Elements) != 2 {
			t.Errorf("of a later question: PEs %v, %v", ids(r), err)
		}
	})
}
