package rsp_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/sctp"
	"github.com/rserpool/rsp/internal/wire"
)

// The benchmarks of this file measure the time from the end of a server to the first answer of the next one,
// with client, servers and registrar of one make, in one guest. The pool has three servers. The next one has served
// somebody before: a program's first session costs it tens of milliseconds there, to bring its code into memory.
//
//	go test -run '^$' -bench KillBesideRSPLIB -benchtime 100x .
//	go test -run '^$' -bench SilentCut$ -benchtime 100x .
//	go test -run '^$' -bench SilentCutOfRSPLIB -benchtime 2x .

// BenchmarkKillBesideRSPLIB ends servers by kill -9. Beside sessions stands a program that knows no pools, but two
// addresses: when it loses the one it goes to the other.
func BenchmarkKillBesideRSPLIB(b *testing.B) {
	lab.Benchmark(b, func(b *testing.B) {
		hosts := lab.Hosts(b, allHosts, 1)
		b.Run("bare", func(b *testing.B) { benchmarkReconnect(b, hosts) })
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
	const servers = 3
	start := func(i, others int) {
		s.pe(i, by, 0)
		s.wantElements(others + 1)
		s.ask(s.elementAddr(rsp.PEID(i + 1)))
	}
	for i := range servers {
		start(i, i)
	}
	client := s.dialogue(by, cut)
	at := client.first(s)
	var times outages
	for b.Loop() {
		lost := at
		name, host := fmt.Sprint("PE ", lost+1), hosts[peHost+lost]
		begin := time.Now()
		if cut {
			host.Cut(b, 0)
		} else {
			s.kill(name)
		}
		var answered time.Time
		at, answered = client.next(s, lost)
		times.add(begin, client.lostAt, answered)
		b.StopTimer()
		if cut {
			s.kill(name)
			host.Heal(b, 0)
		}
		s.wantElements(servers - 1) // that the one is gone is known
		start(lost, servers-1)
		b.StartTimer()
	}
	times.report(b, by == ours) // RSPLIB's client does not tell when it has noticed
}

// benchmarkReconnect is the floor of benchmarkFailover.
func benchmarkReconnect(b *testing.B, hosts []*lab.Host) {
	s := newRealScope(b, hosts)
	var addrs []string
	start := func(i int) {
		s.start(fmt.Sprint("PE ", i+1), peHost+i, part{Echo: addrs[i]})
		s.ask(addrs[i])
	}
	for i := range 2 {
		addrs = append(addrs, s.addr(peHost+i, protocol.PortASAP))
		start(i)
	}
	client := &asking{Process: s.start("client", puHost, part{Reconnect: addrs}), by: ours}
	at := client.first(s)
	var times outages
	for b.Loop() {
		lost := at
		begin := time.Now()
		s.kill(fmt.Sprint("PE ", lost+1))
		var answered time.Time
		at, answered = client.next(s, lost)
		times.add(begin, client.lostAt, answered)
		b.StopTimer()
		start(lost)
		b.StartTimer()
	}
	times.report(b, true)
}

// outages are the times from the ends of servers, and from when the client has noticed them, to the next answers.
type outages struct{ sinceEnd, sinceNoticed []time.Duration }

func (o *outages) add(end, noticed, answered time.Time) {
	o.sinceEnd = append(o.sinceEnd, answered.Sub(end))
	o.sinceNoticed = append(o.sinceNoticed, answered.Sub(noticed))
}

func (o *outages) report(b *testing.B, noticed bool) {
	for name, times := range map[string][]time.Duration{"": o.sinceEnd, "noticed-": o.sinceNoticed} {
		if name != "" && !noticed {
			continue
		}
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, name+"median-ms")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, name+"p99-ms")
	}
}

// ask sends a question to a server and waits for the answer.
func (s *realScope) ask(addr string) {
	s.Helper()
	p := dialFrom(s.TB, s.hosts[probe], addr)
	defer p.Abort()
	if err := p.Send([]byte("question"), transport.SendInfo{}); err != nil {
		s.Fatal(err)
	}
	buf := make([]byte, 100)
	for info := (transport.RecvInfo{Notice: transport.NoticeSuspect}); info.Notice != transport.NoticeNone; {
		var err error
		if _, info, err = p.Recv(buf); err != nil {
			s.Fatal(err)
		}
	}
}

