package rsp_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/sctp"
	"github.com/rserpool/rsp/internal/wire"
)

// The benchmarks of this file measure registrars of both makes in one guest, over kernel SCTP.
// System calls cost much there, so only figures of one run compare:
//
//	go test -run '^$' -bench JoinBesideRSPLIB -benchtime 5x .
//	go test -run '^$' -bench RequestsBesideRSPLIB -benchtime 3000x .

// BenchmarkJoinBesideRSPLIB starts a registrar beside one that has 10,000 PEs.
func BenchmarkJoinBesideRSPLIB(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		hosts := lab.Hosts(b, allHosts, 1)
		for _, by := range []maker{ours, rsplib} {
			b.Run(by.String(), func(b *testing.B) { benchmarkJoin(b, hosts, by) })
		}
	})
}

// BenchmarkRequestsBesideRSPLIB measures what requests cost a registrar with 100 PEs: of one client that
// asks again when it has its answer, of 16 such clients, and of one that has 16 questions at once.
func BenchmarkRequestsBesideRSPLIB(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		hosts := lab.Hosts(b, allHosts, 1)
		for _, work := range []struct {
			name    string
			clients int
			atOnce  int // questions of each client
			request func(s *realScope, i int) effect.Appender
		}{
			{"resolution", 1, 1, resolution},
			{"resolution-by-16", 16, 1, resolution},
			{"16-resolutions", 1, 16, resolution},
			{"registration", 1, 1, func(s *realScope, i int) effect.Appender {
				return &wire.Registration{Handle: poolName(0), Element: s.element(rsp.PEID(1000 + i))}
			}},
			{"reregistration", 1, 1, func(s *realScope, i int) effect.Appender {
				return &wire.Registration{Handle: poolName(0), Element: s.element(rsp.PEID(1 + i%benchElementsEach))}
			}},
		} {
			for _, by := range []maker{ours, rsplib} {
				b.Run(work.name+"/"+by.String(), func(b *testing.B) { benchmarkRequests(b, hosts, by, work.clients, work.atOnce, work.request) })
			}
		}
	})
}

func resolution(*realScope, int) effect.Appender {
	return &wire.HandleResolution{Handle: poolName(0), Items: 1}
}

const (
	benchPools        = 100
	benchElementsEach = 100
)

func poolName(i int) protocol.PoolHandle { return protocol.PoolHandle(fmt.Sprintf("Pool %02d", i)) }

// fill registers PEs in pools over one association, and returns it: they live as long as it does.
func (s *realScope) fill(pools int) *peer {
	s.Helper()
	p := s.dial(0, protocol.PortASAP)
	for i := range pools * benchElementsEach {
		p.request(&wire.Registration{Handle: poolName(i / benchElementsEach), Element: s.element(rsp.PEID(i + 1))})
	}
	return p
}

// request sends a message and waits for the answer.
func (p *peer) request(m effect.Appender) wire.Message {
	p.Helper()
	p.send(m)
	return p.answer()
}

func (p *peer) answer() wire.Message {
	p.Helper()
	answer, err := p.receive()
	if err != nil {
		p.Fatal(err)
	}
	return answer
}

// has reports whether a registrar has all PEs of a pool.
func (p *peer) has(pool int) bool {
	p.Helper()
	m, ok := p.request(&wire.HandleResolution{Handle: poolName(pool), Items: rsp.AllElements}).(*wire.HandleResolutionResponse)
	return ok && len(m.Elements) == benchElementsEach
}

// benchmarkJoin: pools come in the order of their names, so that the last one is there when all
// are.
func benchmarkJoin(b *testing.B, hosts []*lab.Host, by maker) {
	s := newRealScope(b, hosts)
	s.quiet = true
	s.registrar(0, by)
	s.fill(benchPools)
	var total, transfer time.Duration
	for b.Loop() {
		start := time.Now()
		s.registrar(1, by)
		p := s.dial(1, protocol.PortASAP)
		for !p.has(0) {
			s.pause()
		}
		first := time.Now()
		for !p.has(benchPools - 1) {
			s.pause()
		}
		total += time.Since(start)
		transfer += time.Since(first)
		b.StopTimer()
		s.kill("registrar 2")
		p.Abort()
		b.StartTimer()
	}
	b.ReportMetric(total.Seconds()/float64(b.N), "s-from-start")
	b.ReportMetric(transfer.Seconds()/float64(b.N), "s-from-first-to-last-page")
}

// pause leaves the guest's only processor to the registrars for a while.
func (s *realScope) pause() {
	s.Helper()
	if s.ctx.Err() != nil {
		s.Fatal("the registrar does not get the handlespace")
	}
	time.Sleep(5 * time.Millisecond)
}

