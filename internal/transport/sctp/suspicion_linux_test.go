//go:build !386

package sctp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/transporttest"
)

// patient suspects soon, and loses late enough for a test to heal before.
var patient = transport.Options{PathMaxRetrans: 50, AssocMaxRetrans: 50}

// "NoticeSuspect: the peer misses answers", "NoticeAnswers: the peer has answered after NoticeSuspect": idle, with
// data that waits for its acknowledgement, and once more after that.
func testSuspicion(t *testing.T) {
	hosts := lab.Hosts(t, 2, 1)
	a, b := pair(t, hosts[0], hosts[1], patient)
	for _, message := range []string{"", "one", "", "two"} {
		hosts[1].Cut(t, 0)
		if message != "" {
			send(t, a, message)
		}
		wantNext(t, a, "suspect")
		hosts[1].Heal(t, 0)
		wantNext(t, a, "answers")
		if message != "" {
			until(t, b, message)
		}
	}
	// A message from the peer is an answer too. Whichever comes first, there is one notice.
	hosts[1].Cut(t, 0)
	wantNext(t, a, "suspect")
	send(t, b, "hello")
	hosts[1].Heal(t, 0)
	got := []string{}
	for range 2 {
		text, err := next(a)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, text)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"answers", "hello"}) {
		t.Errorf("received %q", got)
	}
}

// "the peer misses answers, on every path".
func testSuspicionOfPaths(t *testing.T) {
	hosts := lab.Hosts(t, 2, 2)
	a, b := pair(t, hosts[0], hosts[1], transport.Options{})
	until2 := time.Now().Add(2 * time.Second)
	a.SetReadDeadline(until2) // by then the second path is confirmed
	if text, err := next(a); err == nil {
		t.Errorf("notice %q of an idle association", text)
	}
	a.SetReadDeadline(time.Now().Add(20 * time.Second))
	hosts[1].Cut(t, 0)
	wantNext(t, a, "path down") // by its heartbeats
	send(t, a, "over the other")
	until(t, b, "over the other")
	hosts[1].Cut(t, 1)
	wantNext(t, a, "suspect")
	if notices := wantEnd(t, a, transport.ErrLost); slices.Contains(notices, "answers") {
		t.Errorf("notices %q", notices)
	}
}

// BenchmarkSilentCut measures how long a silent cut stays unnoticed, idle and with a request each 5 ms: until
// NoticeSuspect, and until the association is lost.
//
//	go test -run '^$' -bench SilentCut -benchtime 50x ./internal/transport/sctp
func BenchmarkSilentCut(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		hosts := lab.Hosts(b, 2, 1)
		for _, busy := range []bool{true, false} {
			b.Run(map[bool]string{true: "busy", false: "idle"}[busy], func(b *testing.B) {
				var suspected, lost []time.Duration
				for b.Loop() {
					s, l := silentCut(b, hosts, busy)
					suspected, lost = append(suspected, s), append(lost, l)
				}
				b.ReportMetric(0, "ns/op")
				reportQuantiles(b, "suspect", suspected)
				reportQuantiles(b, "lost", lost)
			})
		}
	})
}

func reportQuantiles(b *testing.B, what string, d []time.Duration) {
	slices.Sort(d)
	for name, i := range map[string]int{"median": len(d) / 2, "p99": len(d) * 99 / 100} {
		b.ReportMetric(float64(d[i].Microseconds())/1000, fmt.Sprintf("ms-%s-%s", what, name))
	}
}

// silentCut cuts the host of a peer, and tells how long it took until that was noticed: since the last answer of
// one that is asked each 5 ms, else since the cut was begun.
func silentCut(b *testing.B, hosts []*lab.Host, busy bool) (suspected, lost time.Duration) {
	client, server := pair(b, hosts[0], hosts[1], transport.Options{})
	var wg sync.WaitGroup
	wg.Go(func() { echo(server) })
	if busy {
		wg.Go(func() { ask(client) })
	}
	cut := make(chan time.Time, 1)
	wg.Go(func() {
		time.Sleep(400*time.Millisecond + rand.N(250*time.Millisecond)) // anywhere between heartbeats
		cut <- time.Now()
		hosts[1].Cut(b, 0)
	})
	var answered, missed time.Time
	buf := make([]byte, 100)
	for {
		_, info, err := client.Recv(buf)
		switch now := time.Now(); {
		case err != nil:
			start := <-cut
			if busy {
				start = answered
			}
			server.Abort()
			client.Abort()
			wg.Wait()
			hosts[1].Heal(b, 0)
			return missed.Sub(start), now.Sub(start)
		case info.Notice == transport.NoticeSuspect:
			missed = now
		case info.Notice == transport.NoticeNone:
			answered = now
		}
	}
}

// echo answers until the end.
func echo(a transport.Assoc) {
	buf := make([]byte, 100)
	for {
		n, info, err := a.Recv(buf)
		if err != nil || info.Notice == transport.NoticeNone && a.Send(buf[:n], transport.SendInfo{}) != nil {
			return
		}
	}
}

// ask sends a small message each 5 ms until the end.
func ask(a transport.Assoc) {
	for a.Send([]byte("ping"), transport.SendInfo{}) == nil {
		time.Sleep(5 * time.Millisecond)
	}
}

// BenchmarkFalseLoss is transporttest.BenchFalseLoss with 1 % of the packets lost each way:
//
//	go test -run '^$' -bench FalseLoss -benchtime 1x ./internal/transport/sctp
func BenchmarkFalseLoss(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		hosts := lab.Hosts(b, 2, 1)
		for _, h := range hosts {
			h.Lose(b, 0, 1)
		}
		transporttest.BenchFalseLoss(b, func() (dialed, accepted transport.Assoc) {
			return pair(b, hosts[0], hosts[1], transport.Options{})
		})
	})
}
