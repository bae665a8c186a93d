package rsp_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// Servers that are replaced one after the other, at any moment, under a client that asks without pause: every
// request is carried out once, by whichever server, and answered in order.
func TestServersReplaced(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			random := rand.New(rand.NewPCG(seed, 0))
			done := make(map[int]int) // how often each request was carried out; servers take turns at it
			var mu sync.Mutex
			handler := numbered(func(n int) {
				mu.Lock()
				defer mu.Unlock()
				done[n]++
			}, time.Duration(random.IntN(3))*latency)
			old := s.server(ctx(), 1, rsp.Policy{}, &rsp.Server{Handler: handler})
			const requests = 200
			asked := make(chan error, 1)
			go func() { asked <- askNumbered(s, requests) }()
			replaced := 0
			for len(asked) == 0 {
				time.Sleep(time.Duration(random.IntN(50_000)) * time.Microsecond)
				next := s.server(ctx(), rsp.PEID(replaced+2), rsp.Policy{}, &rsp.Server{Handler: handler})
				if err := old.Shutdown(ctx()); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				old, replaced = next, replaced+1
			}
			if err := <-asked; err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for n := 1; n <= requests; n++ {
				if done[n] != 1 {
					t.Errorf("seed %d, %d servers replaced: request %d was carried out %d times", seed, replaced, n, done[n])
				}
			}
			if replaced < 3 {
				t.Errorf("seed %d: only %d servers were replaced", seed, replaced)
			}
		})
	}
}

// numbered carries out requests by their numbers; the cookie is the last one, so that one which comes
// again is only answered again.
func numbered(carryOut func(int), takes time.Duration) func(context.Context, *rsp.Socket) {
	return func(ctx context.Context, session *rsp.Socket) {
		last := 0
		session.KeepCookie(rsp.CookiePlan{State: func(b []byte) []byte { return fmt.Append(b, last) }, Messages: 5})
		buf := make([]byte, 100)
		for {
			n, info, err := session.RecvFullMsg(ctx, buf)
			if err != nil {
				return
			}
			number, _ := strconv.Atoi(string(buf[:n]))
			if info.CookieEcho {
				last = number
				continue
			}
			time.Sleep(takes)
			if number > last {
				last = number
				carryOut(number)
			}
			if session.SendMsg(ctx, buf[:n], rsp.MsgInfo{}) != nil {
				return
			}
		}
	}
}

// askNumbered asks one request after the other, again after a failover.
func askNumbered(s *scope, requests int) error {
	var mu sync.Mutex
	asking := 0
	session := s.connect(rsp.Dialer{OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := f.Write(fmt.Append(nil, asking))
		return err
	}})
	buf := make([]byte, 100)
	for n := 1; n <= requests; n++ {
		mu.Lock()
		asking = n
		mu.Unlock()
		if _, err := session.Write(fmt.Append(nil, n)); err != nil {
			return err
		}
		for answer := 0; answer < n; {
			m, _, err := session.RecvFullMsg(ctx(), buf)
			if err != nil {
				return fmt.Errorf("request %d: %w", n, err)
			}
			if answer, _ = strconv.Atoi(string(buf[:m])); answer > n {
				return fmt.Errorf("answer %d to request %d", answer, n)
			}
		}
	}
	return session.Close()
}
