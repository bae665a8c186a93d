package rsp_test

import (
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/wire"
)

var fuzzMessages = flag.Int("messages", 20_000, "how many messages TestRegistrarFuzzed sends over the TCP mapping")

// A pool handle of more than 32 bytes ends RSPLIB's registrar. Here it is an invalid
// value, as RSPLIB calls the like.
func TestRegistrarLongPoolHandle(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{})
	p := dialRegistrar(t, r)
	for _, size := range []int{33, 36, 1000, 65000} {
		request := (&wire.HandleResolution{Handle: protocol.PoolHandle(strings.Repeat("x", size))}).AppendTo(nil)
		if err := p.Send(request, transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
			t.Fatal(err)
		}
		m, err := p.receive()
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		got, ok := m.(*wire.ASAPError)
		if !ok || got.Causes[0].Code != protocol.CauseInvalidValue {
			t.Errorf("%d bytes: answer %v", size, m)
		}
	}
	wantService(t, r)
}

// RSPLIB's registrar: "PPID 12 on the ASAP socket: registrar aborts the association. Any other
// PPID: parse fails, no reply".
func TestRegistrarWrongPPID(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{})
	p := dialRegistrar(t, r)
	request := (&wire.HandleResolution{Handle: "Echo"}).AppendTo(nil)
	for _, ppid := range []protocol.PPID{0, 10, 13, 0xffffffff} {
		if err := p.Send(request, transport.SendInfo{PPID: ppid}); err != nil {
			t.Fatal(err)
		}
	}
	p.send(&wire.Deregistration{Handle: "Echo", ID: 1})
	p.want(&wire.DeregistrationResponse{Handle: "Echo", ID: 1}) // and nothing before it
	if err := p.Send(request, transport.SendInfo{PPID: protocol.PPIDENRP}); err != nil {
		t.Fatal(err)
	}
	p.wantEnd(transport.ErrAborted)
	wantService(t, r)
}

// Bytes that are not the TCP mapping end their connection, and nothing else.
func TestRegistrarTruncatedFrames(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{})
	rng := rand.New(rand.NewPCG(5, 6))
	var conns sync.WaitGroup
	for range 100 {
		frame := make([]byte, 1+rng.IntN(64))
		for i := range frame {
			frame[i] = byte(rng.Uint32())
		}
		if rng.IntN(2) == 0 { // a good beginning
			frame = slices.Concat([]byte{1, 0, 0, 4, 0, 0, 0xff, 0xff}, frame)
		}
		conn, err := net.Dial("tcp", r.Addr())
		if err != nil {
			t.Fatal(err)
		}
		conns.Go(func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := conn.Write(frame); err != nil {
				return // closed already
			}
			conn.(*net.TCPConn).CloseWrite()
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is not closed")
			}
		})
	}
	conns.Wait()
	wantService(t, r)
}

// 1,000 connections that never speak hold nothing up, and are closed in the end.
func TestRegistrarSilentConnections(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{AutoClose: 2 * time.Second})
	silent := make([]*peer, 1000)
	for i := range silent {
		silent[i] = dialRegistrar(t, r)
	}
	wantService(t, r)
	for _, p := range silent {
		p.wantEnd(io.EOF)
	}
	wantService(t, r)
}

// A peer that asks and never listens is held back before its answers fill the memory, and
// ends like one that is silent; the others do not notice.
func TestRegistrarPeerThatDoesNotRead(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{AutoClose: 500 * time.Millisecond})
	pe, deaf := dialRegistrar(t, r), dialRegistrar(t, r)
	for id := range protocol.PEID(128) {
		pe.send(&wire.Registration{Handle: "Echo", Element: loopbackElement(id + 1)})
		pe.want(&wire.RegistrationResponse{Handle: "Echo", ID: id + 1})
	}
	request := (&wire.HandleResolution{Handle: "Echo", Items: wire.AllItems}).AppendTo(nil)
	var err error
	for sent := 0; err == nil; sent++ {
		if sent == 10_000 {
			wantService(t, r)
		}
		err = deaf.Send(request, transport.SendInfo{PPID: protocol.PPIDASAP})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the association is not closed")
	}
	if n := r.Stats().Resolutions; n > 1000 {
		t.Errorf("%d answers of 6 KB for a peer that reads none", n)
	}
	wantService(t, r)
}

// The registrar goes on serving, and its memory stays bounded, whatever it is sent. With more
// messages:
//
//	go test -run TestRegistrarFuzzed -messages=10000000
func TestRegistrarFuzzed(t *testing.T) {
	r := startRegistrar(t, rsp.RegistrarConfig{})
	before := heap()
	var peers sync.WaitGroup
	for i := range 4 {
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		peers.Go(func() {
			for processed(r) < uint64(*fuzzMessages) {
				sendDamaged(t, r, rng)
			}
		})
	}
	peers.Wait()
	wantService(t, r)
	const bound = 64 << 20
	if grown := heap() - before; grown > bound {
		t.Errorf("%d bytes more in use than before", grown)
	}
	t.Logf("%+v", r.Stats())
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// processed is how many messages a registrar has taken.
func processed(r *rsp.Registrar) uint64 {
	s := r.Stats()
	return s.Registrations + s.Reregistrations + s.Rejections + s.Deregistrations + s.Resolutions +
		s.FailureReports + s.KeepAliveAcks + s.Malformed + s.WrongPPIDs + s.Ignored
}

// sendDamaged sends damaged messages over one association, until the registrar has
// had enough of it.
func sendDamaged(t *testing.T, r *rsp.Registrar, rng *rand.Rand) {
	p := dialTCP(t, r)
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		io.Copy(io.Discard, reader{p})
	}()
	defer func() { p.Abort(); <-answers }()
	valid := [][]byte{
		(&wire.Registration{Handle: "Echo", Element: loopbackElement(1)}).AppendTo(nil),
		(&wire.Deregistration{Handle: "Echo", ID: 1}).AppendTo(nil),
		(&wire.HandleResolution{Handle: "Echo", Items: 5}).AppendTo(nil),
		(&wire.EndpointUnreachable{Handle: "Echo", ID: 1}).AppendTo(nil),
		(&wire.EndpointKeepAliveAck{Handle: "Echo", ID: 1}).AppendTo(nil),
	}
	for range 1000 {
		m := slices.Clone(valid[rng.IntN(len(valid))])
		for range rng.IntN(3) {
			m[rng.IntN(len(m))] = byte(rng.Uint32())
		}
		if rng.IntN(4) == 0 {
			m = m[:rng.IntN(len(m)+1)]
		}
		ppid := protocol.PPIDASAP
		if rng.IntN(100) == 0 {
			ppid = protocol.PPID(rng.Uint32N(16))
		}
		if p.Send(m, transport.SendInfo{PPID: ppid}) != nil {
			return
		}
	}
}

// reader makes a stream of an association's messages.
type reader struct{ transport.Assoc }

func (r reader) Read(b []byte) (int, error) {
	n, _, err := r.Recv(b)
	return n, err
}
