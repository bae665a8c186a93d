package rsp_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/wire"
)

// benchmarkRegistrar has clients ask a registrar over the TCP mapping on loopback, each
// one request at a time, with 1,000 PEs registered. requests gives those of a client, in
// turn.
func benchmarkRegistrar(b *testing.B, clients int, requests func(client protocol.PEID) []effect.Appender) {
	r := startRegistrar(b, rsp.RegistrarConfig{EndpointKeepAliveTransmissionInterval: time.Hour})
	pe := dialRegistrar(b, r)
	for id := range protocol.PEID(1000) {
		pe.send(&wire.Registration{Handle: "Echo", Element: loopbackElement(id + 1)})
		pe.want(&wire.RegistrationResponse{Handle: "Echo", ID: id + 1})
	}
	var turns sync.WaitGroup
	next := make(chan struct{})
	for i := range clients {
		p := dialRegistrar(b, r)
		p.SetDeadline(time.Time{})
		var messages [][]byte
		for _, m := range requests(protocol.PEID(i)) {
			messages = append(messages, m.AppendTo(nil))
		}
		turns.Go(func() {
			turn := 0
			for range next {
				m := messages[turn%len(messages)]
				turn++
				if err := p.Send(m, transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
					b.Error(err)
					return
				}
				if _, _, err := p.Recv(p.buf); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		next <- struct{}{}
	}
	close(next)
	turns.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func clientCounts(b *testing.B, f func(b *testing.B, clients int)) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) { f(b, n) })
	}
}

// BenchmarkRegistrarResolution resolves a pool of 1,000 PEs to one of them.
func BenchmarkRegistrarResolution(b *testing.B) {
	clientCounts(b, func(b *testing.B, clients int) {
		benchmarkRegistrar(b, clients, func(protocol.PEID) []effect.Appender {
			return []effect.Appender{&wire.HandleResolution{Handle: "Echo", Items: 1}}
		})
	})
}

// BenchmarkRegistrarReregistration registers a known PE again, each client its own.
func BenchmarkRegistrarReregistration(b *testing.B) {
	clientCounts(b, func(b *testing.B, clients int) {
		benchmarkRegistrar(b, clients, func(client protocol.PEID) []effect.Appender {
			return []effect.Appender{&wire.Registration{Handle: "Echo", Element: loopbackElement(client + 1)}}
		})
	})
}

// BenchmarkRegistrarRegistration registers a new PE and deregisters it, as two requests.
func BenchmarkRegistrarRegistration(b *testing.B) {
	clientCounts(b, func(b *testing.B, clients int) {
		benchmarkRegistrar(b, clients, func(client protocol.PEID) []effect.Appender {
			return []effect.Appender{
				&wire.Registration{Handle: "Echo", Element: loopbackElement(client + 2000)},
				&wire.Deregistration{Handle: "Echo", ID: client + 2000},
			}
		})
	})
}
