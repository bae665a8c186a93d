package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/fractal"
)

// demoPicture is a part of the seahorse valley; by z² - c, the Mandelbrot set has its sign changed.
var demoPicture = fractal.Parameter{
	Width: 640, Height: 400,
	Algorithm: fractal.Mandelbrot, MaxIterations: 1000, N: 2,
	C1: complex(0.74877, -0.11053), C2: complex(0.74193, -0.11481),
}

// demo computes a picture with three servers, of which it takes two away. Each has an Endpoint of its own, as
// if it were a program of its own. Then one server that nobody disturbs computes it once more: the two must
// be the same.
func demo(ctx context.Context, o *options, h *history) error {
	d := &demonstration{pool: o.pool, cfg: o.Config, history: h, endpoints: make(map[rsp.PEID]*rsp.Endpoint)}
	defer d.close()
	d.cfg.Logger = nil // it would tell the losses that the demo tells
	if err := d.startRegistrar(ctx); err != nil {
		return err
	}
	for _, name := range []string{"Anna", "Berta", "Carla"} {
		if err := d.startServer(ctx, d.pool, name, demoPause); err != nil {
			return err
		}
	}
	e, err := rsp.NewEndpoint(&d.cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	client := o.client(e, h)
	client.pool, client.threads = d.pool, demoSessions

	stop := d.startDisturbing(ctx)
	p, err := client.compute(ctx, "a picture while two of three servers die", demoPicture)
	stop()
	if err != nil {
		return err
	}
	if d.killed != 2 || p.failovers() < 2 {
		return fmt.Errorf("%d servers were taken away, and sessions failed over %d times: want 2, and at least 2", d.killed, p.failovers())
	}
	if err := d.compare(ctx, client, p); err != nil {
		return err
	}
	if o.imageStoragePrefix == "" {
		return nil
	}
	name, err := o.colours.save(p, o.imageStoragePrefix, 1)
	if err == nil {
		h.add(event{kind: eventNote, text: "stored as " + name})
	}
	return err
}

const (
	demoSessions = 6
	demoPause    = 25 * time.Millisecond // of a server after each 324 pixels: else there is nothing to watch
)

// demonstration is the registrar and the servers of the demo.
type demonstration struct {
	pool      rsp.PoolHandle
	cfg       rsp.Config
	history   *history
	registrar *rsp.Registrar
	servers   sync.WaitGroup
	stop      []context.CancelFunc
	endpoints map[rsp.PEID]*rsp.Endpoint
	killed    int
}

func (d *demonstration) startRegistrar(ctx context.Context) error {
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: d.cfg.Network})
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	d.registrar = r
	d.cfg.Registrars, d.cfg.Announce = r.Addrs(), "off"
	return nil
}

func (d *demonstration) startServer(ctx context.Context, pool rsp.PoolHandle, name string, pause time.Duration) error {
	e, err := rsp.NewEndpoint(&d.cfg)
	if err != nil {
		return err
	}
	s := fractal.New()
	s.MaxThreads, s.Pause = demoSessions, pause
	listener, err := e.Listen(ctx, pool, rsp.PE{Policy: s.Policy()})
	if err != nil {
		e.Close()
		return err
	}
	d.endpoints[listener.LocalPE()] = e
	d.history.setName(listener.LocalPE(), name)
	ctx, cancel := context.WithCancel(ctx)
	d.stop = append(d.stop, cancel)
	d.servers.Go(func() { _ = s.Serve(ctx, listener, log.New(io.Discard, "", 0)) }) // one that is taken away fails
	return nil
}

// startDisturbing takes the server of the first session away when a third of the picture is there, and again
// when two thirds are.
func (d *demonstration) startDisturbing(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.disturb(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (d *demonstration) disturb(ctx context.Context) {
	var serving rsp.PEID // the first session
	r := reader{history: d.history}
	for d.killed < 2 {
		events, err := r.read(ctx)
		if err != nil {
			return
		}
		for _, e := range events {
			if e.tile == 0 && e.pe != 0 {
				serving = e.pe
			}
			endpoint := d.endpoints[serving]
			if e.kind != eventPoints || endpoint == nil || e.picture.done() < float64(d.killed+1)/3 {
				continue
			}
			d.history.add(event{kind: eventDead, picture: e.picture, pe: serving})
			delete(d.endpoints, serving)
			d.killed++
			endpoint.Abort()
		}
	}
}

// compare computes the picture again, undisturbed, and tells whether it is the same.
func (d *demonstration) compare(ctx context.Context, c *client, p *picture) error {
	const pool = "UndisturbedPool"
	if err := d.startServer(ctx, pool, "Dora", 0); err != nil {
		return err
	}
	undisturbed := *c
	undisturbed.pool, undisturbed.history = pool, newHistory()
	q, err := undisturbed.compute(ctx, "the same picture, undisturbed", p.parameter)
	if err != nil {
		return err
	}
	if n := p.differ(q); n > 0 {
		err = fmt.Errorf("%d of %d pixels differ from those of an undisturbed run", n, len(p.values))
		d.history.add(event{kind: eventNote, text: err.Error()})
		return err
	}
	d.history.add(event{kind: eventNote, text: fmt.Sprintf(
		"compared with an undisturbed run: the same picture to the last of %d pixels", len(p.values))})
	return nil
}

func (d *demonstration) close() {
	for _, stop := range d.stop {
		stop()
	}
	d.servers.Wait()
	var errs []error
	for _, e := range d.endpoints {
		errs = append(errs, e.Close())
	}
	if d.registrar != nil {
		errs = append(errs, d.registrar.Shutdown(context.Background()))
	}
	if err := errors.Join(errs...); err != nil {
		d.history.add(event{kind: eventNote, text: "at the end: " + err.Error()})
	}
}
