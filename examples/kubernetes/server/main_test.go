package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a server that runs until stop.
type server struct {
	*testing.T
	log  lab.Output
	stop func() error
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{T: t}
	ended := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(io.MultiWriter(&s.log, t.Output()), nil))
	go func() { ended <- run(ctx, append([]string{"-http=127.0.0.1:0"}, args...), log) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { s.stop() })
	return s
}

var probed = regexp.MustCompile(`probes are answered.* address=(\S+)`)

// wantStatus probes until the status is there.
func (s *server) wantStatus(path string, want int) {
	s.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if at := probed.FindStringSubmatch(s.log.String()); at != nil {
			resp, err := client.Get("http://" + at[1] + path)
			if err != nil {
				s.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode == want {
				return
			}
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s is not %d", path, want)
		}
	}
}

func startRegistrar(t *testing.T, address string) *rsp.Registrar {
	t.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: address, Network: rsp.TCPMapping})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Abort)
	return r
}

// A server is ready while a registrar has it in its pool.
func TestReadiness(t *testing.T) {
	r := startRegistrar(t, "127.0.0.1:0")
	at := r.Addr()
	r.Abort()
	s := start(t, "-registrar="+at)
	s.wantStatus("/healthz", 200)
	s.wantStatus("/readyz", 503)
	r = startRegistrar(t, at)
	s.wantStatus("/readyz", 200)
	if pools := r.Pools(); len(pools) != 1 || pools[0].Handle != "EchoPool" {
		t.Errorf("ready, the registrar has %+v", pools)
	}
	r.Abort()
	s.wantStatus("/readyz", 503)
	r = startRegistrar(t, at)
	s.wantStatus("/readyz", 200)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if pools := r.Pools(); len(pools) > 0 {
		t.Errorf("after its end the registrar has %+v", pools)
	}
}

// A server that is told to end before it has been registered does.
func TestEndsUnregistered(t *testing.T) {
	s := start(t, "-registrar=127.0.0.1:1")
	s.wantStatus("/readyz", 503)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// A session goes on with the next server when its own is told to end, and nothing is lost.
func TestGracefulEnd(t *testing.T) {
	r := startRegistrar(t, "127.0.0.1:0")
	old := start(t, "-registrar="+r.Addr())
	old.wantStatus("/readyz", 200)
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: r.Addrs(), Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var cookie string
	d := rsp.Dialer{Endpoint: e, Resend: &rsp.Resend{}, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		cookie = string(f.Cookie)
		return nil
	}}
	session, err := d.Connect(ctx, "EchoPool")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	echoes(t, ctx, session, "one", "two")
	next := start(t, "-registrar="+r.Addr())
	next.wantStatus("/readyz", 200)
	if err := old.stop(); err != nil {
		t.Error(err)
	}
	echoes(t, ctx, session, "three")
	if cookie != "2 answered" {
		t.Errorf("the next server was shown %q", cookie)
	}
}

func echoes(t *testing.T, ctx context.Context, session *rsp.Socket, lines ...string) {
	t.Helper()
	buf := make([]byte, 100)
	for _, line := range lines {
		if err := session.SendMsg(ctx, []byte(line), rsp.MsgInfo{}); err != nil {
			t.Fatal(err)
		}
		if n, _, err := session.RecvFullMsg(ctx, buf); err != nil || string(buf[:n]) != line {
			t.Fatalf("%q is answered %q, %v", line, buf[:n], err)
		}
	}
}
