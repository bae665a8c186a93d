package main

import (
	"bufio"
	"context"
	"io"
	"log"
	"strconv"
	"sync"

	"github.com/rserpool/rsp"
)

// servers are the pool elements. Each has an Endpoint of its own, as if it were a program of its
// own, so that it can die alone. They have one store, as servers have that replicate theirs.
type servers struct {
	out       *log.Logger
	endpoints map[string]*rsp.Endpoint // by name
	serving   sync.WaitGroup

	mu     sync.Mutex
	values map[key]string
	fatal  string // whoever gets this command next dies of it
}

type key struct {
	database int
	name     string
}

func newServers(out *log.Logger) *servers {
	return &servers{out: out, endpoints: make(map[string]*rsp.Endpoint), values: make(map[key]string)}
}

func (s *servers) start(ctx context.Context, cfg rsp.Config, name string) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	s.endpoints[name] = e
	listener, err := e.Listen(ctx, pool, rsp.PE{})
	if err != nil {
		return err
	}
	s.serving.Go(func() {
		for {
			session, err := listener.AcceptSocket(context.Background())
			if err != nil {
				return // its Endpoint has ended
			}
			s.serving.Go(func() { s.serve(session, name) })
		}
	})
	return nil
}

// serve answers the commands of one session. Which database the client has selected is the
// session's state: it goes into the cookie, before the answer, so that who has the answer has the cookie.
func (s *servers) serve(session *rsp.Socket, name string) {
	defer session.Close()
	r := bufio.NewReader(session)
	database := 0
	for first := true; ; first = false {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		if cookie := session.CookieEcho(); first && cookie != nil {
			if database, err = strconv.Atoi(string(cookie)); err != nil {
				return
			}
		}
		selected := database
		reply := s.do(&selected, name, args)
		if s.died(args[0]) {
			s.kill(name, "while she answers "+args[0])
		}
		if selected != database {
			database = selected
			if err := session.SendCookie(context.Background(), strconv.AppendInt(nil, int64(database), 10)); err != nil {
				return
			}
		}
		if _, err := io.WriteString(session, reply); err != nil {
			return
		}
	}
}

// do carries a command out.
func (s *servers) do(database *int, name string, args []string) (reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case args[0] == "PING" && len(args) == 1:
		return "+PONG\r\n"
	case args[0] == "NAME" && len(args) == 1:
		return bulk(name)
	case args[0] == "SELECT" && len(args) == 2:
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return "-ERR not a number\r\n"
		}
		*database = n
		return "+OK\r\n"
	case args[0] == "SET" && len(args) == 3:
		s.values[key{*database, args[1]}] = args[2]
		return "+OK\r\n"
	case args[0] == "GET" && len(args) == 2:
		value, ok := s.values[key{*database, args[1]}]
		if !ok {
			return "$-1\r\n"
		}
		return bulk(value)
	case args[0] == "INCR" && len(args) == 2:
		k := key{*database, args[1]}
		n, _ := strconv.Atoi(s.values[k]) // what is no number counts as 0
		s.values[k] = strconv.Itoa(n + 1)
		return ":" + s.values[k] + "\r\n"
	}
	return "-ERR unknown command\r\n"
}

// dieOf lets the next server that gets this command die between its doing and its answer.
func (s *servers) dieOf(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fatal = command
}

func (s *servers) died(command string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if command != s.fatal {
		return false
	}
	s.fatal = ""
	return true
}

func (s *servers) kill(name, when string) {
	s.out.Printf("%s dies %s", name, when)
	s.endpoints[name].Abort()
}

func (s *servers) close() {
	for _, e := range s.endpoints {
		e.Close()
	}
	s.serving.Wait()
}
