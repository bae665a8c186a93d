package rsp_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// "each request is answered as long as the session lasts, once, and in order", on real transports, too, with long
// messages that are read in pieces.
func TestResendOverNetworks(t *testing.T) {
	for _, network := range []rsp.Network{rsp.InMemory, rsp.TCPMapping} {
		t.Run(network.String(), func(t *testing.T) { resendOver(t, network, 2000, 6_000) })
	}
}

func TestResendKernelSCTP(t *testing.T) {
	lab.Run(t, func(t *testing.T) { resendOver(t, rsp.KernelSCTP, 500, 20_000) })
}

// resendOver sends requests of up to 10 * longest bytes without waiting, and ends the pool element after each tenth
// of the answers.
func resendOver(t *testing.T, network rsp.Network, requests, longest int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err == nil {
		err = registrar.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registrar.Abort)
	cfg := rsp.Config{Registrars: registrar.Addrs(), Network: network, Announce: "off"}
	elements := make(map[rsp.PEID]*rsp.Endpoint)
	startPE := func() {
		id := rsp.PEID(len(elements) + 1)
		elements[id] = newEndpoint(t, cfg)
		listener, err := elements[id].Listen(ctx, "EchoPool", rsp.PE{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		go (&testPE{socket: listener, got: make(chan string, requests)}).serve()
	}
	startPE()
	dialer := rsp.Dialer{Endpoint: newEndpoint(t, cfg), Resend: &rsp.Resend{MaxBytes: 3 << 20}}
	session, err := dialer.Connect(ctx, "EchoPool")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := range requests {
			if err := session.SendMsg(ctx, longRequest(i, longest), rsp.MsgInfo{Stream: 1}); err != nil {
				t.Errorf("request %d: %v", i, err)
				cancel()
				return
			}
		}
	}()
	buf := make([]byte, 10_000)
	for i := range requests {
		if i%(requests/10) == requests/20 {
			startPE()
			elements[session.PeerPE()].Abort()
		}
		var reply []byte
		for eor := false; !eor; {
			n, info, err := session.RecvMsg(ctx, buf)
			if err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
			reply, eor = append(reply, buf[:n]...), info.EOR
		}
		if want := longRequest(i, longest); !bytes.Equal(reply, want) {
			t.Fatalf("answer %d has %d bytes (%.10q...), want %d (%.10q...)", i, len(reply), reply, len(want), want)
		}
	}
	if session.PeerPE() == 1 {
		t.Error("there was no failover")
	}
}

func newEndpoint(t *testing.T, cfg rsp.Config) *rsp.Endpoint {
	t.Helper()
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	return e
}

// longRequest is the i-th request, of 10 to 10 * longest bytes.
func longRequest(i, longest int) []byte {
	text := fmt.Appendf(nil, "%9d ", i)
	if i%3 == 0 {
		text = bytes.Repeat(text, 1+i*7919%longest)
	}
	return text
}
