package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/simnet"
)

// "So each request is answered as long as the session lasts, once, and in order by PEs that answer in
// order", with Resend; without it, what is lost is what the section before that in doc.go says: whatever
// happens to the PEs and the network during a dialogue of numbered requests.
//
//	go test -run TestDialogue -schedules=10000
//	go test -run TestDialogue -seed=N -v
func TestDialogue(t *testing.T) {
	var seen dialogueCounts
	n := eachSchedule(t, func(t *testing.T, seed uint64) {
		d := newDialogue(t, seed)
		d.run()
		d.check(&seen)
	})
	t.Logf("%d schedules: %+v", n, seen)
}

// dialogueCounts tells that the schedules have done what they are for.
type dialogueCounts struct{ requests, failovers, servedTwice, lostRequests, lostAnswers int }

// dialogue is a session with a pool to which a random schedule of faults happens.
type dialogue struct {
	*testing.T
	seed       uint64
	rand       *rand.Rand
	net        *simnet.Network
	registrar  *rsp.Registrar
	elements   []*mortalPE
	hosts      int // of PEs, until now
	pu         *simnet.Host
	user       *rsp.Endpoint
	cuts       []netip.Addr
	session    *rsp.Socket
	resend     bool
	manual     bool // FailoverManual
	bytes      bool // Write and Read, not SendMsg and RecvMsg
	piece      int  // read at a time
	lazy       bool // reads with pauses: the one who writes may be the first to meet a loss
	began      time.Time
	background sync.WaitGroup

	mu        sync.Mutex
	history   []string
	stays     map[int]*stay // by number
	failovers []failover    // before stay 1, 2 ...
	sentAll   bool
	sent      []time.Time // when request 1, 2 ... had been sent
	answers   []answer
}

// stay is what a PE sees of the session from its coming to its going.
type stay struct {
	pe       rsp.PEID
	cookie   int   // that it was shown: the last request served; 0: none
	requests []int // that it got
}

type failover struct {
	lostAt, at time.Time
	sent       int // by then
	unanswered int
}

type answer struct{ request, stay int }

// line is a message of the dialogue, of fixed size for those who read bytes.
func line(kind string, number, stay int) []byte {
	return fmt.Appendf(nil, "%-8s%8d%8d", kind, number, stay)
}

func parseLine(b []byte) (kind string, number, stay int) {
	_, _ = fmt.Sscan(string(b), &kind, &number, &stay) // what is malformed is of no kind
	return kind, number, stay
}

const lineSize = 24

func newDialogue(t *testing.T, seed uint64) *dialogue {
	r := rand.New(rand.NewPCG(seed, 0))
	config := simnet.Config{Latency: time.Duration(1+r.IntN(20)) * time.Millisecond, Loss: []float64{0, 0.01, 0.1}[r.IntN(3)], Seed: seed}
	d := &dialogue{
		T: t, seed: seed, rand: r, net: simnet.New(config), stays: make(map[int]*stay), began: time.Now(),
		resend: r.IntN(2) == 0, manual: r.IntN(4) == 0, bytes: r.IntN(3) == 0, piece: []int{7, lineSize}[r.IntN(2)],
		lazy: r.IntN(2) == 0,
	}
	for i := range 2 + r.IntN(3) {
		d.elements = append(d.elements, &mortalPE{pool: "Dialogue", id: rsp.PEID(i + 1)})
	}
	return d
}

// run lets it all happen.
func (d *dialogue) run() {
	d.startRegistrar()
	for _, pe := range d.elements {
		d.startPE(pe)
	}
	time.Sleep(time.Second)
	d.connect()
	defer time.AfterFunc(time.Hour, func() { d.Error("not over after an hour"); d.session.Close() }).Stop()
	over, read := make(chan struct{}), make(chan struct{})
	go func() { defer close(read); d.receiveAll() }()
	go func() {
		for range 2 + d.rand.IntN(8) {
			d.pause([]time.Duration{20 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second}[d.rand.IntN(3)])
			d.fault()
		}
		d.endFaults()
		close(over)
	}()
	d.sendAll(over)
	<-read
	d.stop()
}

func (d *dialogue) pause(most time.Duration) { time.Sleep(time.Duration(d.rand.Int64N(int64(most)))) }

// note keeps what happens for the case of failure.
func (d *dialogue) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.history = append(d.history, fmt.Sprintf("%8.3fs ", time.Since(d.began).Seconds())+fmt.Sprintf(format, args...))
}

func (d *dialogue) startRegistrar() {
	h := d.net.Host("10.0.0.1")
	d.registrar = rsp.NewRegistrarOn(rsp.RegistrarConfig{Address: "10.0.0.1:3863"}, h)
	if err := d.registrar.Start(ctx()); err != nil {
		d.Fatal(err)
	}
}

