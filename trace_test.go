package rsp_test

import (
	"context"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

// "called for each message that comes or goes, ... What it cannot keep up with is left out and
// counted."
func TestTraceMisses(t *testing.T) {
	block, seen := make(chan struct{}), make(chan struct{}, 1)
	var entries, missed int
	var last rsp.TraceEntry
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{
		Address: "127.0.0.1:0", Network: rsp.TCPMapping, Logger: testLog(t, "registrar"),
		Trace: func(e rsp.TraceEntry) {
			select {
			case seen <- struct{}{}:
			default:
			}
			<-block
			entries, missed, last = entries+1, missed+e.Missed, e
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: r.Addrs(), Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	const resolutions = 3000 // of two messages, more than may wait
	for range resolutions {
		if _, err := e.Resolve(ctx, "NoPool", 1); err == nil {
			t.Fatal("NoPool exists")
		}
	}
	<-seen
	close(block)
	for r.Stats(); ; time.Sleep(time.Millisecond) { // until the queue has room again
		if _, err := e.Resolve(ctx, "NoPool", 1); err == nil {
			t.Fatal("NoPool exists")
		}
		if r.Stats().Resolutions > resolutions+20 {
			break
		}
	}
	total := int(2 * r.Stats().Resolutions)
	e.Close()
	if err := r.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if missed == 0 || entries+missed != total {
		t.Errorf("%d entries and %d missed ones of %d", entries, missed, total)
	}
	if !last.Sent || last.Message != "HANDLE_RESOLUTION_RESPONSE" || last.Pool != "NoPool" || last.Cause != 9 {
		t.Errorf("the last one is %+v", last)
	}
}

// Averages are over time: one element of the registrar's own for a part of it.
func TestAverageUsage(t *testing.T) {
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Abort()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: r.Addrs(), Network: rsp.TCPMapping})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if s := r.Stats(); s.AverageElements != 0 || s.Pools != 0 {
		t.Errorf("at first: %+v", s)
	}
	pe, err := e.Listen(ctx, "EchoPool", rsp.PE{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	busy := r.Stats()
	if busy.Pools != 1 || busy.Elements != 1 || busy.OwnedElements != 1 || busy.AverageOwnedElements <= 0 || busy.AverageOwnedElements > 1 {
		t.Errorf("with an element: %+v", busy)
	}
	pe.Close()
	time.Sleep(20 * time.Millisecond)
	if s := r.Stats(); s.Elements != 0 || s.AverageElements <= 0 || s.AverageElements >= busy.AverageElements {
		t.Errorf("%v elements on average with it, %+v afterwards", busy.AverageElements, s)
	}
}
