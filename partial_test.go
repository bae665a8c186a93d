package rsp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// "If the pool element is lost after a part and without the rest, the error is io.ErrUnexpectedEOF, once;
// then the session goes on with the next message." Only kernel SCTP hands out a message before it has
// come to its end, when it is longer than the receive buffer.
func TestLossAmidMessage(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		m := mix{port: 5100}
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: m.registrarAddr()})
		if err == nil {
			err = r.Start(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Abort)
		long := bytes.Repeat([]byte("long "), 80_000)
		first := longWinded(ctx, t, m, 1, long)
		session, err := m.endpoint(t, "client").Connect(ctx, "EchoPool")
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		buf := make([]byte, len(long))
		n, info, err := session.RecvMsg(ctx, buf[:100])
		if n != 100 || info.EOR || err != nil {
			t.Fatalf("received %d bytes, %+v, %v", n, info, err)
		}
		longWinded(ctx, t, m, 2, []byte("short"))
		first.Abort()
		if n, _, err = session.RecvFullMsg(ctx, buf); !errors.Is(err, io.ErrUnexpectedEOF) || n == 0 || n >= len(long) {
			t.Errorf("received %d bytes, %v; want some and an unexpected end", n, err)
		}
		if n, info, err = session.RecvFullMsg(ctx, buf); string(buf[:n]) != "short" || info.PE != 2 || err != nil {
			t.Errorf("received %d bytes from PE %v, %v", n, info.PE, err)
		}
	})
}

// longWinded starts a pool element that greets each client with a message.
func longWinded(ctx context.Context, t *testing.T, m mix, id rsp.PEID, greeting []byte) *rsp.Endpoint {
	t.Helper()
	e := m.endpoint(t, "server")
	listener, err := e.Listen(ctx, "EchoPool", rsp.PE{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			session, err := listener.AcceptSocket(ctx)
			if err != nil {
				return
			}
			go session.SendMsg(ctx, greeting, rsp.MsgInfo{}) // it waits as long as the client does not read
		}
	}()
	return e
}
