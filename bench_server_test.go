package rsp_test

import (
	"context"
	"testing"

	"github.com/rserpool/rsp"
)

// An echo of 64 bytes, as BenchmarkEcho has it, through each of the ways to serve: a Server with its
// handler's context on each call, without and with a cookie each message, and one Socket for all sessions.
// The library allocates nothing per message.
func BenchmarkServe(b *testing.B) {
	sealer := newSealer(b, "EchoPool", cookieKey(1))
	plan := &rsp.CookiePlan{
		State: func(b []byte) []byte { return append(b, "state of 16 bytes"...) }, Messages: 1, Sealer: sealer,
	}
	for name, serve := range map[string]func(*rsp.Socket){
		"Server":            func(l *rsp.Socket) { (&rsp.Server{Handler: echoMessages(nil)}).Serve(ctx(), l) },
		"Server/KeepCookie": func(l *rsp.Socket) { (&rsp.Server{Handler: echoMessages(plan)}).Serve(ctx(), l) },
		"OneToMany":         echoMany,
	} {
		for _, network := range benchNetworks {
			b.Run(name+"/"+network.String(), func(b *testing.B) {
				e := benchEndpoint(b, benchScope(b, network))
				listener, err := e.Listen(ctx(), "EchoPool", rsp.PE{Policy: rsp.LeastUsed(0)})
				if err != nil {
					b.Fatal(err)
				}
				served := make(chan struct{})
				go func() {
					defer close(served)
					serve(listener)
				}()
				session, err := e.Connect(ctx(), "EchoPool")
				if err != nil {
					b.Fatal(err)
				}
				benchEcho(b, session)
				listener.Close()
				<-served
			})
		}
	}
}

func echoMessages(plan *rsp.CookiePlan) func(context.Context, *rsp.Socket) {
	return func(ctx context.Context, session *rsp.Socket) {
		if plan != nil {
			session.KeepCookie(*plan)
		}
		buf := make([]byte, 1024)
		for {
			n, info, err := session.RecvMsg(ctx, buf)
			if err != nil || session.SendMsg(ctx, buf[:n], info) != nil {
				return
			}
		}
	}
}

func echoMany(listener *rsp.Socket) {
	buf := make([]byte, 1024)
	for {
		n, info, err := listener.RecvMsg(ctx(), buf)
		if err != nil {
			return
		}
		if info.Notification == nil && listener.SendMsg(ctx(), buf[:n], info) != nil {
			return
		}
	}
}