func (d *dialogue) endpoint(h *simnet.Host) *rsp.Endpoint {
	e, err := rsp.NewEndpointOn(rsp.Config{Registrars: []string{"10.0.0.1:3863"}}, h)
	if err != nil {
		d.Fatal(err)
	}
	return e
}

// startPE starts a PE, on another machine than before.
func (d *dialogue) startPE(pe *mortalPE) {
	d.hosts++
	pe.host = d.net.Host(fmt.Sprintf("10.0.1.%d", d.hosts))
	pe.Endpoint = d.endpoint(pe.host)
	d.note("PE %d starts on %v", pe.id, pe.host.Addrs()[0])
	endpoint, id := pe.Endpoint, pe.id
	d.background.Go(func() {
		listener, err := endpoint.Listen(ctx(), "Dialogue", rsp.PE{ID: id})
		for err == nil {
			var session *rsp.Socket
			if session, err = listener.AcceptSocket(ctx()); err == nil {
				d.background.Go(func() { d.serve(id, session) })
			}
		}
	})
}

// fault is one thing that happens, more often than not to the PE that serves the session.
func (d *dialogue) fault() {
	pe := d.elements[d.rand.IntN(len(d.elements))]
	if d.rand.IntN(3) > 0 {
		pe = d.elements[d.session.PeerPE()-1]
	}
	switch d.rand.IntN(6) {
	case 0, 1:
		d.cut(pe)
	case 2:
		d.heal()
	case 3, 4:
		d.startOrEnd(pe)
	case 5:
		unreachable := d.rand.IntN(2) == 0
		d.note("the user forces a failover")
		d.background.Go(func() {
			if err := d.session.ForceFailover(ctx(), unreachable); err != nil {
				d.Errorf("ForceFailover: %v", err)
			}
		})
	}
}

// cut separates the PU from a PE or from the registrar.
func (d *dialogue) cut(pe *mortalPE) {
	addr := netip.MustParseAddr("10.0.0.1")
	if d.rand.IntN(4) > 0 {
		addr = pe.host.Addrs()[0]
	}
	d.note("%v is cut off", addr)
	d.net.Cut(d.pu.Addrs()[0], addr)
	d.cuts = append(d.cuts, addr)
}

func (d *dialogue) heal() {
	for _, addr := range d.cuts {
		d.note("%v is healed", addr)
		d.net.Heal(d.pu.Addrs()[0], addr)
	}
	d.cuts = nil
}

func (d *dialogue) startOrEnd(pe *mortalPE) {
	if pe.Endpoint == nil {
		d.startPE(pe)
		return
	}
	ended := pe.Endpoint
	pe.Endpoint = nil
	switch d.rand.IntN(4) {
	case 0:
		d.note("PE %d aborts", pe.id)
		ended.Abort()
	case 1:
		d.note("PE %d has no power", pe.id)
		pe.host.Kill()
		ended.Abort()
	case 2:
		d.note("PE %d is killed", pe.id)
		pe.host.Crash()
		ended.Abort()
	case 3:
		d.note("PE %d leaves", pe.id)
		d.background.Go(func() { ended.Close() })
	}
}

// endFaults heals the network, and starts a PE should there be none.
func (d *dialogue) endFaults() {
	d.heal()
	if !slices.ContainsFunc(d.elements, func(pe *mortalPE) bool { return pe.Endpoint != nil }) {
		d.startPE(d.elements[0])
	}
}

// stop ends everything and waits.
func (d *dialogue) stop() {
	d.user.Close()
	for _, pe := range d.elements {
		if pe.Endpoint != nil {
			pe.Abort()
		}
	}
	d.registrar.Abort()
	d.background.Wait()
}

// sendAll sends requests until the faults are over, and some more.
func (d *dialogue) sendAll(over <-chan struct{}) {
	pause := rand.New(rand.NewPCG(d.seed, 1))
	for n, left := 1, 5; left > 0; n++ {
		select {
		case <-over:
			left--
		default:
		}
		if err := d.send(line("request", n, 0)); err != nil {
			d.Errorf("request %d: %v", n, err)
			break
		}
		d.mu.Lock()
		d.sent = append(d.sent, time.Now())
		d.sentAll = left == 0
		d.mu.Unlock()
		if pause.IntN(3) == 0 {
			time.Sleep(time.Duration(pause.Int64N(int64(100 * time.Millisecond))))
		}
	}
	d.session.SetReadDeadline(time.Now().Add(2 * time.Minute))
}

