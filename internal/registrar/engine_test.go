package registrar

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

var messages = flag.Int("messages", 200_000, "how many messages TestRegistrarFuzzed sends")

var _ loop.Engine = (*Engine)(nil)

func newEngine() *Engine {
	return New(Config{
		Home: asap.HomeConfig{
			ID:                                    0x11111111,
			Rand:                                  rand.New(rand.NewPCG(1, 2)),
			EndpointKeepAliveTransmissionInterval: 5 * time.Second,
			EndpointKeepAliveTimeoutInterval:      5 * time.Second,
			MaxBadPEReports:                       3,
			MaxHResItems:                          3,
			MinAddressScope:                       protocol.ScopeLoopback,
			MaxElements:                           1 << 20,
			AutoClose:                             300 * time.Second,
			Owner:                                 func(effect.AssocID) string { return "" },
			Distance:                              func(id effect.AssocID) uint32 { return uint32(id) },
		},
		MaxIncrement: 1,
	})
}

var host = protocol.TransportAddr{Protocol: protocol.SCTP, Port: 5000, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.4")}}

func registration(handle protocol.PoolHandle, id protocol.PEID, policy protocol.Policy) *wire.Registration {
	return &wire.Registration{Handle: handle, Element: protocol.PoolElement{
		ID: id, Life: 90 * time.Second, Policy: policy,
		User: protocol.TransportAddr{Protocol: protocol.SCTP, Use: protocol.DataAndControl, Port: 7000, Addrs: host.Addrs},
	}}
}

// effects takes all effects, one a line.
func effects(t *testing.T, e *Engine) []string {
	t.Helper()
	var decoder wire.Decoder
	var lines []string
	for f, ok := e.Next(); ok; f, ok = e.Next() {
		switch f.Kind {
		case effect.Send:
			m, err := decoder.ASAP(f.Data)
			if err != nil {
				t.Fatalf("sends %x: %v", f.Data, err)
			}
			lines = append(lines, fmt.Sprintf("send %d %v", f.Assoc, m))
		case effect.Tell:
			c := f.Event.(Change)
			lines = append(lines, fmt.Sprintf("tell %v %s/%d (%v)", c.Kind, c.Element.Handle, c.Element.ID, c.Reason))
		case effect.Abort:
			lines = append(lines, fmt.Sprintf("abort %d", f.Assoc))
		default:
			t.Fatalf("unexpected effect %+v", f)
		}
	}
	return lines
}

// RFC 5352 section 3.1: "if the registration is granted, the ENRP server MUST take the
// handlespace update action to inform its peers about the change just made." RSPLIB
// does so before it answers the PE, so the change is told first.
func TestChangesAreTold(t *testing.T) {
	e, now := newEngine(), time.Unix(1e9, 0)
	receive := func(m effect.Appender) {
		e.HandleMessage(now, 1, protocol.PPIDASAP, m.AppendTo(nil))
	}
	e.HandleUp(now, 1, protocol.PPIDASAP, host, host)
	steps := []struct {
		name string
		do   func()
		want []string
	}{
		{"registration", func() { receive(registration("Echo", 1, protocol.Policy{Type: protocol.LeastUsed})) }, []string{
			"tell added Echo/1 (registered)", "send 1 ASAP_REGISTRATION_RESPONSE pool \"Echo\", PE 0x00000001"}},
		{"a new load", func() { receive(registration("Echo", 1, protocol.Policy{Type: protocol.LeastUsed, Load: 5})) }, []string{
			"tell updated Echo/1 (registered)", "send 1 ASAP_REGISTRATION_RESPONSE pool \"Echo\", PE 0x00000001"}},
		{"nothing new", func() { receive(registration("Echo", 1, protocol.Policy{Type: protocol.LeastUsed, Load: 5})) }, []string{
			"send 1 ASAP_REGISTRATION_RESPONSE pool \"Echo\", PE 0x00000001"}},
		{"keep-alive", func() { now = e.Deadline(); e.Advance(now) }, []string{
			"send 1 ASAP_ENDPOINT_KEEP_ALIVE registrar 0x11111111, pool \"Echo\", PE 0x00000001"}},
		{"no answer", func() { now = e.Deadline(); e.Advance(now) }, []string{
			"tell removed Echo/1 (keep-alive lost)", "abort 1"}},
	}
	for _, step := range steps {
		step.do()
		if diff := cmp.Diff(step.want, effects(t, e)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// fuzzer feeds an engine with damaged messages over associations that come and go.
type fuzzer struct {
	t      *testing.T
	engine *Engine
	rng    *rand.Rand
	now    time.Time
	valid  [][]byte
	assocs [16]effect.AssocID
	last   effect.AssocID
	most   int // PEs at a time
}

func newFuzzer(t *testing.T) *fuzzer {
	f := &fuzzer{t: t, engine: newEngine(), rng: rand.New(rand.NewPCG(3, 4)), now: time.Unix(1e9, 0)}
	for i := range f.assocs {
		f.reopen(i)
	}
	cause := []wire.ErrorCause{{Code: protocol.CauseInvalidValue, Data: []byte("data")}}
	for _, m := range []wire.Message{
		registration("Echo", 1, protocol.Policy{Type: protocol.RoundRobin}),
		registration("Load", 2, protocol.Policy{Type: protocol.LeastUsed, Load: 9}),
		registration("Wide", 3, protocol.Policy{Type: protocol.WeightedRandom, Weight: 9}),
		&wire.Deregistration{Handle: "Echo", ID: 1},
		&wire.HandleResolution{Handle: "Echo"},
		&wire.HandleResolution{Handle: "Load", Items: wire.AllItems},
		&wire.EndpointKeepAliveAck{Handle: "Load", ID: 2},
		&wire.EndpointUnreachable{Handle: "Wide", ID: 3},
		&wire.RegistrationResponse{Reject: true, Handle: "Echo", ID: 1, Causes: cause},
		&wire.EndpointKeepAlive{Registrar: 1, Handle: "Echo", ID: 1},
		&wire.Cookie{Cookie: []byte("cookie")},
		&wire.ASAPError{Causes: cause},
	} {
		f.valid = append(f.valid, m.AppendTo(nil))
	}
	return f
}

func (f *fuzzer) reopen(i int) {
	f.last++
	f.assocs[i] = f.last
	f.engine.HandleUp(f.now, f.last, protocol.PPIDASAP, host, host)
}

// damaged returns a message with up to four faults: bytes that are wrong, missing or
// too many.
func (f *fuzzer) damaged() []byte {
	m := append([]byte(nil), f.valid[f.rng.IntN(len(f.valid))]...)
	for range f.rng.IntN(5) {
		switch f.rng.IntN(8) {
		case 0:
			m = m[:f.rng.IntN(len(m)+1)]
		case 1:
			m = append(m, make([]byte, f.rng.IntN(8))...)
		case 2:
			m = append(m, m...)[:min(2*len(m), 1<<16)]
		default:
			if len(m) > 0 {
				m[f.rng.IntN(len(m))] = byte(f.rng.Uint32())
			}
		}
	}
	return m
}

// step sends one message and sees to what comes back.
func (f *fuzzer) step() {
	f.now = f.now.Add(time.Millisecond)
	if d := f.engine.Deadline(); !d.IsZero() && !d.After(f.now) {
		f.engine.Advance(f.now)
		f.perform()
	}
	i := f.rng.IntN(len(f.assocs))
	ppid := protocol.PPIDASAP
	if f.rng.IntN(100) == 0 {
		ppid = protocol.PPID(f.rng.Uint32N(16))
	}
	if f.rng.IntN(1000) == 0 {
		f.engine.HandleLost(f.now, f.assocs[i], errors.New("gone"))
		f.reopen(i)
	}
	m := f.damaged()
	f.engine.HandleMessage(f.now, f.assocs[i], ppid, m)
	if sent := f.perform(); sent > 2 {
		f.t.Fatalf("%d messages sent for one: PPID %d %x", sent, ppid, m)
	}
	f.most = max(f.most, f.engine.Space().Len())
}

// perform opens a new association for each that the engine has ended, and counts
// what it has sent.
func (f *fuzzer) perform() (sent int) {
	for e, ok := f.engine.Next(); ok; e, ok = f.engine.Next() {
		switch e.Kind {
		case effect.Send:
			sent++
		case effect.Close, effect.Abort:
			for i, id := range f.assocs {
				if id == e.Assoc {
					f.reopen(i)
				}
			}
		}
	}
	return sent
}

// A registrar goes on serving and its memory stays bounded, whatever it is sent. More messages:
//
//	go test ./internal/registrar -run TestRegistrarFuzzed -messages=10000000
func TestRegistrarFuzzed(t *testing.T) {
	f := newFuzzer(t)
	for range *messages {
		f.step()
	}
	// A PE that does not answer is gone within 11 s, in which 11,000 messages come; one
	// in four begins as a registration.
	if f.most > 11000/4 {
		t.Errorf("%d PEs at a time", f.most)
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	const bound = 32 << 20
	if memory.HeapAlloc > bound {
		t.Errorf("%d bytes in use", memory.HeapAlloc)
	}
	for _, id := range f.assocs {
		f.engine.HandleLost(f.now, id, errors.New("gone"))
	}
	f.perform()
	if n := f.engine.Space().Len(); n != 0 {
		t.Errorf("%d PEs are left without an association", n)
	}
	if d := f.engine.Deadline(); !d.IsZero() {
		t.Errorf("nothing is left to do, but a deadline %v", d)
	}
	t.Logf("%d messages, at most %d PEs, %d bytes in use: %+v", *messages, f.most, memory.HeapAlloc, f.engine.Stats())

	f.reopen(0)
	f.engine.HandleMessage(f.now, f.assocs[0], protocol.PPIDASAP, registration("Echo", 1, protocol.Policy{Type: protocol.RoundRobin}).AppendTo(nil))
	f.perform()
	f.engine.HandleMessage(f.now, f.assocs[0], protocol.PPIDASAP, (&wire.HandleResolution{Handle: "Echo"}).AppendTo(nil))
	if got := effects(t, f.engine); len(got) != 1 || f.engine.Space().Len() != 1 {
		t.Errorf("no service afterwards: %v", got)
	}
}
