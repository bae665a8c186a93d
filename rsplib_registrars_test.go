package rsp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/exec"
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

// The hosts of a real scope: registrars are on the first ones.
const (
	peHost   = 3 // and the next two
	puHost   = 6
	probe    = 7 // where the test itself looks at the registrars from
	allHosts = 8
)

// realScope is an operation scope of processes in the lab, each on a host of its own. Its
// registrars find each other by multicast.
type realScope struct {
	testing.TB
	ctx    context.Context
	hosts  []*lab.Host
	timers time.Duration // of the registrars, which make them notice failures; 0: their defaults
	quiet  bool          // registrars neither log nor ask PEs for signs of life
	ports  uint16        // that the registrars' ports are above the well-known ones
	procs  map[string]*lab.Process
	pids   map[string]int
}

// scopes counts the realScopes: each has ports of its own, since the kernel keeps those of a
// killed process for as long as its associations take to end.
var scopes uint16

func newRealScope(t testing.TB, hosts []*lab.Host) *realScope {
	timeout := 30 * time.Second
	if _, ok := t.(*testing.B); ok {
		timeout = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	scopes++
	return &realScope{TB: t, ctx: ctx, hosts: hosts, ports: scopes, procs: make(map[string]*lab.Process), pids: make(map[string]int)}
}

func (s *realScope) addr(host int, port uint16) string {
	return netip.AddrPortFrom(s.hosts[host].Addrs[0], port+s.ports).String()
}

// registrar starts a registrar on host i, whose identifier is i+1.
func (s *realScope) registrar(i int, make maker) {
	s.Helper()
	name, asap, enrp := fmt.Sprint("registrar ", i+1), s.addr(i, protocol.PortASAP), s.addr(i, protocol.PortENRP)
	if make == ours {
		s.start(name, i, part{Registrar: rsp.RegistrarID(i + 1), Address: asap, ENRPAddress: enrp, Timers: s.timers, Quiet: s.quiet})
		return
	}
	args := []string{fmt.Sprintf("-identifier=0x%x", i+1), "-asap=" + asap, "-enrp=" + enrp, "-asapannounce=off", "-mentordiscoverytimeout=1000"}
	if s.timers != 0 {
		for _, option := range []string{"peerheartbeatcycle", "peermaxtimelastheard", "peermaxtimenoresponse"} {
			args = append(args, fmt.Sprintf("-%s=%d", option, s.timers.Milliseconds()))
		}
	}
	if s.quiet {
		args = append(args, fmt.Sprintf("-endpointkeepalivetransmissioninterval=%d", quietInterval.Milliseconds()))
	}
	s.run(name, s.hosts[i].RSPLIB(s.TB, "rspregistrar", args...)).Expect(s.ctx, s.TB, "Max Endpoint Unreachable Rate")
}

// pe starts the PE whose identifier is id+1 and that knows one registrar only.
func (s *realScope) pe(id int, make maker, registrar int) {
	s.Helper()
	name, at := fmt.Sprint("PE ", id+1), s.addr(registrar, protocol.PortASAP)
	if make == ours {
		s.start(name, peHost+id, part{Registrars: []string{at}, PE: rsp.PEID(id + 1)})
		return
	}
	s.run(name, s.hosts[peHost+id].RSPLIB(s.TB, "rspserver", "-echo", fmt.Sprintf("-identifier=%d", id+1),
		"-registrar="+at, "-asapannounce=off")).Expect(s.ctx, s.TB, "Identifier")
}

// start starts a part of ours and waits until it is ready.
func (s *realScope) start(name string, host int, p part) *lab.Process {
	s.Helper()
	process := s.run(name, p.command(s.TB, s.hosts[host]))
	process.Expect(s.ctx, s.TB, "ready")
	return process
}

func (s *realScope) run(name string, cmd *exec.Cmd) *lab.Process {
	s.Helper()
	s.procs[name] = lab.Start(s.TB, cmd)
	s.pids[name] = cmd.Process.Pid
	return s.procs[name]
}

func (s *realScope) kill(name string) { s.procs[name].Kill() }

// part makes the test binary a part of an operation scope, in a process of its own: a
// registrar or a PE of EchoPool, if it has the identifier of one, else a PU that resolves it.
type part struct {
	Registrar            rsp.RegistrarID
	Address, ENRPAddress string        // of a registrar
	Timers               time.Duration // of a registrar
	Quiet                bool          // a registrar neither logs nor asks PEs for signs of life

	PE         rsp.PEID
	Registrars []string // that a PE or a PU knows
	Echo       string   // where a program that knows no pools echoes
	Dialogue   string   // how a PU talks to EchoPool; "": it does not, but resolves it
	Reconnect  []string // the servers of a client that knows no pools
}

const partEnv = "RSP_TEST_PART"

func (p part) command(t testing.TB, h *lab.Host) *exec.Cmd {
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(os.Args[0])
	cmd.Env = append(os.Environ(), partEnv+"="+string(b))
	return cmd
}

// runPart is the process. It runs until it is killed.
func runPart(arg string) error {
	var p part
	if err := json.Unmarshal([]byte(arg), &p); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	switch {
	case p.Registrar != 0:
		return p.runRegistrar(log)
	case p.Echo != "":
		return runEcho(p.Echo)
	case p.Reconnect != nil:
		return runReconnect(p.Reconnect)
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: p.Registrars, Logger: log})
	if err != nil {
		return err
	}
	switch {
	case p.Dialogue != "":
		return runDialogue(e, p.Dialogue)
	case p.PE == 0:
		return resolveForever(e)
	}
	listener, err := e.Listen(ctx(), "EchoPool", rsp.PE{ID: p.PE})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	(&testPE{socket: listener, got: make(chan string, 1000)}).serve()
	return nil
}

