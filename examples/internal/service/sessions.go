package service

import (
	"context"
	"log"
	"sync/atomic"

	"github.com/rserpool/rsp"
)

// Handler serves a session until it returns or ctx ends. The first session has the number 1.
type Handler func(ctx context.Context, session *rsp.Socket, number int)

// Sessions serves any number of sessions until ctx ends, and tells of them as RSPLIB's services do
// that have one socket for all.
func Sessions(ctx context.Context, listener *rsp.Socket, out *log.Logger, handle Handler) error {
	return serve(ctx, listener, 0, func(ctx context.Context, session *rsp.Socket, number int) {
		out.Printf("NOTIFICATION: RSERPOOL_SESSION_CHANGE for session %d, state=RSERPOOL_SESSION_ADD", number)
		defer out.Printf("NOTIFICATION: RSERPOOL_SESSION_CHANGE for session %d, state=RSERPOOL_SESSION_REMOVE", number)
		handle(ctx, session, number)
	})
}

// Threads serves up to limit sessions at the same time until ctx ends, and tells of them as RSPLIB's
// services do that have a thread for each. The load is told by the number of sessions.
func Threads(ctx context.Context, listener *rsp.Socket, limit int, out *log.Logger, handle Handler) error {
	return serve(ctx, listener, limit, func(ctx context.Context, session *rsp.Socket, number int) {
		out.Printf("New thread for RSerPool socket %d.", number)
		defer out.Printf("Thread for RSerPool socket %d has been stopped.", number)
		handle(ctx, session, number)
	})
}

func serve(ctx context.Context, listener *rsp.Socket, limit int, handle Handler) error {
	var number atomic.Int64
	srv := rsp.Server{MaxSessions: limit, Handler: func(ctx context.Context, session *rsp.Socket) {
		handle(ctx, session, int(number.Add(1)))
	}}
	err := srv.Serve(ctx, listener)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
