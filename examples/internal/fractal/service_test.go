package fractal

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/service"
	"github.com/rserpool/rsp/internal/lab"
)

var _ service.Service = New()

func TestMain(m *testing.M) {
	if lab.Inside() {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// scope is a registrar in memory, and what finds it.
func scope(t *testing.T) *rsp.Config {
	t.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.InMemory})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Shutdown(context.Background()) })
	return &rsp.Config{Registrars: r.Addrs(), Network: rsp.InMemory}
}

func endpoint(t *testing.T, cfg *rsp.Config) *rsp.Endpoint {
	t.Helper()
	e, err := rsp.NewEndpoint(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// start starts a server; stop ends its service, as rspserver ends, and waits for that.
func start(t *testing.T, cfg *rsp.Config, id rsp.PEID, s *Service) (stop func()) {
	t.Helper()
	listener, err := endpoint(t, cfg).Listen(t.Context(), Pool, rsp.PE{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, log.New(t.Output(), id.String()+" ", 0)) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("PE %v: %v", id, err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// asked is what a client has got for its question.
type asked struct {
	values    []uint32
	by        map[rsp.PEID]int // messages
	twice     int              // pixels
	failovers int
}

// ask asks for a picture as RSPLIB's client does: once more after a failover only if there is no cookie.
func ask(ctx context.Context, t testing.TB, e *rsp.Endpoint, p Parameter) (*asked, error) {
	t.Helper()
	a := &asked{values: make([]uint32, p.Width*p.Height), by: make(map[rsp.PEID]int)}
	question := p.AppendTo(nil)
	d := rsp.Dialer{Endpoint: e, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		a.failovers++
		if f.HasCookie {
			return nil
		}
		return f.SendMsg(question, rsp.MsgInfo{PPID: PPID})
	}}
	session, err := d.Connect(ctx, Pool)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if err := session.SendMsg(ctx, question, rsp.MsgInfo{PPID: PPID}); err != nil {
		return nil, err
	}
	buf, known := make([]byte, MaxMessage), make([]bool, len(a.values))
	for {
		n, info, err := session.RecvFullMsg(ctx, buf)
		if err != nil {
			return nil, err
		}
		data, err := ParseData(buf[:n])
		if err != nil {
			return nil, err
		}
		if data.IsEnd() {
			break
		}
		a.by[info.PE]++
		for i, value := range data.Points {
			pixel := int(data.Y*p.Width+data.X) + i
			if known[pixel] {
				a.twice++
			}
			known[pixel], a.values[pixel] = true, value
		}
	}
	if slices.Contains(known, false) {
		return nil, errors.New("the picture has holes")
	}
	return a, nil
}

// compute computes a picture without a server.
func compute(p Parameter) []uint32 {
	values := make([]uint32, 0, p.Width*p.Height)
	for y := range p.Height {
		for x := range p.Width {
			values = append(values, p.Value(x, y))
		}
	}
	return values
}

func small(algorithm Algorithm) Parameter {
	p := Default()
	p.Width, p.Height, p.Algorithm, p.N, p.MaxIterations = 80, 50, algorithm, 3, 100
	return p
}

func TestPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := scope(t)
		start(t, cfg, 1, New())
		for _, algorithm := range []Algorithm{Mandelbrot, MandelbrotN} {
			p := small(algorithm)
			a, err := ask(t.Context(), t, endpoint(t, cfg), p)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a.values, compute(p)) {
				t.Errorf("%v: the picture is another one", algorithm)
			}
			if a.twice != 0 || a.failovers != 0 || a.by[1] != 13 {
				t.Errorf("%v: %d pixels twice, %d failovers, %v messages", algorithm, a.twice, a.failovers, a.by)
			}
		}
	})
}