// quietInterval is the longest that RSPLIB's registrar takes.
const quietInterval = 300 * time.Second

func (p part) runRegistrar(log *slog.Logger) error {
	cfg := rsp.RegistrarConfig{
		ID: p.Registrar, Address: p.Address, ENRPAddress: p.ENRPAddress, ENRPAnnounce: "auto", Logger: log,
		MentorDiscoveryTimeout: time.Second,
		PeerHeartbeatCycle:     p.Timers, PeerMaxTimeLastHeard: p.Timers, PeerMaxTimeNoResponse: p.Timers,
	}
	if p.Quiet {
		cfg.Logger, cfg.EndpointKeepAliveTransmissionInterval = nil, quietInterval
	}
	r, err := rsp.NewRegistrar(&cfg)
	if err == nil {
		err = r.Start(ctx())
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}

// resolveForever is a PU that resolves every 10 ms, and tells how that went when it is sent a line.
func resolveForever(e *rsp.Endpoint) error {
	asked := make(chan struct{})
	go func() {
		for {
			if _, err := fmt.Scanln(new(string)); err != nil {
				return
			}
			asked <- struct{}{}
		}
	}()
	var longest time.Duration
	failed := 0
	for n := 1; ; n++ {
		start := time.Now()
		r, err := e.Resolve(ctx(), "EchoPool", 1)
		if err != nil || len(r.Elements) == 0 {
			failed++
			fmt.Println("not resolved:", err)
		}
		longest = max(longest, time.Since(start))
		if n == 1 {
			fmt.Println("ready")
		}
		select {
		case <-asked:
			fmt.Printf("%d resolutions failed of %d, the longest took %.1f ms\n", failed, n, float64(longest.Microseconds())/1000)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// dial opens an association from the host that the test itself uses.
func (s *realScope) dial(registrar int, port uint16) *peer {
	s.Helper()
	return dialFrom(s.TB, s.hosts[probe], s.addr(registrar, port))
}

// dialFrom opens an association from a host.
func dialFrom(t testing.TB, h *lab.Host, addr string) *peer {
	t.Helper()
	network, err := sctp.New()
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(addr)
	to := protocol.TransportAddr{Protocol: protocol.SCTP, Port: at.Port(), Addrs: []netip.Addr{at.Addr()}}
	p := &peer{TB: t, buf: make([]byte, 1<<16)}
	h.Do(t, func() { p.Assoc, err = network.Dial(t.Context(), to, toRegistrar) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Abort() })
	return p
}

// homes are the home registrars of PEs.
type homes map[rsp.PEID]rsp.RegistrarID

// homes asks a registrar for all PEs of EchoPool.
func (p *peer) homes() homes {
	p.Helper()
	p.send(&wire.HandleResolution{Handle: "EchoPool", Items: rsp.AllElements})
	m, err := p.receive()
	response, ok := m.(*wire.HandleResolutionResponse)
	if err != nil || !ok {
		p.Fatalf("answered by %v, %v", m, err)
	}
	all := make(homes)
	for _, el := range response.Elements {
		all[el.ID] = el.Home
	}
	return all
}

// await waits until a registrar has these PEs and no others, and returns how long it took.
func (p *peer) await(ctx context.Context, want homes) time.Duration {
	p.Helper()
	start := time.Now()
	for {
		have := p.homes()
		if maps.Equal(have, want) {
			return time.Since(start)
		}
		if ctx.Err() != nil {
			p.Fatalf("registrar has PEs with homes %v, want %v", have, want)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (p *peer) sendENRP(m effect.Appender) {
	p.Helper()
	if err := p.Send(m.AppendTo(nil), transport.SendInfo{PPID: protocol.PPIDENRP}); err != nil {
		p.Fatal(err)
	}
}

// Registrars of both makes in one operation scope.
func TestRegistrarsWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		hosts := lab.Hosts(t, allHosts, 1)
		for _, first := range []maker{ours, rsplib} {
			name := fmt.Sprintf("first=%v,second=%v", first, !first)
			t.Run("download/"+name, func(t *testing.T) { newRealScope(t, hosts).testDownload(first, !first) })
			t.Run("update/"+name, func(t *testing.T) { newRealScope(t, hosts).testUpdate(first, !first) })
			t.Run("audit/"+name, func(t *testing.T) { newRealScope(t, hosts).testAudit(first, !first) })
		}
		for _, test := range []struct {
			home, heir maker
			others     []maker
		}{
			{ours, ours, nil},
			{rsplib, ours, nil},
			{ours, ours, []maker{rsplib}},
			{rsplib, ours, []maker{rsplib}},
			{ours, rsplib, []maker{rsplib}}, // RSPLIB needs a third registrar
		} {
			name := fmt.Sprintf("home=%v,heir=%v,others=%v", test.home, test.heir, test.others)
			t.Run("takeover/"+name, func(t *testing.T) { newRealScope(t, hosts).testTakeover(test.home, test.heir, test.others) })
		}
	})
}

// RFC 5353 section 3.2.3: "the initiating server MUST request a copy of the current
// handlespace data from its mentor peer server".
func (s *realScope) testDownload(first, second maker) {
	s.registrar(0, first)
	s.pe(0, ours, 0)
	s.pe(1, rsplib, 0)
	want := homes{1: 1, 2: 1}
	s.dial(0, protocol.PortASAP).await(s.ctx, want)
	start := time.Now()
	s.registrar(1, second)
	s.dial(1, protocol.PortASAP).await(s.ctx, want)
	s.Logf("%v has the handlespace of %v %v after its start", second, first, time.Since(start).Round(time.Millisecond))
}

// RFC 5353 section 3.3.1: "An ENRP server MUST announce this update to all its peers".
func (s *realScope) testUpdate(first, second maker) {
	s.registrar(0, first)
	s.registrar(1, second)
	at := []*peer{s.dial(0, protocol.PortASAP), s.dial(1, protocol.PortASAP)}
	s.meet(2)
	s.pe(0, ours, 0)
	s.pe(1, rsplib, 0)
	s.pe(2, ours, 1)
	for _, p := range at {
		p.await(s.ctx, homes{1: 1, 2: 1, 3: 2})
	}
	s.procs["PE 2"].Interrupt(s.TB) // it deregisters
	s.kill("PE 3")                  // it is lost
	for _, p := range at {
		p.await(s.ctx, homes{1: 1})
	}
}

// meet waits until each of the first n registrars hears what any other one is told.
func (s *realScope) meet(n int) {
	s.Helper()
	for i := range n {
		pe, id := s.dial(i, protocol.PortASAP), rsp.PEID(1000+i)
		for k := range n {
			for p := s.dial(k, protocol.PortASAP); p.homes()[id] == 0; time.Sleep(20 * time.Millisecond) {
				if s.ctx.Err() != nil {
					s.Fatalf("registrar %d hears nothing of registrar %d", k+1, i+1)
				}
				pe.send(&wire.Registration{Handle: "EchoPool", Element: s.element(id)})
				pe.want(&wire.RegistrationResponse{Handle: "EchoPool", ID: id})
			}
		}
		pe.send(&wire.Deregistration{Handle: "EchoPool", ID: id})
		pe.want(&wire.DeregistrationResponse{Handle: "EchoPool", ID: id})
	}
	for k := range n {
		s.dial(k, protocol.PortASAP).await(s.ctx, homes{})
	}
}

// element is a PE on the host of the test itself.
func (s *realScope) element(id rsp.PEID) protocol.PoolElement {
	addrs := s.hosts[probe].Addrs
	return protocol.PoolElement{
		ID: id, Life: 90 * time.Second, Policy: protocol.Policy{Type: protocol.RoundRobin},
		User: protocol.TransportAddr{Protocol: protocol.SCTP, Use: protocol.DataAndControl, Port: 7, Addrs: addrs},
		ASAP: protocol.TransportAddr{Protocol: protocol.SCTP, Port: 8, Addrs: addrs},
	}
}

// RFC 5353 section 3.6.1: a registrar "SHOULD compare the PE checksum found in the
// ENRP_PRESENCE with its own", and when they differ, asks for the PEs of that registrar. Here
// somebody tells the second registrar in the name of the first one of a PE that there is not,
// and of the end of one that there is.
func (s *realScope) testAudit(first, second maker) {
	s.timers = time.Second
	s.registrar(0, first)
	s.registrar(1, second)
	at := []*peer{s.dial(0, protocol.PortASAP), s.dial(1, protocol.PortASAP)}
	s.meet(2)
	s.pe(0, ours, 0)
	s.pe(1, rsplib, 0)
	want := homes{1: 1, 2: 1}
	at[1].await(s.ctx, want)

	liar := s.dial(1, protocol.PortENRP)
	gone, phantom := s.element(1), s.element(9)
	gone.Home, phantom.Home = 1, 1
	for ; maps.Equal(at[1].homes(), want); time.Sleep(5 * time.Millisecond) { // else an audit was quicker than we look
		liar.sendENRP(&wire.HandleUpdate{Sender: 1, Receiver: 2, Action: wire.DeletePE, Handle: "EchoPool", Element: gone})
		liar.sendENRP(&wire.HandleUpdate{Sender: 1, Receiver: 2, Action: wire.AddPE, Handle: "EchoPool", Element: phantom})
		time.Sleep(5 * time.Millisecond)
	}
	liar.Abort()
	s.Logf("%v has the PEs of %v again after %v", second, first, at[1].await(s.ctx, want).Round(time.Millisecond))
}

// testTakeover kills a registrar that is the home of PEs of both makes. They have a new home
// soon, and can be resolved all the time; a session of RSPLIB's PU lives on, and it finds the
// other PE when its own one dies.
func (s *realScope) testTakeover(home, heir maker, others []maker) {
	if heir == rsplib {
		s.timers = time.Second
	}
	// The lowest identifier wins.
	all := append([]maker{heir}, append(others, home)...)
	last := len(all) - 1
	for i, make := range all {
		s.registrar(i, make)
	}
	s.meet(len(all))
	s.pe(0, ours, last)
	s.pe(1, rsplib, last)
	dead := rsp.RegistrarID(last + 1)
	var survivors []*peer
	for i := range last {
		survivors = append(survivors, s.dial(i, protocol.PortASAP))
		survivors[i].await(s.ctx, homes{1: dead, 2: dead})
	}
	pu := s.start("PU", puHost, part{Registrars: []string{s.addr(last, protocol.PortASAP), s.addr(0, protocol.PortASAP)}})
	session := terminal{lab.Start(s.TB, s.hosts[puHost].RSPLIB(s.TB, "rspterminal", "-poolhandle=EchoPool",
		"-registrar="+s.addr(0, protocol.PortASAP), "-asapannounce=off"))}
	pe := session.exchange(s.ctx, s.TB, "before")

	s.killHome(dead, heir, survivors)
	if now := session.exchange(s.ctx, s.TB, "after"); now != pe {
		s.Errorf("the session went from PE %v to PE %v", pe, now)
	}
	s.kill(fmt.Sprintf("PE %d", uint32(pe)))
	if next := session.exchange(s.ctx, s.TB, "the end of PE"); next != 3-pe {
		s.Errorf("PE %v answers after the death of PE %v", next, pe)
	}
	pu.Input(s.TB, "end")
	pu.Expect(s.ctx, s.TB, "took")
	if !strings.Contains(pu.Output(), "\n0 resolutions failed") {
		s.Error("there was a gap")
	}
	s.Log("a PU that resolves every 10 ms:", pu.Output()[strings.Index(pu.Output(), " resolutions failed")-2:])
}

// killHome kills a registrar and looks at the survivors until none of them has a PE
// whose home is the dead one. That no PE is missing meanwhile is checked every 10 ms.
func (s *realScope) killHome(dead rsp.RegistrarID, heir maker, survivors []*peer) {
	s.Helper()
	knew := len(s.procs["PE 1"].Output())
	start := time.Now()
	s.kill(fmt.Sprint("registrar ", uint32(dead)))
	var accepted time.Duration // our PE has told that it has another home
	for same := 0; same < len(survivors) || accepted == 0; time.Sleep(10 * time.Millisecond) {
		same = 0
		for i, p := range survivors {
			h := p.homes()
			if h[1] == 0 || h[2] == 0 {
				s.Errorf("registrar %d has the PEs with homes %v %v after the kill", i+1, h, time.Since(start))
			}
			if h[1] != dead && h[2] != dead {
				same++
			}
		}
		if accepted == 0 && s.foundOther(s.procs["PE 1"].Output()[knew:], dead) {
			accepted = time.Since(start)
			s.Logf("our PE has a new home after %v", accepted.Round(time.Millisecond))
		}
		if s.ctx.Err() != nil {
			s.Fatal("no end of the takeover")
		}
	}
	s.Logf("all registrars know the new homes after %v", time.Since(start).Round(time.Millisecond))
	if heir == ours && accepted > time.Second {
		s.Errorf("our PE had no home for %v", accepted)
	}
}

// foundOther reports whether a PE of ours has told of a registrar that is not the dead one, whose
// kernel may still have accepted it.
func (s *realScope) foundOther(output string, dead rsp.RegistrarID) bool {
	for line := range strings.SplitSeq(output, "\n") {
		if strings.Contains(line, "registrar found") && !strings.Contains(line, s.addr(int(dead)-1, protocol.PortASAP)) {
			return true
		}
	}
	return false
}