// elementAddr asks the registrar where a PE of EchoPool is.
func (s *realScope) elementAddr(id rsp.PEID) string {
	s.Helper()
	p := s.dial(0, protocol.PortASAP)
	defer p.Abort()
	m, _ := p.request(&wire.HandleResolution{Handle: "EchoPool", Items: rsp.AllElements}).(*wire.HandleResolutionResponse)
	if m != nil {
		for _, el := range m.Elements {
			if el.ID == id {
				return netip.AddrPortFrom(el.User.Addrs[0], el.User.Port).String()
			}
		}
	}
	s.Fatalf("PE %v is not registered", id)
	return ""
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

	lostAt time.Time // when ours has noticed the latest loss
}

func (s *realScope) dialogue(by maker, always bool) *asking {
	s.Helper()
	at := s.addr(0, 3863)
	if by == ours {
		how := "waits"
		if always {
			how = "asks"
		}
		return &asking{Process: s.start("client", puHost, part{Registrars: []string{at}, Dialogue: how}), by: by}
	}
	terminal := s.hosts[puHost].RSPLIB(s.TB, "rspterminal", "-registrar="+at, "-asapannounce=off", "-poolhandle=EchoPool")
	return &asking{Process: s.run("client", terminal), by: by}
}

// first is who answers at the beginning.
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

// parse reads "PE 1 at 123456789 lost 123456788" of ours, and "from PE $00000001> line" of RSPLIB's.
func (c *asking) parse(line string) (at int, when time.Time, ok bool) {
	var id int
	if c.by == ours {
		var nanoseconds, lost int64
		n, _ := fmt.Sscanf(line, "PE %d at %d lost %d", &id, &nanoseconds, &lost)
		c.lostAt = time.Unix(0, lost)
		return id - 1, time.Unix(0, nanoseconds), n == 3
	}
	_, after, found := strings.Cut(line, "from PE $")
	n, _ := fmt.Sscanf(after, "%x>", &id)
	return id - 1, time.Now(), found && n == 1
}

// runDialogue is our client: it tells who answers whenever that is somebody else.
func runDialogue(e *rsp.Endpoint, how string) error {
	question := []byte("question")
	var lostAt time.Time
	session, err := (&rsp.Dialer{Endpoint: e, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		lostAt = f.LostAt
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
			fmt.Printf("PE %d at %d lost %d\n", last, time.Now().UnixNano(), lostAt.UnixNano())
		}
		if how == "asks" {
			time.Sleep(10 * time.Millisecond)
			if _, err := session.Write(question); err != nil {
				return err
			}
		}
	}
}

// runReconnect is a client that knows no pools, but two servers: when it loses the one it goes to the other.
func runReconnect(addrs []string) error {
	network, err := sctp.New()
	if err != nil {
		return err
	}
	var lostAt time.Time
	for i, buf := 0, make([]byte, 100); ; i = (i + 1) % len(addrs) {
		at := netip.MustParseAddrPort(addrs[i])
		to := protocol.TransportAddr{Protocol: protocol.SCTP, Port: at.Port(), Addrs: []netip.Addr{at.Addr()}}
		assoc, err := network.Dial(ctx(), to, transport.Options{})
		if err == nil {
			err = assoc.Send([]byte("question"), transport.SendInfo{})
		}
		if err != nil {
			return err
		}
		for err == nil {
			var info transport.RecvInfo
			if _, info, err = assoc.Recv(buf); err == nil && info.Notice == transport.NoticeNone {
				if lostAt.IsZero() {
					fmt.Println("ready")
				}
				fmt.Printf("PE %d at %d lost %d\n", i+1, time.Now().UnixNano(), lostAt.UnixNano())
			}
		}
		lostAt = time.Now()
		_ = assoc.Abort()
	}
}