// Each server ends the session after some messages; the next one repeats the last pixel alone.
func TestFailureAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := scope(t)
		for id := rsp.PEID(1); id <= 2; id++ {
			s := New()
			s.FailureAfter = 3
			start(t, cfg, id, s)
		}
		p := small(Mandelbrot)
		a, err := ask(t.Context(), t, endpoint(t, cfg), p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.values, compute(p)) {
			t.Error("the picture is another one")
		}
		if a.failovers != 4 || a.twice != a.failovers {
			t.Errorf("%d failovers, %d pixels twice", a.failovers, a.twice)
		}
	})
}

// A server that is told to end sends a cookie of all that it has sent; one that dies has sent one before.
func TestEndOfServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := scope(t)
		slow := New()
		slow.Pause = 100 * time.Millisecond // 1.3 s for the picture
		dying := *cfg
		e := endpoint(t, &dying)
		listener, err := e.Listen(t.Context(), Pool, rsp.PE{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- slow.Serve(t.Context(), listener, log.New(t.Output(), "", 0)) }()

		time.AfterFunc(350*time.Millisecond, func() {
			start(t, cfg, 3, slow)
			e.Abort()
			<-served
		})
		p := small(Mandelbrot)
		a, err := ask(t.Context(), t, endpoint(t, cfg), p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.values, compute(p)) || a.failovers != 1 {
			t.Errorf("%d failovers, or the picture is another one", a.failovers)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cfg := scope(t)
		slow := New()
		slow.Pause = 100 * time.Millisecond
		stop := start(t, cfg, 1, slow)
		time.AfterFunc(350*time.Millisecond, func() {
			start(t, cfg, 2, slow)
			stop()
		})
		p := small(Mandelbrot)
		a, err := ask(t.Context(), t, endpoint(t, cfg), p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.values, compute(p)) || a.failovers != 1 || a.twice != 1 {
			t.Errorf("%d failovers, %d pixels twice, or the picture is another one", a.failovers, a.twice)
		}
	})
}

// Whoever asks for what there is not, loses the session, and gets no answer elsewhere.
func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := scope(t)
		start(t, cfg, 1, New())
		d := rsp.Dialer{Endpoint: endpoint(t, cfg), Failover: rsp.FailoverNone}
		session, err := d.Connect(t.Context(), Pool)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		p := small(Mandelbrot)
		p.MaxIterations = MaxIterations + 1
		if err := session.SendMsg(t.Context(), p.AppendTo(nil), rsp.MsgInfo{PPID: PPID}); err != nil {
			t.Fatal(err)
		}
		if n, err := session.Read(make([]byte, 100)); !errors.Is(err, rsp.ErrAborted) {
			t.Errorf("%d bytes, %v: want %v", n, err, rsp.ErrAborted)
		}
	})
}

// The options have the names of RSPLIB, and its bounds.
func TestOptions(t *testing.T) {
	s := New()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	s.RegisterFlags(fs)
	err := fs.Parse(strings.Fields("-fgptransmittimeout=1 -fgpdatamaxtime=200 -fgpcookiemaxtime=300 -fgpcookiemaxpackets=4 -fgpfailureafter=5 -fgpmaxthreads=6 -fgptestmode"))
	if err != nil {
		t.Fatal(err)
	}
	want := Service{
		TransmitTimeout: time.Millisecond, DataMaxTime: 200 * time.Millisecond, CookieMaxTime: 300 * time.Millisecond,
		CookieMaxPackets: 4, FailureAfter: 5, MaxThreads: 6, TestMode: true,
	}
	if *s != want {
		t.Errorf("got %+v, want %+v", *s, want)
	}
	for _, bad := range []string{"-fgpdatamaxtime=99", "-fgpcookiemaxtime=x", "-fgpcookiemaxpackets=0", "-fgpmaxthreads=0", "-fgpfailureafter=-1"} {
		if err := fs.Parse([]string{bad}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	var out bytes.Buffer
	New().PrintParameters(&out)
	for _, line := range []string{"   Transmit Timeout        = 2500ms\n", "   Cookie Max Packets      = 10 Packets\n", "   Test Mode               = off\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q has no %q", out.String(), line)
		}
	}
}
