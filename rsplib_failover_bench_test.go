package rsp_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// The benchmarks of this file measure the time from the end of a server to the first answer of the next one,
// with client, server and registrar of one make, in one guest:
//
//	go test -run '^$' -bench KillBesideRSPLIB -benchtime 100x .
//	go test -run '^$' -bench SilentCut$ -benchtime 100x .
//	go test -run '^$' -bench SilentCutOfRSPLIB -benchtime 2x .

// BenchmarkKillBesideRSPLIB ends servers by kill -9.
func BenchmarkKillBesideRSPLIB(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		hosts := lab.Hosts(b, allHosts, 1)
		for _, by := range []maker{ours, rsplib} {
			b.Run(by.String(), func(b *testing.B) { benchmarkFailover(b, hosts, by, false) })
		}
	})
}

// BenchmarkSilentCut cuts hosts off, of which nobody is told, while the client asks every 10 ms.
func BenchmarkSilentCut(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) { benchmarkFailover(b, lab.Hosts(b, allHosts, 1), ours, true) })
}

// BenchmarkSilentCutOfRSPLIB is the same with RSPLIB, which takes half a minute to notice.
func BenchmarkSilentCutOfRSPLIB(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) { benchmarkFailover(b, lab.Hosts(b, allHosts, 1), rsplib, true) })
}

func benchmarkFailover(b *testing.B, hosts []*lab.Host, by maker, cut bool) {
	s := newRealScope(b, hosts)
	s.quiet = true
	s.registrar(0, by)
	pes := []*lab.Host{hosts[peHost], hosts[peHost+1]}
	for i := range pes {
		s.pe(i, by, 0)
		s.wantElements(i + 1)
	}
	client := s.dialogue(by, cut)
	at := client.first(s)
	var times []time.Duration
	for b.Loop() {
		lost := at
		name := fmt.Sprint("PE ", lost+1)
		start := time.Now()
		if cut {
			pes[lost].Cut(b, 0)
		} else {
			s.kill(name)
		}
		var answered time.Time
		at, answered = client.next(s, lost)
		times = append(times, answered.Sub(start))
		b.StopTimer()
		if cut {
			s.kill(name)
			pes[lost].Heal(b, 0)
		}
		s.wantElements(1) // that the one is gone is known
		s.pe(lost, by, 0)
		s.wantElements(2)
		b.StartTimer()
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}

// wantElements waits until the registrar knows n PEs of EchoPool.
func (s *realScope) wantElements(n int) {
	s.Helper()
	p := s.dial(0, 3863)
	defer p.Abort()
	for len(p.homes()) != n {
		if s.ctx.Err() != nil {
			s.Fatalf("PEs %v, want %d", p.homes(), n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// asking is a client that asks every 10 ms, or ours that waits and asks whoever it comes to.
type asking struct {
	*lab.Process
	by    maker
	asked int
	read  int // bytes of its output that next has looked at
}

func (s *realScope) dialogue(by maker, always bool) *asking {
	s.Helper()
	at := s.addr(0, 3863)
	if by == ours {
		how := "waits"
		if always {
			how = "asks"
		}
		return &asking{s.start("client", puHost, part{Registrars: []string{at}, Dialogue: how}), by, 0, 0}
	}
	terminal := s.hosts[puHost].RSPLIB(s.TB, "rspterminal", "-registrar="+at, "-asapannounce=off", "-poolhandle=EchoPool")
	return &asking{s.run("client", terminal), by, 0, 0}
}

// first is who answers at the beginning, 0 or 1.
func (c *asking) first(s *realScope) int {
	s.Helper()
	at, _ := c.next(s, -1)
	return at
}

// next waits for an answer of another PE than lost, and tells when it came.
func (c *asking) next(s *realScope, lost int) (at int, when time.Time) {
	s.Helper()
	const patience = time.Minute
	for start := time.Now(); time.Since(start) < patience; {
		lines := c.Output()[c.read:]
		lines = lines[:strings.LastIndex(lines, "\n")+1]
		c.read += len(lines)
		for line := range strings.Lines(lines) {
			if at, when, ok := c.parse(line); ok && at != lost {
				return at, when
			}
		}
		if c.by == rsplib {
			c.asked++
			c.Input(s.TB, fmt.Sprint("line ", c.asked))
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.Fatalf("no other PE than %d answers; the client says:\n%s", lost+1, c.Output())
	return 0, time.Time{}
}

// parse reads "PE 1 at 123456789" of ours, and "from PE $00000001> line" of RSPLIB's.
func (c *asking) parse(line string) (at int, when time.Time, ok bool) {
	var id int
	if c.by == ours {
		var nanoseconds int64
		n, _ := fmt.Sscanf(line, "PE %d at %d", &id, &nanoseconds)
		return id - 1, time.Unix(0, nanoseconds), n == 2
	}
	_, after, found := strings.Cut(line, "from PE $")
	n, _ := fmt.Sscanf(after, "%x>", &id)
	return id - 1, time.Now(), found && n == 1
}

// runDialogue is our client: it tells who answers whenever that is somebody else.
func runDialogue(e *rsp.Endpoint, how string) error {
	question := []byte("question")
	session, err := (&rsp.Dialer{Endpoint: e, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		_, err := f.Write(question)
		return err
	}}).Connect(ctx(), "EchoPool")
	if err == nil {
		_, err = session.Write(question)
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	buf := make([]byte, 100)
	for last := rsp.PEID(0); ; {
		_, info, err := session.RecvFullMsg(ctx(), buf)
		if err != nil {
			return err
		}
		if info.PE != last {
			last = info.PE
			fmt.Printf("PE %d at %d\n", last, time.Now().UnixNano())
		}
		if how == "asks" {
			time.Sleep(10 * time.Millisecond)
			if _, err := session.Write(question); err != nil {
				return err
			}
		}
	}
}
