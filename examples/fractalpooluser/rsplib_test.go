package main

import (
	"context"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/fractal"
	"github.com/rserpool/rsp/internal/lab"
)

// Sessions of a picture move between RSPLIB's servers.
func TestServersOfRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		const address = "192.168.77.1:4000"
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: address})
		if err == nil {
			err = r.Start(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Shutdown(context.Background())
		for _, id := range []string{"-identifier=0x1", "-identifier=0x2"} {
			lab.Start(t, lab.RSPLIB(t, "rspserver", "-registrar="+address, "-asapannounce=off", "-fractal", "-fgpfailureafter=15", id))
		}
		e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c := &client{
			endpoint: e, pool: fractal.Pool, threads: 3, history: newHistory(),
			sendTimeout: 5 * time.Second, recvTimeout: 5 * time.Second,
		}
		parameter := fractal.Default()
		parameter.Width, parameter.Height, parameter.MaxIterations = 200, 150, 100 // 31 messages each
		p, err := c.compute(ctx, "test", parameter)
		if err != nil {
			t.Fatal(err)
		}
		wantPicture(t, p)
		if p.failovers() < 6 {
			t.Errorf("%d failovers", p.failovers())
		}
		t.Logf("%d failovers, pixels by server: %v", p.failovers(), p.shares)
	})
}
