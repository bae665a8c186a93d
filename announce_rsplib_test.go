package rsp_test

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
	"github.com/rserpool/rsp/internal/transport/mcast"
)

// RSPLIB's registrar at a port of its own choice announces itself by eight bytes whose source is its
// ASAP address, and our PE and PU find it without any configuration.
func TestRSPLIBAnnouncesAreHeard(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		g, err := mcast.Join(mcast.Config{Group: asapAnnounces, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		context.AfterFunc(ctx, func() { g.Close() })
		lab.Start(t, lab.RSPLIB(t, "rspregistrar", "-identifier=0x11111111"))

		b := make([]byte, 100)
		n, from, err := g.Recv(b)
		if err != nil {
			t.Fatal(err)
		}
		if want := []byte{0x0a, 0, 0, 8, 0x11, 0x11, 0x11, 0x11}; !slices.Equal(b[:n], want) {
			t.Errorf("announces %x, want %x", b[:n], want)
		}
		// One datagram comes by each interface, lo among them.
		if from.Addr() != netip.MustParseAddr(labHost) && !from.Addr().IsLoopback() || from.Port() < 10000 {
			t.Errorf("announces from %v", from)
		}

		var ends [2]*rsp.Endpoint
		for i := range ends {
			if ends[i], err = rsp.NewEndpoint(&rsp.Config{Logger: debugLog(t, "endpoint")}); err != nil {
				t.Fatal(err)
			}
			defer ends[i].Close()
		}
		listener, err := ends[0].Listen(ctx, "EchoPool", rsp.PE{ID: 0xa})
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		r, err := ends[1].Resolve(ctx, "EchoPool", 1)
		if err != nil {
			t.Fatal(err)
		}
		if r.Elements[0].ID != 0xa || r.Elements[0].Registrar != 0x11111111 {
			t.Errorf("resolution gives %+v", r.Elements)
		}
	})
}

// RSPLIB's server finds our registrar by our announces.
func TestRSPLIBHearsAnnounces(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: labHost + ":4711", Announce: "auto", Logger: testLog(t, "registrar")})
		if err == nil {
			err = r.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Shutdown(context.Background())
		p := lab.Start(t, lab.RSPLIB(t, "rspserver", "-echo", "-identifier=0xa"))
		for giveUp := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if pools := r.Pools(); len(pools) == 1 && pools[0].Elements[0].ID == 0xa {
				return
			}
			if time.Now().After(giveUp) {
				t.Fatalf("rspserver has not registered:\n%s", p.Output())
			}
		}
	})
}
