package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"sync"

	"github.com/rserpool/rsp"
)

// servers are the pool elements. Each has an Endpoint of its own, as if it were a program of its
// own, so that it can die alone.
type servers struct {
	out       *log.Logger
	endpoints []*rsp.Endpoint
	serving   sync.WaitGroup
	death     sync.Once
}

func (s *servers) start(ctx context.Context, cfg rsp.Config, name string) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	s.endpoints = append(s.endpoints, e)
	listener, err := e.Listen(ctx, pool, rsp.PE{})
	if err != nil {
		return err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == fatal {
			s.death.Do(func() {
				s.out.Printf("%s dies while she answers %s %s", name, r.Method, r.URL)
				e.Abort()
			})
		}
		fmt.Fprint(w, name) // nobody hears it from one who is dead
	})
	s.serving.Go(func() { http.Serve(listener, handler) }) // until its Endpoint ends
	s.out.Printf("%s serves %v", name, listener.Addr())
	return nil
}

func (s *servers) close() {
	for _, e := range s.endpoints {
		e.Close()
	}
	s.serving.Wait()
}
