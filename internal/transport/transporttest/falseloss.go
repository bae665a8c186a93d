package transporttest

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// BenchFalseLoss counts suspicions and losses of peers that live, in half a minute of a process that has more to
// compute than processors: of 8 associations that are asked each 5 ms and 8 that are idle. There should be no losses.
func BenchFalseLoss(b *testing.B, connect func() (dialed, accepted transport.Assoc)) {
	const associations, duration = 16, 30 * time.Second
	var c counts
	for b.Loop() {
		var wg sync.WaitGroup
		until := time.Now().Add(duration)
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for time.Now().Before(until) {
				}
			})
		}
		for i := range associations {
			client, server := connect()
			client.SetDeadline(until)
			server.SetDeadline(until)
			wg.Go(func() { answer(server) })
			wg.Go(func() { c.count(client) })
			if i%2 == 0 {
				wg.Go(func() { ask(client) })
			}
		}
		wg.Wait()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(c.answers.Load())/float64(b.N), "answers")
	b.ReportMetric(float64(c.suspicions.Load())/float64(b.N), "suspicions")
	b.ReportMetric(float64(c.losses.Load())/float64(b.N), "losses")
}

// answer echoes until the end.
func answer(a transport.Assoc) {
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

// counts is what associations have met.
type counts struct{ answers, suspicions, losses atomic.Int64 }

// count counts what comes until the deadline, or the loss.
func (c *counts) count(a transport.Assoc) {
	buf := make([]byte, 100)
	for {
		_, info, err := a.Recv(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			c.losses.Add(1)
			return
		case info.Notice == transport.NoticeSuspect:
			c.suspicions.Add(1)
		case info.Notice == transport.NoticeNone:
			c.answers.Add(1)
		}
	}
}
