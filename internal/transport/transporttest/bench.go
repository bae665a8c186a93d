package transporttest

import (
	"testing"

	"github.com/rserpool/rsp/internal/transport"
)

// Bench measures an association: the echo of a small message, and the transfer
// of long ones in one direction. setup cleans up with b.Cleanup.
func Bench(b *testing.B, setup func(b *testing.B) Setup) {
	b.Run("Echo", func(b *testing.B) { benchEcho(b, setup(b)) })
	b.Run("OneWay16KiB", func(b *testing.B) { benchOneWay(b, setup(b)) })
}

func benchEcho(b *testing.B, s Setup) {
	client, server := connectBench(b, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		buf := make([]byte, 1024)
		for {
			m, info, err := recvFull(server, buf)
			if err != nil {
				return
			}
			if server.Send(m, transport.SendInfo{PPID: info.PPID, Stream: info.Stream}) != nil {
				return
			}
		}
	}()
	ping, buf := message(1, 64), make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if err := client.Send(ping, transport.SendInfo{}); err != nil {
			b.Fatal(err)
		}
		if _, _, err := recvFull(client, buf); err != nil {
			b.Fatal(err)
		}
	}
	client.Abort()
	<-served
}

func benchOneWay(b *testing.B, s Setup) {
	client, server := connectBench(b, s)
	received := make(chan int)
	go func() {
		n, buf := 0, make([]byte, 16<<10)
		for {
			if _, _, err := recvFull(server, buf); err != nil {
				received <- n
				return
			}
			n++
		}
	}()
	m := message(1, 16<<10)
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		if err := client.Send(m, transport.SendInfo{}); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	client.Close()
	if n := <-received; n != sent {
		b.Errorf("%d messages sent, %d received", sent, n)
	}
}

// connectBench is connect without the watchdog: a benchmark may take long.
func connectBench(b *testing.B, s Setup) (client, server transport.Assoc) {
	b.Helper()
	ln := listen(b, s.Server, s.ServerAddr, transport.Options{})
	client, err := s.Client.Dial(b.Context(), ln.LocalAddr(), transport.Options{})
	if err != nil {
		b.Fatal(err)
	}
	server, err = ln.Accept(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Abort()
		server.Abort()
	})
	return client, server
}
