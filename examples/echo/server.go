package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/rserpool/rsp"
)

// serve answers the sessions of a pool element until it is closed or ctx ends.
func serve(ctx context.Context, listener *rsp.Socket) error {
	for {
		session, err := listener.AcceptSocket(ctx)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		go echo(ctx, session, listener.LocalPE())
	}
}

// echo returns each message to where it came from, then gives the client a cookie that says
// how far this session has come. When this server is lost, the client shows the cookie to
// the next one, which goes on counting there.
func echo(ctx context.Context, session *rsp.Socket, me rsp.PEID) {
	defer session.Close()
	answered := 0
	buf := make([]byte, 64<<10)
	for {
		n, info, err := session.RecvFullMsg(ctx, buf)
		if err != nil {
			return // the client has closed, or is lost
		}
		if info.CookieEcho {
			fmt.Sscanf(string(buf[:n]), "%d answered", &answered)
			continue
		}
		if err := session.SendMsg(ctx, buf[:n], rsp.MsgInfo{PPID: info.PPID, Stream: info.Stream}); err != nil {
			return
		}
		answered++
		if err := session.SendCookie(ctx, fmt.Appendf(nil, "%d answered, the last by PE %v", answered, me)); err != nil {
			return
		}
	}
}
