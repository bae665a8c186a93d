//go:build unix

package scripting

import (
	"context"
	"crypto/sha1"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pool is a pool of one PE with the service.
type pool struct {
	e    *rsp.Endpoint
	stop func() // ends the service, and waits for its end
}

// startPool starts the service with options. The end of the test checks that it has left nothing.
func startPool(t *testing.T, options ...string) *pool {
	t.Helper()
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Network: rsp.InMemory, Address: "127.0.0.1:0"})
	if err == nil {
		err = registrar.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registrar.Shutdown(context.Background()) })
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: registrar.Addrs(), Network: rsp.InMemory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	s := New()
	fs := flag.NewFlagSet(s.Name(), flag.ContinueOnError)
	s.RegisterFlags(fs)
	if err := fs.Parse(options); err != nil {
		t.Fatal(err)
	}
	listener, err := e.Listen(t.Context(), s.Pool(), rsp.PE{Policy: s.Policy()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, log.New(t.Output(), "", 0)) }()
	p := &pool{e: e, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})}
	t.Cleanup(func() {
		p.stop()
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("left in the temporary directory: %v, %v", left, err)
		}
	})
	return p
}

// user is a session of a PU.
type user struct {
	t *testing.T
	s *rsp.Socket
	b []byte
}

func (p *pool) connect(t *testing.T) *user {
	t.Helper()
	d := rsp.Dialer{Endpoint: p.e, Failover: rsp.FailoverNone}
	s, err := d.Connect(t.Context(), "ScriptingPool")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &user{t: t, s: s, b: make([]byte, MaxMessage)}
}

func (u *user) send(messages ...Message) {
	u.t.Helper()
	for _, m := range messages {
		if err := u.s.SendMsg(u.t.Context(), m.AppendTo(nil), rsp.MsgInfo{PPID: PPID}); err != nil {
			u.t.Fatal(err)
		}
	}
}

// upload sends a file in parts.
func (u *user) upload(archive []byte) {
	u.t.Helper()
	for part := range slices.Chunk(archive, 100) {
		u.send(Message{Type: Upload, Data: part})
	}
	u.send(Message{Type: Upload})
}

func (u *user) receive() (Message, error) {
	ctx, cancel := context.WithTimeout(u.t.Context(), 30*time.Second)
	defer cancel()
	n, info, err := u.s.RecvFullMsg(ctx, u.b)
	if err != nil {
		return Message{}, err
	}
	if info.PPID != PPID {
		u.t.Errorf("PPID %d", info.PPID)
	}
	return Parse(u.b[:n])
}

func (u *user) want(want Message) {
	u.t.Helper()
	m, err := u.receive()
	if err != nil || m.String() != want.String() {
		u.t.Fatalf("received %v, %v; want %v", m, err, want)
	}
}

func (u *user) wantReady() {
	u.t.Helper()
	if m, err := u.receive(); err != nil || m.Type != Ready || m.Info == "" {
		u.t.Fatalf("received %v, %v; want READY", m, err)
	}
}

// wantResult receives an exit status, the results and the end of the session.
func (u *user) wantResult(status uint32, result string) {
	u.t.Helper()
	u.want(Message{Type: Status, Status: status})
	got := ""
	for {
		m, err := u.receive()
		if err != nil || m.Type != Download {
			u.t.Fatalf("received %v, %v; want DOWNLOAD", m, err)
		}
		if len(m.Data) == 0 {
			break
		}
		got += string(m.Data)
	}
	if got != result {
		u.t.Errorf("result %q, want %q", got, result)
	}
	u.wantEnd()
}

func (u *user) wantEnd() {
	u.t.Helper()
	if m, err := u.receive(); !errors.Is(err, io.EOF) {
		u.t.Fatalf("received %v, %v; want the session's end", m, err)
	}
}

func TestWork(t *testing.T) {
	p := startPool(t)
	for status, text := range map[uint32]string{0: `cat my.data >$1`, 7: `cat my.data >$1; exit 7`} {
		u := p.connect(t)
		u.wantReady()
		u.upload(script(t, text))
		u.want(Message{Type: Status})
		u.wantResult(status, "data\n")
	}
}

// Work that cannot be done has a status, and empty results, so that its user does not try it for ever.
func TestWorkInVain(t *testing.T) {
	p := startPool(t)
	for _, archive := range [][]byte{script(t, "exit 0"), []byte("nonsense"), nil} {
		u := p.connect(t)
		u.wantReady()
		u.upload(archive)
		u.want(Message{Type: Status})
		u.wantResult(failure, "")
	}
}

func TestLargeResult(t *testing.T) {
	p := startPool(t)
	u := p.connect(t)
	u.wantReady()
	u.upload(script(t, `head -c 40000 /dev/zero >$1`))
	u.want(Message{Type: Status})
	u.want(Message{Type: Status})
	for _, n := range []int{MaxData, MaxData, 40000 - 2*MaxData, 0} {
		u.want(Message{Type: Download, Data: make([]byte, n)})
	}
	u.wantEnd()
}