// benchmarkRequests has clients send requests to a registrar, each the next ones after the answers
// to its last ones, and measures what they cost the registrar: its processor time, then, in a second run, its
// system calls.
func benchmarkRequests(b *testing.B, hosts []*lab.Host, by maker, clients, atOnce int, request func(s *realScope, i int) effect.Appender) {
	s := newRealScope(b, hosts)
	s.quiet = true
	s.registrar(0, by)
	peers := []*peer{s.fill(1)}
	for len(peers) < clients {
		peers = append(peers, s.dial(0, protocol.PortASAP))
	}
	s.measureRequests(b, peers, atOnce, request)
}

// BenchmarkBareEcho measures the same of a program in Go that only sends back what it receives: the floor of
// BenchmarkRequestsBesideRSPLIB.
func BenchmarkBareEcho(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		s := newRealScope(b, lab.Hosts(b, allHosts, 1))
		s.start("registrar 1", 0, part{Echo: s.addr(0, protocol.PortASAP)})
		s.measureRequests(b, []*peer{s.dial(0, protocol.PortASAP)}, 1, resolution)
	})
}

// runEcho is that program.
func runEcho(at string) error {
	network, err := sctp.New()
	if err != nil {
		return err
	}
	addr := netip.MustParseAddrPort(at)
	local := protocol.TransportAddr{Protocol: protocol.SCTP, Port: addr.Port(), Addrs: []netip.Addr{addr.Addr()}}
	ln, err := network.Listen(ctx(), local, toRegistrar)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		assoc, err := ln.Accept(ctx())
		if err != nil {
			return err
		}
		go echoOn(assoc)
	}
}

func echoOn(assoc transport.Assoc) {
	defer assoc.Abort()
	for buf := make([]byte, 1<<10); ; {
		n, info, err := assoc.Recv(buf)
		if err == nil && info.Notice == transport.NoticeNone {
			err = assoc.Send(buf[:n], transport.SendInfo{PPID: info.PPID})
		}
		if err != nil {
			return
		}
	}
}

// measureRequests has clients ask the process that is called registrar 1.
func (s *realScope) measureRequests(b *testing.B, peers []*peer, atOnce int, request func(s *realScope, i int) effect.Appender) {
	pid, asked := s.pids["registrar 1"], 0
	ask := func() {
		for _, p := range peers {
			for range atOnce {
				p.send(request(s, asked))
				asked++
			}
		}
		for _, p := range peers {
			for range atOnce {
				p.answer()
			}
		}
	}
	before := cpuTime(b, pid)
	for b.Loop() {
		ask()
	}
	spent := cpuTime(b, pid) - before
	b.ReportMetric(float64(spent.Microseconds())/float64(asked), "cpu-us/request")
	b.ReportMetric(float64(asked)/b.Elapsed().Seconds(), "requests/s")

	asked = 0
	calls, clock := countCalls(b, pid, func() {
		for asked < 500 {
			ask()
		}
	})
	b.ReportMetric(float64(calls)/float64(asked), "calls/request")
	b.ReportMetric(float64(clock)/float64(asked), "clock-calls/request")
}

// cpuTime is what a process has used so far, in user and system mode (proc(5)).
func cpuTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the program's name may have blanks
	fields := strings.Fields(rest)
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// countCalls counts the system calls of a process while f runs, and apart from them those that ask for
// the time: elsewhere than in User-Mode Linux they are none, but calls into the vDSO.
func countCalls(tb testing.TB, pid int, f func()) (calls, clock int) {
	tb.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		tb.Log("system calls are not counted: install Debian's package strace")
		return 0, 0
	}
	summary := filepath.Join(tb.TempDir(), "strace")
	strace := exec.Command("strace", "-c", "-f", "-o", summary, "-p", strconv.Itoa(pid))
	var output bytes.Buffer
	strace.Stderr = &output
	if err := strace.Start(); err != nil {
		tb.Fatal(err)
	}
	time.Sleep(time.Second) // it attaches
	f()
	strace.Process.Signal(os.Interrupt)
	strace.Wait() // its result is that of the interrupt
	text, err := os.ReadFile(summary)
	if err != nil {
		tb.Fatalf("strace: %v\n%s", err, output.String())
	}
	tb.Logf("system calls:\n%s", text)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // % time, seconds, usecs/call, calls, perhaps errors, name
		if len(fields) < 5 {
			continue
		}
		n, err := strconv.Atoi(fields[3])
		if err != nil {
			continue // a heading
		}
		switch fields[len(fields)-1] {
		case "clock_gettime", "gettimeofday":
			clock += n
		case "total":
		default:
			calls += n
		}
	}
	if calls == 0 {
		tb.Fatalf("strace has counted nothing:\n%s", output.String())
	}
	return calls, clock
}
