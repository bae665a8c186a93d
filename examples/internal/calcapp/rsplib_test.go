package calcapp

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// labRegistrar is where the registrar of these tests is: RSPLIB refuses loopback addresses.
const labRegistrar = "192.168.77.1:3863"

var labArgs = []string{"-registrar=" + labRegistrar, "-asapannounce=off"}

// long is the size of a job that its first server never completes, and its second one in about a second.
const long = 1e11

// A job loses its server in the middle, and the next one goes on by its cookie: RSPLIB's by ours, with RSPLIB's client, and
// ours by RSPLIB's, with our client.
func TestFailoverWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: labRegistrar})
		if err == nil {
			err = r.Start(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Shutdown(context.Background())
		t.Run("server=RSPLIB,next=ours,client=ours", func(t *testing.T) { ourClient(ctx, t) })
		t.Run("server=ours,next=RSPLIB,client=RSPLIB", func(t *testing.T) { theirClient(ctx, t) })
	})
}

func ourClient(ctx context.Context, t *testing.T) {
	theirs := theirServer(ctx, t, "first", 1e6)
	c := NewClient(labEndpoint(t))
	c.PoolHandle, c.Out = "first", log.New(t.Output(), "client: ", 0)
	j := &Job{ID: 9, Size: long, Queued: time.Now(), Started: time.Now()}
	handled := &run{Client: c, job: j}
	session, err := handled.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	handled.session = session
	done := make(chan error, 1)
	go func() { done <- handled.run(ctx) }()
	wait(ctx, t, "a cookie", session.HasCookie)
	_, _, out := ourServer(ctx, t, "first", long)
	theirs.Kill()
	if err := <-done; err != nil || j.Failovers != 1 {
		t.Errorf("%v after %d failovers", err, j.Failovers)
	}
	wantFromCookie(t, out.String())
}

func theirClient(ctx context.Context, t *testing.T) {
	service, kill, _ := ourServer(ctx, t, "second", 1e6)
	client := lab.Start(t, lab.RSPLIB(t, "calcappclient", append(labArgs, "-poolhandle=second", "-jobinterval=0.1", fmt.Sprintf("-jobsize=%.0f", long),
		"-vector="+t.TempDir()+"/vec", "-scalar="+t.TempDir()+"/sca")...))
	client.Expect(ctx, t, "Job #1 accepted")
	// By then there were five cookies and a keep-alive.
	wait(ctx, t, "3 s of the job", func() bool { return service.Usage().Calculations > 3e6 })
	theirs := theirServer(ctx, t, "second", long)
	kill()
	theirs.Expect(ctx, t, "accepted from cookie echo")
	client.Expect(ctx, t, "Job #1 completed:")
	wantFromCookie(t, theirs.Output())
}

// wantFromCookie wants that a server says that it went on with a job of which a part was completed.
func wantFromCookie(t *testing.T, output string) {
	t.Helper()
	for line := range strings.SplitSeq(output, "\n") {
		var completed float64
		if _, rest, found := strings.Cut(line, ", completed "); found && strings.HasSuffix(rest, " accepted from cookie echo") {
			if _, err := fmt.Sscan(rest, &completed); err == nil && completed >= 3e5 && completed < 1e9 {
				return
			}
		}
	}
	t.Errorf("no job went on by a cookie:\n%s", output)
}

func labEndpoint(t *testing.T) *rsp.Endpoint {
	t.Helper()
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{labRegistrar}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() }) // some are killed before
	return e
}

func ourServer(ctx context.Context, t *testing.T, pool rsp.PoolHandle, capacity float64) (s *Service, kill func(), out *lines) {
	t.Helper()
	s, out = New(), new(lines)
	s.Capacity, s.CookieMaxTime, s.CookieMaxCalculations, s.VectorFile, s.ScalarFile = capacity, 500*time.Millisecond, long, "", ""
	e := labEndpoint(t)
	listener, err := e.Listen(ctx, pool, rsp.PE{Policy: rsp.LeastUsed(0)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(ctx, listener, log.New(io.MultiWriter(out, t.Output()), "our server: ", 0)) // an error when it is killed
	}()
	t.Cleanup(func() { cancel(); <-served })
	return s, e.Abort, out
}

func theirServer(ctx context.Context, t *testing.T, pool string, capacity float64) *lab.Process {
	t.Helper()
	p := lab.Start(t, lab.RSPLIB(t, "rspserver", append(labArgs, "-calcapp", "-identifier=0xabc", "-policy=LeastUsed", "-poolhandle="+pool,
		fmt.Sprintf("-capcapacity=%.0f", capacity), "-capcookiemaxtime=0.5", fmt.Sprintf("-capcookiemaxcalculations=%.0f", long), "-capvector="+t.TempDir()+"/vec", "-capscalar="+t.TempDir()+"/sca")...))
	p.Expect(ctx, t, "Identifier")
	e := labEndpoint(t)
	wait(ctx, t, "RSPLIB's server to be registered", func() bool {
		r, err := e.Resolve(ctx, rsp.PoolHandle(pool), rsp.AllElements)
		if err != nil {
			return false
		}
		for _, el := range r.Elements {
			if el.ID == 0xabc {
				return true
			}
		}
		return false
	})
	return p
}

func wait(ctx context.Context, t *testing.T, what string, until func() bool) {
	t.Helper()
	for !until() {
		if ctx.Err() != nil {
			t.Fatalf("waiting for %s: %v", what, ctx.Err())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
