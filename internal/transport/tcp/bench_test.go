package tcp_test

import (
	"io"
	"net"
	"testing"

	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/transporttest"
)

func BenchmarkTransport(b *testing.B) {
	transporttest.Bench(b, func(*testing.B) transporttest.Setup { return loopback() })
}

// BenchmarkFalseLoss is transporttest.BenchFalseLoss on the loopback interface:
//
//	go test -run '^$' -bench FalseLoss -benchtime 1x ./internal/transport/tcp
func BenchmarkFalseLoss(b *testing.B) { benchFalseLoss(b, loopback()) }

func BenchmarkFalseLossOverTLS(b *testing.B) { benchFalseLoss(b, overTLS(b)) }

func benchFalseLoss(b *testing.B, s transporttest.Setup) {
	ln, err := s.Server.Listen(b.Context(), s.ServerAddr, transport.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	transporttest.BenchFalseLoss(b, func() (dialed, accepted transport.Assoc) {
		dialed, err := s.Client.Dial(b.Context(), ln.LocalAddr(), transport.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { dialed.Abort() })
		if accepted, err = ln.Accept(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { accepted.Abort() })
		return dialed, accepted
	})
}

// BenchmarkBareTCP does what BenchmarkTransport does on connections of package net,
// where messages have a known size and no frame: the floor.
func BenchmarkBareTCP(b *testing.B) {
	b.Run("Echo", benchBareEcho)
	b.Run("OneWay16KiB", benchBareOneWay)
}

func benchBareEcho(b *testing.B) {
	client, server := bareConns(b)
	served := make(chan struct{})
	go func() {
		defer close(served)
		buf := make([]byte, 64)
		for {
			if _, err := io.ReadFull(server, buf); err != nil {
				return
			}
			if _, err := server.Write(buf); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, buf); err != nil {
			b.Fatal(err)
		}
	}
	client.Close()
	<-served
}

func benchBareOneWay(b *testing.B) {
	client, server := bareConns(b)
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 16<<10)
		for {
			if _, err := io.ReadFull(server, buf); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 16<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	client.Close()
	<-read
}

func bareConns(b *testing.B) (client, server net.Conn) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}
