package rsp_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// BenchmarkSessionBesideRSPLIB measures sessions over kernel SCTP with servers of both makes, in one guest: echoes of 16
// bytes, each client the next one after the answer to its last one, and messages of 16 KiB one way. Beside them
// stand bare associations with a program in Go that knows no pools.
//
//	go test -run '^$' -bench SessionBesideRSPLIB -benchtime 5000x .
func BenchmarkSessionBesideRSPLIB(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		hosts := lab.Hosts(b, allHosts, 1)
		b.Run("echo/bare", func(b *testing.B) { benchmarkBareSCTP(b, hosts, 1) })
		b.Run("echo-by-16/bare", func(b *testing.B) { benchmarkBareSCTP(b, hosts, 16) })
		port := 5000
		for _, work := range []struct {
			name string
			run  func(b *testing.B, sessions []*rsp.Socket)
			n    int
		}{
			{"echo", echoThrough, 1},
			{"echo-by-16", echoThrough, 16},
			{"discard", discardThrough, 1},
		} {
			for _, server := range []maker{ours, rsplib} {
				port += 10
				m := mix{registrar: ours, server: server, client: ours, port: port}
				b.Run(work.name+"/"+server.String(), func(b *testing.B) { work.run(b, m.benchSessions(b, work.name, work.n)) })
			}
		}
	})
}

// benchSessions starts a registrar and a server, and opens sessions with it.
func (m mix) benchSessions(b *testing.B, service string, n int) []*rsp.Socket {
	b.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: m.registrarAddr()})
	if err == nil {
		err = r.Start(ctx())
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Shutdown(ctx()) })
	cfg := rsp.Config{Registrars: []string{m.registrarAddr()}, Network: rsp.KernelSCTP}
	pool := rsp.PoolHandle("EchoPool")
	if service == "discard" {
		pool = "DiscardPool"
	}
	if m.server == ours {
		startPEProcess(b, cfg, pool, 1)
	} else {
		kind := map[rsp.PoolHandle]string{"EchoPool": "-echo", "DiscardPool": "-discard"}[pool]
		lab.Start(b, lab.RSPLIB(b, "rspserver", append(m.libraryArgs(), kind, "-quiet")...))
	}
	e := benchEndpoint(b, cfg)
	for {
		if _, err := e.Resolve(ctx(), pool, 1); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	sessions := make([]*rsp.Socket, n)
	for i := range sessions {
		if sessions[i], err = e.Connect(ctx(), pool); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { sessions[i].Abort() })
	}
	return sessions
}

func echoThrough(b *testing.B, sessions []*rsp.Socket) {
	var wg sync.WaitGroup
	each := max(1, b.N/len(sessions))
	b.ResetTimer()
	for _, session := range sessions {
		wg.Go(func() {
			buf := make([]byte, 16)
			for range each {
				if _, err := session.Write(buf); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(session, buf); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(each*len(sessions))/b.Elapsed().Seconds(), "echoes/s")
}

func discardThrough(b *testing.B, sessions []*rsp.Socket) {
	buf := make([]byte, 16<<10)
	b.ResetTimer()
	for range b.N {
		if _, err := sessions[0].Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(buf))/1e6/b.Elapsed().Seconds(), "MB/s")
}

func benchmarkBareSCTP(b *testing.B, hosts []*lab.Host, n int) {
	s := newRealScope(b, hosts)
	s.start("echo", 0, part{Echo: s.addr(0, protocol.PortASAP)})
	var peers []*peer
	for range n {
		peers = append(peers, s.dial(0, protocol.PortASAP))
	}
	var wg sync.WaitGroup
	each := max(1, b.N/n)
	b.ResetTimer()
	for _, p := range peers {
		wg.Go(func() {
			buf := make([]byte, 16)
			for range each {
				err := p.Send(buf, transport.SendInfo{})
				for info := (transport.RecvInfo{Notice: transport.NoticeSuspect}); err == nil && info.Notice != transport.NoticeNone; {
					_, info, err = p.Recv(buf)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(each*n)/b.Elapsed().Seconds(), "echoes/s")
}
