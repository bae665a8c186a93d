package rsp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

// benchNetworks are those that carry sessions on this machine.
var benchNetworks = []rsp.Network{rsp.KernelSCTP, rsp.TCPMapping, rsp.InMemory}

// benchScope starts a registrar and returns the configuration of its clients. Where the
// machine does not have the network, the benchmark is skipped.
func benchScope(b *testing.B, network rsp.Network) rsp.Config {
	b.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err != nil {
		b.Skip(err)
	}
	if err := r.Start(ctx()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Shutdown(ctx()) })
	return rsp.Config{Registrars: r.Addrs(), Network: network}
}

func benchEndpoint(b *testing.B, cfg rsp.Config) *rsp.Endpoint {
	b.Helper()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	return e
}

// An echo of 64 bytes through a session, beside one through a bare net.Conn.
func BenchmarkEcho(b *testing.B) {
	for _, network := range benchNetworks {
		b.Run("session/"+network.String(), func(b *testing.B) {
			e := benchEndpoint(b, benchScope(b, network))
			listener, err := e.Listen(ctx(), "EchoPool", rsp.PE{})
			if err != nil {
				b.Fatal(err)
			}
			go echoOne(listener)
			session, err := e.Connect(ctx(), "EchoPool")
			if err != nil {
				b.Fatal(err)
			}
			benchEcho(b, session)
		})
	}
	b.Run("net.Conn", func(b *testing.B) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer listener.Close()
		go echoOne(listener)
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		benchEcho(b, conn)
	})
}

// echoOne accepts one connection and echoes what comes.
func echoOne(listener net.Listener) {
	if conn, err := listener.Accept(); err == nil {
		echo(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1024)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func discard(conn net.Conn) {
	defer conn.Close()
	for buf := make([]byte, 1<<16); ; {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

func benchEcho(b *testing.B, conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// The time from the kill -9 of a PE's process to the first answer of the next one, without and with
// Standby, and of that the part since the session has noticed the loss: the rest is how long a process takes to
// die. The median and 99th percentile are worth more than the mean:
//
//	go test -run '^$' -bench KillToAnswer -benchtime 100x .
func BenchmarkKillToAnswer(b *testing.B) {
	for _, network := range benchNetworks[:2] {
		b.Run(network.String(), func(b *testing.B) { benchKillToAnswer(b, network, false) })
		b.Run("standby/"+network.String(), func(b *testing.B) { benchKillToAnswer(b, network, true) })
	}
}

func benchKillToAnswer(b *testing.B, network rsp.Network, standby bool) {
	cfg := benchScope(b, network)
	pes := make(map[rsp.PEID]*exec.Cmd)
	id := rsp.PEID(0)
	for id < 2 {
		id++
		pes[id] = startPEProcess(b, cfg, "EchoPool", id)
	}
	var noticed time.Time
	session, err := (&rsp.Dialer{
		Endpoint: benchEndpoint(b, cfg), Standby: standby,
		OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
			noticed = f.LostAt
			_, err := f.Write([]byte("again"))
			return err
		},
	}).Connect(ctx(), "EchoPool")
	if err != nil {
		b.Fatal(err)
	}
	var sinceKill, sinceNoticed []time.Duration
	for b.Loop() {
		b.StopTimer()
		id++
		pes[id] = startPEProcess(b, cfg, "EchoPool", id) // takes longer than the standby association
		victim := session.PeerPE()
		b.StartTimer()
		start := time.Now()
		if err := pes[victim].Process.Kill(); err != nil {
			b.Fatal(err)
		}
		if _, err := session.Read(make([]byte, 10)); err != nil {
			b.Fatal(err)
		}
		sinceKill, sinceNoticed = append(sinceKill, time.Since(start)), append(sinceNoticed, time.Since(noticed))
		b.StopTimer()
		pes[victim].Wait()
		b.StartTimer()
	}
	slices.Sort(sinceKill)
	slices.Sort(sinceNoticed)
	b.ReportMetric(float64(sinceKill[len(sinceKill)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(sinceKill[len(sinceKill)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(sinceNoticed[len(sinceNoticed)/2].Microseconds())/1000, "noticed-median-ms")
	b.ReportMetric(float64(sinceNoticed[len(sinceNoticed)*99/100].Microseconds())/1000, "noticed-p99-ms")
}

// peProcessEnv makes the test binary a PE's process: "network registrar pool id".
const peProcessEnv = "RSP_TEST_PE"

// startPEProcess starts a PE of EchoPool or DiscardPool in a process of its own, and returns when it is registered.
func startPEProcess(b *testing.B, cfg rsp.Config, pool rsp.PoolHandle, id rsp.PEID) *exec.Cmd {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %s %d", peProcessEnv, cfg.Network, cfg.Registrars[0], pool, id))
	cmd.Stderr = os.Stderr
	ready, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := ready.Read(make([]byte, 10)); err != nil {
		b.Fatal(err)
	}
	return cmd
}

// runPEProcess is the process: it says when it is registered, and serves until it is
// killed.
func runPEProcess(arg string) error {
	var cfg rsp.Config
	var registrar string
	var pool rsp.PoolHandle
	var pe rsp.PE
	if _, err := fmt.Sscan(arg, &cfg.Network, &registrar, &pool, &pe.ID); err != nil {
		return err
	}
	cfg.Registrars = []string{registrar}
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	listener, err := e.Listen(ctx(), pool, pe)
	if err != nil {
		return err
	}
	serve := echo
	if pool == "DiscardPool" {
		serve = discard
	}
	fmt.Println("ready")
	for { // a standby association says nothing, and must not hold up the others
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go serve(conn)
	}
}

// A resolution from the cache: three allocations, since all that it returns is the caller's. They are
// the Resolution, its elements and their addresses.
func BenchmarkResolveCached(b *testing.B) {
	for _, n := range []int{1, 3, 100} {
		b.Run(fmt.Sprint(n, " PEs"), func(b *testing.B) {
			cfg := benchScope(b, rsp.InMemory)
			for range n {
				if _, err := benchEndpoint(b, cfg).Listen(ctx(), "EchoPool", rsp.PE{}); err != nil {
					b.Fatal(err)
				}
			}
			cfg.StaleCache = time.Hour
			e := benchEndpoint(b, cfg)
			if r, err := e.Resolve(ctx(), "EchoPool", rsp.AllElements); err != nil || len(r.Elements) != n {
				b.Fatal(r, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if r, err := e.Resolve(ctx(), "EchoPool", 0); err != nil || len(r.Elements) != n {
					b.Fatal(r, err)
				}
			}
		})
	}
}

// Many resolutions at the same time that the cache does not serve: they share their questions.
func BenchmarkResolveTogether(b *testing.B) {
	cfg := benchScope(b, rsp.TCPMapping)
	for range 3 {
		if _, err := benchEndpoint(b, cfg).Listen(ctx(), "EchoPool", rsp.PE{}); err != nil {
			b.Fatal(err)
		}
	}
	e := benchEndpoint(b, cfg)
	b.SetParallelism(50)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := e.Resolve(ctx(), "EchoPool", 1); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
