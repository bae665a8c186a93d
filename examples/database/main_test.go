package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"errors"
	"io"
	"log"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What may be done twice is answered though the server dies; what may not is done once, and said to be
// unanswered if that is so.
func TestDatabase(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), io.MultiWriter(&out, t.Output())); err != nil {
		t.Fatal(err)
	}
	story := regexp.MustCompile(`^session: \[SELECT 7\]: OK
session: \[SET city Essen\]: OK
(\w+) dies while she answers GET
session: \[GET city\]: Essen
(\w+) dies while she answers INCR
session: \[INCR visits\]: not answered, and not sent again: it may have been done
session: \[GET visits\]: 1
database/sql: INCR visitors: 1
(\w+) dies while nobody asks her
database/sql: INCR visitors: 2
(\w+) dies while she answers GET
database/sql: GET visitors: 2
$`)
	if !story.Match(out.Bytes()) {
		t.Errorf("the output is not %v", story)
	}
}

// database/sql tells what it must not repeat, and that there is no value.
func TestSQLErrors(t *testing.T) {
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err != nil {
		t.Fatal(err)
	}
	if err := registrar.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer registrar.Shutdown(t.Context())
	cfg := rsp.Config{Registrars: registrar.Addrs(), Network: network}
	servers := newServers(log.New(t.Output(), "", 0))
	defer servers.close()
	for _, name := range []string{"Anna", "Berta"} {
		if err := servers.start(t.Context(), cfg, name); err != nil {
			t.Fatal(err)
		}
	}
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d := rsp.Dialer{Endpoint: e, Failover: rsp.FailoverNone}
	db := sql.OpenDB(connector{sqlDriver{d.DialContext}, pool})
	defer db.Close()

	var reply string
	if err := db.QueryRow("GET", "nothing").Scan(&reply); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("GET of nothing: %v, want sql.ErrNoRows", err)
	}
	if err := db.QueryRow("JUMP").Scan(&reply); !errors.As(err, new(replyError)) {
		t.Errorf("JUMP: %v, want the server's error", err)
	}
	servers.dieOf("INCR")
	if err := db.QueryRow("INCR", "visits").Scan(&reply); !errors.Is(err, rsp.ErrAborted) {
		t.Errorf("INCR at a server that dies: %v, want ErrAborted", err)
	}
	if err := db.QueryRow("GET", "visits").Scan(&reply); err != nil || reply != "1" {
		t.Errorf("GET: %q, %v; want what the unanswered INCR has done, 1", reply, err)
	}
}

// What comes from a client that is no client of ours ends its session, and costs no memory.
func TestBadCommands(t *testing.T) {
	for _, text := range []string{
		"", "\r\n", "PING\r\n", "*0\r\n", "*1\r\n", "*-1\r\n", "*17\r\n", "*1\r\n:1\r\n", "*1\r\n$5\r\nPI",
		"*1\r\n$99999999\r\nPING\r\n", "*1\n$4\nPING\n", "*" + strings.Repeat("1", 5000),
	} {
		if args, err := readCommand(bufio.NewReader(strings.NewReader(text))); err == nil {
			t.Errorf("%.20q is %q", text, args)
		}
	}
}
