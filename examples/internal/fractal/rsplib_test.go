package fractal

import (
	"context"
	"fmt"
	"log"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// labScope is a registrar where RSPLIB's servers find it, who refuse loopback addresses.
func labScope(ctx context.Context, t *testing.T, port int) (address string, e *rsp.Endpoint) {
	t.Helper()
	address = fmt.Sprintf("192.168.77.1:%d", port)
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: address})
	if err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Shutdown(context.Background()) })
	return address, endpoint(t, &rsp.Config{Registrars: []string{address}})
}

// startRSPLIB starts RSPLIB's server and waits until the registrar knows it.
func startRSPLIB(ctx context.Context, t *testing.T, e *rsp.Endpoint, address string, args ...string) {
	t.Helper()
	lab.Start(t, lab.RSPLIB(t, "rspserver", append([]string{
		"-registrar=" + address, "-asapannounce=off", "-fractal", "-identifier=0x1"}, args...)...))
	for {
		r, err := e.Resolve(ctx, Pool, rsp.AllElements)
		if err == nil && slices.ContainsFunc(r.Elements, func(e rsp.Element) bool { return e.ID == 1 }) {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("RSPLIB's server is not registered: %v", err)
		}
	}
}

// Pictures are RSPLIB's, to the last pixel. For MandelbrotN that holds where orbits are short or endless: the
// functions of the C library differ from Go's in their last bits, which chaos amplifies.
func TestValuesOfRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		address, e := labScope(ctx, t, 4000)
		startRSPLIB(ctx, t, e, address)
		files, err := filepath.Glob(filepath.Join(fgpconfig, "input-0[0-4]5.fsf"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Log("without the pictures of Debian's package rsplib-fgp-cfgfiles, which is absent")
		}
		pictures := map[string]Parameter{"Mandelbrot": small(Mandelbrot), "MandelbrotN": small(MandelbrotN)}
		for _, name := range files {
			p, err := ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p.Width, p.Height = 90, 70
			pictures[name] = p
		}
		for name, p := range pictures {
			compareWithRSPLIB(ctx, t, e, name, p)
		}
	})
}

// steadySteps is how many steps an orbit of MandelbrotN takes at least before the last bits show.
const steadySteps = 30

func compareWithRSPLIB(ctx context.Context, t *testing.T, e *rsp.Endpoint, name string, p Parameter) {
	a, err := ask(ctx, t, e, p)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	differing, wrong := 0, 0
	for i, value := range compute(p) {
		theirs := a.values[i]
		if value == theirs {
			continue
		}
		differing++
		if p.Algorithm == Mandelbrot || min(value, theirs) < steadySteps {
			wrong++
		}
	}
	t.Logf("%s, %v: %d of %d pixels differ", name, p.Algorithm, differing, len(a.values))
	if wrong > 0 {
		t.Errorf("%s, %v: %d of %d pixels differ that must not", name, p.Algorithm, wrong, len(a.values))
	}
}

// A session moves between RSPLIB's server and ours by cookies of both.
func TestPoolWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		address, e := labScope(ctx, t, 4010)
		startRSPLIB(ctx, t, e, address, "-fgpfailureafter=30")
		s := New()
		s.FailureAfter = 30
		listener, err := endpoint(t, &rsp.Config{Registrars: []string{address}}).Listen(ctx, Pool, rsp.PE{ID: 2})
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(ctx, listener, log.New(t.Output(), "", 0))

		p := small(Mandelbrot)
		p.Width, p.Height = 250, 200 // 155 messages
		a, err := ask(ctx, t, e, p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.values, compute(p)) {
			t.Error("the picture is another one")
		}
		if a.failovers != 5 || a.by[1] < 30 || a.by[2] < 30 {
			t.Errorf("%d failovers, %v messages", a.failovers, a.by)
		}
		t.Logf("%d failovers, %d pixels twice, messages by server: %v", a.failovers, a.twice, a.by)
	})
}
