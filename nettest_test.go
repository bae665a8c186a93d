package rsp_test

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/rserpool/rsp"
)

// A connected Socket is a net.Conn in every respect that package nettest knows.
func TestNetConn(t *testing.T) {
	for _, network := range []rsp.Network{rsp.InMemory, rsp.TCPMapping} {
		t.Run(network.String(), func(t *testing.T) { nettest.TestConn(t, connPipe(network)) })
	}
}

// connPipe makes the two ends of a session: that of the PU, and the accepted one. nettest wants
// io.EOF when the other end closes: no failover.
func connPipe(network rsp.Network) nettest.MakePipe {
	return connPipeBy(network, rsp.Dialer{Failover: rsp.FailoverNone})
}

func connPipeBy(network rsp.Network, d rsp.Dialer) nettest.MakePipe {
	return func() (pu, pe net.Conn, stop func(), err error) {
		registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
		if err != nil {
			return nil, nil, nil, err
		}
		if err := registrar.Start(ctx()); err != nil {
			return nil, nil, nil, err
		}
		e, err := rsp.NewEndpoint(&rsp.Config{Registrars: registrar.Addrs(), Network: network})
		if err != nil {
			return nil, nil, nil, err
		}
		stop = func() {
			e.Close()
			registrar.Shutdown(ctx())
		}
		listener, err := e.Listen(ctx(), "TestPool", rsp.PE{})
		if err != nil {
			stop()
			return nil, nil, nil, err
		}
		accepted := make(chan net.Conn, 1)
		go func() {
			c, _ := listener.Accept()
			accepted <- c
		}()
		d.Endpoint = e
		session, err := d.Connect(ctx(), "TestPool")
		if err != nil {
			stop()
			return nil, nil, nil, err
		}
		return session, <-accepted, stop, nil
	}
}