func (d *dialogue) send(b []byte) (err error) {
	for {
		if d.bytes {
			_, err = d.session.Write(b)
		} else {
			err = d.session.SendMsg(ctx(), b, rsp.MsgInfo{})
		}
		if !d.forced(err) {
			return err
		}
	}
}

// receiveAll receives the answers: with Resend to the last, without it as long as some come.
func (d *dialogue) receiveAll() {
	pause := rand.New(rand.NewPCG(d.seed, 2))
	for !d.done() {
		if d.lazy && pause.IntN(4) == 0 {
			time.Sleep(time.Duration(pause.Int64N(int64(200 * time.Millisecond))))
		}
		b, err := d.receive()
		if err != nil {
			if d.resend || !errors.Is(err, os.ErrDeadlineExceeded) {
				d.Errorf("after %d answers to %d requests: %v", len(d.answers), len(d.sent), err)
			}
			return
		}
		kind, request, stay := parseLine(b)
		if kind != "answer" {
			d.Errorf("received %q", b)
		}
		d.mu.Lock()
		d.answers = append(d.answers, answer{request, stay})
		d.mu.Unlock()
	}
}

func (d *dialogue) done() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.resend && d.sentAll && len(d.answers) == len(d.sent)
}

// receive receives a line, at once or in pieces.
func (d *dialogue) receive() ([]byte, error) {
	b, n := make([]byte, lineSize), 0
	for n < lineSize {
		var got int
		var err error
		if piece := b[n:min(n+d.piece, lineSize)]; d.bytes {
			got, err = d.session.Read(piece)
		} else {
			got, _, err = d.session.RecvMsg(ctx(), piece)
		}
		if n += got; err != nil && !d.forced(err) {
			return nil, err
		}
	}
	return b, nil
}

// forced goes on after an error that asks for it (FailoverManual).
func (d *dialogue) forced(err error) bool {
	if !errors.Is(err, rsp.ErrFailover) {
		return false
	}
	if err := d.session.ForceFailover(ctx(), true); err != nil {
		d.Errorf("ForceFailover: %v", err)
		return false
	}
	return true
}

func (d *dialogue) connect() {
	d.pu = d.net.Host("10.0.2.1")
	d.user = d.endpoint(d.pu)
	dialer := rsp.Dialer{
		Endpoint: d.user, FailoverTimeout: -1, ConnectTimeout: time.Second, OnFailover: d.handleFailover,
	}
	if d.manual {
		dialer.Failover = rsp.FailoverManual
	}
	if d.resend {
		dialer.Resend = &rsp.Resend{MaxRequests: 1 + d.rand.IntN(30)}
	}
	session, err := dialer.Connect(ctx(), "Dialogue")
	if err != nil {
		d.Fatal(err)
	}
	d.session = session
}

// handleFailover tells the new PE which stay of the session it is.
func (d *dialogue) handleFailover(_ context.Context, f *rsp.FailoverEvent) error {
	d.mu.Lock()
	d.failovers = append(d.failovers, failover{f.LostAt, time.Now(), len(d.sent), f.Unanswered})
	number := len(d.failovers)
	d.mu.Unlock()
	d.note("stay %d is with PE %v after the loss of PE %v (%v), %d unanswered", number, f.PE, f.Lost, f.Cause, f.Unanswered)
	return f.SendMsg(line("stay", number, 0), rsp.MsgInfo{})
}

// serve answers a session as a PE.
func (d *dialogue) serve(pe rsp.PEID, session *rsp.Socket) {
	defer session.Close()
	s, number := &stay{pe: pe}, 0
	served := 0
	session.KeepCookie(rsp.CookiePlan{Messages: 1, State: func(b []byte) []byte { return strconv.AppendInt(b, int64(served), 10) }})
	d.mu.Lock()
	think := rand.New(rand.NewPCG(d.seed, uint64(3+len(d.failovers))))
	d.mu.Unlock()
	buf := make([]byte, lineSize)
	for {
		n, info, err := session.RecvFullMsg(ctx(), buf)
		if err != nil {
			return
		}
		if info.CookieEcho {
			if s.cookie, err = strconv.Atoi(string(buf[:n])); err != nil {
				d.Error(err)
			}
			continue
		}
		kind, request, _ := parseLine(buf[:n])
		if kind == "stay" {
			number = request
			continue
		}
		d.mu.Lock()
		d.stays[number] = s
		s.requests = append(s.requests, request)
		d.mu.Unlock()
		if think.IntN(4) == 0 {
			time.Sleep(time.Duration(think.Int64N(int64(30 * time.Millisecond))))
		}
		served = request
		if session.SendMsg(ctx(), line("answer", request, number), rsp.MsgInfo{}) != nil {
			return
		}
	}
}
