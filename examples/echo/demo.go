package main

import (
	"context"
	"fmt"

	"github.com/rserpool/rsp"
)

// demo runs everything in one process. Each server has an Endpoint of its own, as if it
// were a program of its own, so that it can be taken away alone.
func demo(ctx context.Context, cfg rsp.Config, c *client) error {
	d := &actors{cfg: cfg, client: c, endpoints: make(map[rsp.PEID]*rsp.Endpoint)}
	defer d.close()
	// The second registrar knows the first one, and so both know each other.
	for range 2 {
		if err := d.addRegistrar(ctx); err != nil {
			return err
		}
	}
	for _, name := range []string{"Anna", "Berta", "Carla"} {
		if err := d.join(ctx, name); err != nil {
			return err
		}
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	c.sent = func(line int, session *rsp.Socket) { d.disturb(ctx, line, session) }
	if err := runClient(ctx, d.cfg, c); err != nil {
		return err
	}
	if d.killed != 3 || c.failovers != 3 {
		return fmt.Errorf("%d servers were taken away, and the client failed over %d times: want 3 and 3", d.killed, c.failovers)
	}
	return nil
}

// actors are the registrars and servers of the demo.
type actors struct {
	cfg        rsp.Config
	client     *client
	registrars []*rsp.Registrar
	endpoints  map[rsp.PEID]*rsp.Endpoint
	killed     int // servers
}

// addRegistrar starts a registrar, which takes over what the others know.
func (d *actors) addRegistrar(ctx context.Context) error {
	cfg := rsp.RegistrarConfig{Address: "127.0.0.1:0", Logger: d.cfg.Logger}
	for _, peer := range d.registrars {
		cfg.Peers = append(cfg.Peers, peer.PeerAddr())
	}
	r, err := rsp.NewRegistrar(&cfg)
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	d.registrars = append(d.registrars, r)
	d.cfg.Registrars = append(d.cfg.Registrars, r.Addrs()...)
	d.client.timeline.printf("registrar %v serves at %v", r.ID(), r.Addrs())
	return nil
}

// join starts a server.
func (d *actors) join(ctx context.Context, name string) error {
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

// settle waits until both registrars know all servers: in their first milliseconds they do not know each other yet, and
// the client may ask the one that has no server.
func (d *actors) settle(ctx context.Context) error {
	for _, r := range d.registrars {
		known := make(map[rsp.PEID]bool)
		for change, err := range r.Watch(ctx) {
			if err != nil {
				return err
			}
			if known[change.Element.ID] = true; len(known) == len(d.endpoints) {
				break
			}
		}
	}
	return nil
}

// disturb takes the serving PE away after each quarter of the lines, and in between the first
// registrar; then a new server joins, at the other registrar.
func (d *actors) disturb(ctx context.Context, line int, session *rsp.Socket) {
	switch line {
	case d.client.lines / 4, d.client.lines / 2, d.client.lines * 3 / 4:
		id := session.PeerPE()
		d.client.timeline.kills(id, line)
		d.endpoints[id].Abort()
		delete(d.endpoints, id)
		d.killed++
	case d.client.lines * 3 / 8:
		d.client.timeline.printf("registrar %v is taken away; its servers have the other one now", d.registrars[0].ID())
		d.registrars[0].Abort()
	case d.client.lines * 5 / 8:
		if err := d.join(ctx, "Dora"); err != nil {
			d.client.timeline.printf("Dora cannot join: %v", err)
		}
	}
}

func (d *actors) close() {
	for _, e := range d.endpoints {
		e.Close()
	}
	for _, r := range d.registrars {
		r.Shutdown(context.Background())
	}
}