// An environment is uploaded once, then found in the cache, also by another server at the same directory.
func TestEnvironment(t *testing.T) {
	environment := []byte("environment")
	sum := Hash(sha1.Sum(environment))
	directory := "-sscachedirectory=" + filepath.Join(t.TempDir(), "cache")
	for i := range 3 {
		p := startPool(t, directory)
		u := p.connect(t)
		u.wantReady()
		u.send(Message{Type: Environment, Hash: sum})
		u.upload(script(t, `cat $2 >$1`))
		u.want(Message{Type: Environment, Hash: sum, UploadNeeded: i == 0})
		if i == 0 {
			u.upload(environment)
		}
		u.want(Message{Type: Status})
		u.wantResult(0, "environment")
		p.stop()
	}
}

// What is announced as another environment is not run, and not cached for others.
func TestEnvironmentForged(t *testing.T) {
	p := startPool(t)
	for range 2 {
		u := p.connect(t)
		u.wantReady()
		u.send(Message{Type: Environment, Hash: hash})
		u.upload(script(t, `cat $2 >$1`))
		u.want(Message{Type: Environment, Hash: hash, UploadNeeded: true})
		u.upload([]byte("forged"))
		u.want(Message{Type: Status})
		u.wantResult(failure, "")
	}
}

// A session too many is told so, and ended.
func TestNotReady(t *testing.T) {
	p := startPool(t, "-ssmaxthreads=1")
	first := p.connect(t)
	first.wantReady()
	second := p.connect(t)
	if m, err := second.receive(); err != nil || m.Type != NotReady || m.Reason != FullyLoaded {
		t.Errorf("received %v, %v", m, err)
	}
	second.wantEnd()
	first.upload(script(t, `echo x >$1`))
	first.want(Message{Type: Status})
	first.wantResult(0, "x\n")
}

// The PE answers keep-alives, and asks for them.
func TestKeepAlive(t *testing.T) {
	pipe := fifo(t)
	p := startPool(t, "-sskeepaliveinterval=20", "-sskeepalivetimeout=20000")
	u := p.connect(t)
	u.wantReady()
	u.upload(script(t, `cat `+pipe+` >$1`))
	u.want(Message{Type: Status})
	u.send(Message{Type: KeepAlive})
	answered, asked := false, 0
	for !answered || asked < 3 {
		switch m, err := u.receive(); {
		case err != nil:
			t.Fatal(err)
		case m.Type == KeepAliveAck && m.HasStatus:
			answered = true
		case m.Type == KeepAlive:
			asked++
			u.send(Message{Type: KeepAliveAck})
		default:
			t.Fatalf("received %v", m)
		}
	}
	if err := os.WriteFile(pipe, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	m, err := u.receive()
	for err == nil && m.Type == KeepAlive {
		m, err = u.receive()
	}
	if err != nil || m.Type != Status || m.Status != 0 {
		t.Errorf("received %v, %v; want the exit status", m, err)
	}
}

// The work of a user that does not answer, or is gone, is killed, and so is that of a server that ends.
func TestKilled(t *testing.T) {
	for name, end := range map[string]func(p *pool, u *user){
		"user is mute":        func(*pool, *user) {},
		"user is gone":        func(_ *pool, u *user) { u.s.Close() },
		"user is lost":        func(_ *pool, u *user) { u.s.Abort() },
		"user talks nonsense": func(_ *pool, u *user) { u.send(Message{Type: Ready}) },
		"server ends":         func(p *pool, _ *user) { p.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			pipe, options := fifo(t), []string(nil)
			if name == "user is mute" {
				options = []string{"-sskeepaliveinterval=20", "-sskeepalivetimeout=20"}
			}
			p := startPool(t, options...)
			u := p.connect(t)
			u.wantReady()
			u.upload(script(t, `exec 3>`+pipe+`; sleep 1000 & sleep 1000`))
			u.want(Message{Type: Status})
			killed := startedAndKilled(t, pipe)
			end(p, u)
			killed()
		})
	}
}

// A user that uploads nothing does not keep others away.
func TestUploadTimeout(t *testing.T) {
	p := startPool(t, "-ssmaxthreads=1", "-sstransmittimeout=20")
	u := p.connect(t)
	u.wantReady()
	u.wantEnd()
}

func TestUnexpected(t *testing.T) {
	p := startPool(t)
	for _, messages := range [][]Message{
		{{Type: Status}},
		{{Type: Environment}, {Type: Environment}},
		{{Type: Upload, Data: []byte("x")}, {Type: Environment}},
	} {
		u := p.connect(t)
		u.wantReady()
		u.send(messages...)
		m, err := u.receive()
		for err == nil && m.Type == Environment {
			m, err = u.receive()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%v: received %v, %v", messages, m, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	s := New()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	s.RegisterFlags(fs)
	if err := fs.Parse([]string{"-ssmaxthreads=4"}); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Policy(), rsp.LeastUsedDegradation(0, 0.25); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
