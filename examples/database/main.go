// Database shows two kinds of database clients on a pool: one that keeps a session of its own, as Redis
// clients do, and database/sql with its pool of connections. A registrar, five servers with one store and both
// clients run in one process, and servers die at the worst moments:
//
//	go run ./examples/database
//
// Real drivers take a Dialer's DialContext at the same place as the one in sql.go:
//
//	go-redis:  redis.Options{Addr: "DataPool:0", Dialer: dialer.DialContext}
//	pgx:       config.DialFunc = dialer.DialContext, and a config.LookupFunc that returns the host as it is
//	mysql:     mysql.RegisterDialContext("rsp", ...), then "user@rsp(DataPool)/db"
//
// if what they reach listens by package rsp, such as a proxy beside the database. A database that has none becomes
// a pool element in basic mode: rsp.Endpoint.RegisterElement on its machine; the client's dialer is then net.Dial
// to what Resolve gives.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/rserpool/rsp"
)

const (
	pool    = "DataPool"
	network = rsp.TCPMapping // works everywhere; without it SCTP is used where the kernel has it
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "database:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer) error {
	out := log.New(w, "", 0) // which several goroutines may use
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err != nil {
		return err
	}
	if err := registrar.Start(ctx); err != nil {
		return err
	}
	defer registrar.Shutdown(ctx)
	cfg := rsp.Config{Registrars: registrar.Addrs(), Network: network}

	servers := newServers(out)
	defer servers.close()
	for _, name := range []string{"Anna", "Berta", "Carla", "Dora", "Emma"} {
		if err := servers.start(ctx, cfg, name); err != nil {
			return err
		}
	}
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := redisStyle(ctx, e, servers, out); err != nil {
		return err
	}
	return sqlStyle(ctx, e, servers, out)
}

// redisStyle is a client whose session goes on with the next server, in the database that was
// selected.
func redisStyle(ctx context.Context, e *rsp.Endpoint, servers *servers, out *log.Logger) error {
	c, err := connect(ctx, e)
	if err != nil {
		return err
	}
	defer c.session.Close()
	do := func(args ...string) {
		reply, doErr := c.do(ctx, args...)
		switch {
		case errors.Is(doErr, errUnanswered):
			reply = doErr.Error()
		case doErr != nil && err == nil:
			err = fmt.Errorf("%v: %w", args, doErr)
		}
		out.Printf("session: %v: %s", args, reply)
	}
	do("SELECT", "7")
	do("SET", "city", "Essen")
	servers.dieOf("GET")
	do("GET", "city")
	servers.dieOf("INCR")
	do("INCR", "visits")
	do("GET", "visits")
	return err
}

// sqlStyle is a client of database/sql, which opens connections as it needs them.
func sqlStyle(ctx context.Context, e *rsp.Endpoint, servers *servers, out *log.Logger) error {
	// A connection of database/sql has an end, after which it opens another one: no failover.
	d := rsp.Dialer{Endpoint: e, Failover: rsp.FailoverNone}
	db := sql.OpenDB(connector{sqlDriver{d.DialContext}, pool})
	defer db.Close()
	var err error
	do := func(command string, args ...any) (reply string) {
		if rowErr := db.QueryRowContext(ctx, command, args...).Scan(&reply); rowErr != nil && err == nil {
			err = fmt.Errorf("%s %v: %w", command, args, rowErr)
		}
		return reply
	}
	out.Printf("database/sql: INCR visitors: %s", do("INCR", "visitors"))
	servers.kill(do("NAME"), "while nobody asks her")
	out.Printf("database/sql: INCR visitors: %s", do("INCR", "visitors"))
	servers.dieOf("GET")
	out.Printf("database/sql: GET visitors: %s", do("GET", "visitors"))
	return err
}
