package main

import (
	"context"
	"log"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rserpool/rsp"
)

// servers are the pool elements. Each has an Endpoint of its own, as if it were a program of its
// own, so that it can die alone.
type servers struct {
	out     *log.Logger
	byName  map[string]*server
	serving sync.WaitGroup
	death   sync.Once
}

type server struct {
	name     string
	endpoint *rsp.Endpoint
	grpc     *grpc.Server
	others   *servers
}

func (s *servers) start(ctx context.Context, cfg rsp.Config, name string) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	listener, err := e.Listen(ctx, pool, rsp.PE{})
	if err != nil {
		e.Close()
		return err
	}
	one := &server{name: name, endpoint: e, grpc: grpc.NewServer(), others: s}
	one.grpc.RegisterService(&greeter, one)
	s.byName[name] = one
	s.serving.Go(func() { one.grpc.Serve(listener) }) // until it is stopped, or dies
	return nil
}

// leave takes a server out of service, as for an update: GracefulStop closes the listener, which
// deregisters the pool element, tells the clients to go elsewhere, and waits for the calls under way.
func (s *servers) leave(name string) {
	s.byName[name].grpc.GracefulStop()
	s.out.Printf("%s has left", name)
}

func (s *servers) close() {
	for _, one := range s.byName {
		one.grpc.Stop()
		one.endpoint.Close()
	}
	s.serving.Wait()
}

// greeter is a service as protoc-gen-go-grpc would write it, of messages that protobuf has already: the
// example needs no protoc.
var greeter = grpc.ServiceDesc{
	ServiceName: "rsp.example.Greeter",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Greet",
		Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var n wrapperspb.Int64Value
			if err := decode(&n); err != nil {
				return nil, err
			}
			return wrapperspb.String(srv.(*server).greet(n.Value)), nil
		},
	}},
}

func (s *server) greet(n int64) string {
	if n == fatal {
		s.others.death.Do(func() {
			s.others.out.Printf("%s dies while she answers call %d", s.name, n)
			s.endpoint.Abort() // nobody hears her answer
		})
	}
	return s.name
}
