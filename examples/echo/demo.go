package main

import (
	"context"
	"fmt"

	"github.com/rserpool/rsp"
)

// demo runs everything in one process. Each server has an Endpoint of its own, as if it
// were a program of its own, so that it can be taken away alone.
func demo(ctx context.Context, cfg rsp.Config, c *client) error {
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Logger: cfg.Logger})
	if err != nil {
		return err
	}
	if err := registrar.Start(ctx); err != nil {
		return err
	}
	defer registrar.Shutdown(context.Background())
	cfg.Registrars = registrar.Addrs()
	c.timeline.printf("registrar %v serves at %v", registrar.ID(), registrar.Addrs())

	d := &servers{cfg: cfg, client: c, endpoints: make(map[rsp.PEID]*rsp.Endpoint)}
	defer d.close()
	for _, name := range []string{"Anna", "Berta", "Carla"} {
		if err := d.join(ctx, name); err != nil {
			return err
		}
	}
	c.sent = func(line int, session *rsp.Socket) { d.disturb(ctx, line, session) }
	if err := runClient(ctx, cfg, c); err != nil {
		return err
	}
	if d.killed != 3 || c.failovers != 3 {
		return fmt.Errorf("%d servers were taken away, and the client failed over %d times: want 3 and 3", d.killed, c.failovers)
	}
	return nil
}

// servers are those of the demo.
type servers struct {
	cfg       rsp.Config
	client    *client
	endpoints map[rsp.PEID]*rsp.Endpoint
	killed    int
}

// join starts a server.
func (d *servers) join(ctx context.Context, name string) error {
	e, err := rsp.NewEndpoint(&d.cfg)
	if err != nil {
		return err
	}
	listener, err := e.Listen(ctx, d.client.pool, rsp.PE{})
	if err != nil {
		e.Close()
		return err
	}
	d.endpoints[listener.LocalPE()] = e
	d.client.timeline.joins(name, listener.LocalPE())
	go serve(ctx, listener)
	return nil
}

// disturb takes the serving PE away after each quarter of the lines, and lets a new one join
// in between.
func (d *servers) disturb(ctx context.Context, line int, session *rsp.Socket) {
	switch line {
	case d.client.lines / 4, d.client.lines / 2, d.client.lines * 3 / 4:
		id := session.PeerPE()
		d.client.timeline.kills(id, line)
		d.endpoints[id].Abort()
		delete(d.endpoints, id)
		d.killed++
	case d.client.lines * 5 / 8:
		if err := d.join(ctx, "Dora"); err != nil {
			d.client.timeline.printf("Dora cannot join: %v", err)
		}
	}
}

func (d *servers) close() {
	for _, e := range d.endpoints {
		e.Close()
	}
}
