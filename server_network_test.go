package rsp_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// What the tests of serving want in memory holds on real transports: an answer and the last cookie arrive,
// also when there are requests that the server has not read as it ends the session.
func TestServing(t *testing.T) {
	for _, network := range []rsp.Network{rsp.InMemory, rsp.TCPMapping} {
		t.Run(network.String(), func(t *testing.T) { testServing(t, network) })
	}
}

func TestServingKernelSCTP(t *testing.T) {
	lab.Run(t, func(t *testing.T) { testServing(t, rsp.KernelSCTP) })
}

func testServing(t *testing.T, network rsp.Network) {
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err == nil {
		err = registrar.Start(ctx())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer registrar.Shutdown(ctx())
	cfg := rsp.Config{Registrars: registrar.Addrs(), Network: network}
	t.Run("Shutdown", func(t *testing.T) { testShutdown(t, cfg) })
	t.Run("one to many", func(t *testing.T) { testOneToMany(t, cfg) })
}

func testShutdown(t *testing.T, cfg rsp.Config) {
	a, stopA := realServer(t, cfg, 1)
	defer stopA()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d := rsp.Dialer{Endpoint: e, OnFailover: func(_ context.Context, f *rsp.FailoverEvent) error {
		f.Write([]byte("y"))
		_, err := f.Write([]byte("z"))
		return err
	}}
	session, err := d.Connect(ctx(), "EchoPool")
	if err != nil {
		t.Fatal(err)
	}
	ask(t, session, "x", "x 1", 1)
	_, stopB := realServer(t, cfg, 2)
	defer stopB()
	for _, request := range []string{"slow x", "y", "z"} {
		if _, err := session.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond) // A is busy with the first, and has not read the others
	if err := a.Shutdown(ctx()); err != nil {
		t.Error(err)
	}
	wantMsg(t, session, "x 2", 1)
	wantMsg(t, session, "y 3", 2)
	wantMsg(t, session, "z 4", 2)
}

// realServer starts a Server that counts in an Endpoint of its own; stop ends both.
func realServer(t *testing.T, cfg rsp.Config, id rsp.PEID) (srv *rsp.Server, stop func()) {
	t.Helper()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := e.Listen(ctx(), "EchoPool", rsp.PE{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	srv = &rsp.Server{Handler: countingEcho}
	served := make(chan error)
	go func() { served <- srv.Serve(ctx(), listener) }()
	return srv, func() {
		srv.Close()
		<-served
		e.Close()
	}
}

func testOneToMany(t *testing.T, cfg rsp.Config) {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	listener, err := e.Listen(ctx(), "ManyPool", rsp.PE{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		echoMany(listener)
	}()
	var clients sync.WaitGroup
	for client := range 20 {
		clients.Go(func() {
			session, err := e.Connect(ctx(), "ManyPool")
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			for i := range 50 {
				text := fmt.Sprintf("client %d, message %d", client, i)
				buf := make([]byte, 100)
				if _, err := session.Write([]byte(text)); err != nil {
					t.Error(err)
				}
				if n, err := session.Read(buf); err != nil || string(buf[:n]) != text {
					t.Errorf("%q came back as %q, %v", text, buf[:n], err)
				}
			}
		})
	}
	clients.Wait()
	listener.Close()
	<-served
}
