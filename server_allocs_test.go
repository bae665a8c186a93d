// The race detector has sync.Pool forget at random.
//go:build !race

package rsp_test

import (
	"testing"

	"github.com/rserpool/rsp"
)

// A message that is answered allocates nothing, with the handler's context on each call, a sealed
// cookie before each answer, or one Socket for all sessions.
func TestServingAllocatesNothing(t *testing.T) {
	plan := &rsp.CookiePlan{
		State: func(b []byte) []byte { return append(b, "a state"...) }, Messages: 1,
		Sealer: newSealer(t, "EchoPool", cookieKey(1)),
	}
	for name, serve := range map[string]func(*rsp.Socket){
		"Server":      func(l *rsp.Socket) { (&rsp.Server{Handler: echoMessages(nil)}).Serve(ctx(), l) },
		"cookies":     func(l *rsp.Socket) { (&rsp.Server{Handler: echoMessages(plan)}).Serve(ctx(), l) },
		"one to many": echoMany,
	} {
		t.Run(name, func(t *testing.T) {
			pu, pe, stop, err := servedPipe(serve)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			buf := make([]byte, 64)
			if n := testing.AllocsPerRun(1000, func() {
				if _, err := pu.Write(buf); err != nil {
					t.Fatal(err)
				}
				if _, err := pu.Read(buf); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations for an echo, want 0", n)
			}
			pu.Close()
			pe.Close()
		})
	}
}

// servedPipe is a session in memory with a PE that serve serves.
func servedPipe(serve func(*rsp.Socket)) (pu, pe *rsp.Socket, stop func(), err error) {
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: rsp.InMemory})
	if err != nil {
		return nil, nil, nil, err
	}
	if err := registrar.Start(ctx()); err != nil {
		return nil, nil, nil, err
	}
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: registrar.Addrs(), Network: rsp.InMemory})
	if err != nil {
		return nil, nil, nil, err
	}
	served := make(chan struct{})
	if pe, err = e.Listen(ctx(), "EchoPool", rsp.PE{}); err == nil {
		go func() {
			defer close(served)
			serve(pe)
		}()
		pu, err = e.Connect(ctx(), "EchoPool")
	}
	return pu, pe, func() {
		e.Close()
		<-served
		registrar.Shutdown(ctx())
	}, err
}
