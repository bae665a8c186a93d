package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// matrixDir is told to the test in the guest by the one outside.
var matrixDir = flag.String("matrix.dir", "", "`directory` of the programs and of the captures (TestMatrix sets it)")

// matrix is what registrars, servers and clients of both makers do together.
var matrix = []struct {
	name     string
	protocol string // by which tshark knows the service's messages; "": the service has none
	run      func(c *cell)
}{
	{"echo", "", (*cell).echo},
	{"discard", "", (*cell).discard},
	{"daytime", "", (*cell).daytime},
	{"chargen", "", (*cell).chargen},
	{"pingpong", "pingpongprotocol", (*cell).pingPong},
	{"pingpong, failover after 3", "pingpongprotocol", (*cell).pingPongFailover},
	{"calcapp, server killed", "calcappprotocol", (*cell).calcApp},
	{"fractal, server killed", "fractalgeneratorprotocol", (*cell).fractal},
	{"scripting", "ssp", (*cell).scripting},
}

// Each service, with each mix of our and RSPLIB's registrar, server and client: the programs, as users start them. The table
// says what came out. tshark then reads a capture of each service.
func TestMatrix(t *testing.T) {
	outside := !lab.Inside()
	if outside {
		buildPrograms(t)
	}
	lab.Run(t, testMatrix)
	if outside {
		readRecordings(t)
	}
}

// buildPrograms builds ours outside of the guest, which is slow.
func buildPrograms(t *testing.T) {
	t.Helper()
	for _, needed := range []struct{ program, debianPackage string }{
		{"linux.uml", "user-mode-linux"}, {"go", "golang-go"}, {"dumpcap", "wireshark-common"}, {"tshark", "tshark"},
	} {
		lab.Need(t, needed.program, needed.debianPackage)
	}
	dir := t.TempDir()
	const module = "github.com/rserpool/rsp/"
	args := []string{"build", "-o", dir + "/", module + "cmd/rspregistrar"}
	for _, name := range []string{"rspserver", "rspterminal", "pingpongclient", "calcappclient", "fractalpooluser", "scriptingclient"} {
		args = append(args, module+"examples/"+name)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if err := flag.Set("matrix.dir", dir); err != nil {
		t.Fatal(err)
	}
}

type maker int

const (
	ours maker = iota
	rsplib
)

func (m maker) String() string { return [...]string{"ours", "RSPLIB"}[m] }

// command runs a program of the maker's.
func (m maker) command(t *testing.T, program string, args ...string) *exec.Cmd {
	if m == rsplib {
		return lab.RSPLIB(t, program, args...)
	}
	return exec.Command(filepath.Join(*matrixDir, program), args...)
}

// mix is who has made what.
type mix struct{ registrar, server, client maker }

func (m mix) String() string {
	return fmt.Sprintf("registrar=%v,server=%v,client=%v", m.registrar, m.server, m.client)
}

// mixes are all there are.
func mixes() (all []mix) {
	for number := range maker(8) {
		all = append(all, mix{number >> 2 & 1, number >> 1 & 1, number & 1})
	}
	return all
}

func testMatrix(t *testing.T) {
	if *matrixDir == "" {
		t.Fatal("without -matrix.dir, the programs, which the test outside builds")
	}
	scopes := []*scope{startScope(t, ours), startScope(t, rsplib)}
	results, picture := &results{}, &image.RGBA{}
	defer func() { results.print(t.Output()) }()
	for number, service := range matrix {
		t.Run(service.name, func(t *testing.T) {
			recording := startRecording(t, recordingFile(number))
			for i, m := range mixes() {
				t.Run(m.String(), func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					c := &cell{T: t, ctx: ctx, mix: m, scope: scopes[m.registrar], recording: recording, picture: picture, pool: fmt.Sprintf("pool-%d-%d", number, i)}
					defer func() { results.add(number, i, c) }()
					service.run(c)
				})
			}
			recording.stop(t)
		})
	}
}

// scope is an operation scope, of one registrar.
type scope struct {
	address string
	watcher *rsp.Endpoint // knows from the registrar what is registered
}

// startScope starts a registrar where RSPLIB's programs find it, who refuse loopback addresses.
func startScope(t *testing.T, m maker) *scope {
	t.Helper()
	s := &scope{address: fmt.Sprintf("192.168.77.1:%d", 4000+10*m)}
	lab.Start(t, m.command(t, "rspregistrar", "-asap="+s.address, "-asapannounce=off",
		fmt.Sprintf("-enrp=192.168.77.1:%d", 4001+10*m), "-enrpannounce=off"))
	var err error
	if s.watcher, err = rsp.NewEndpoint(&rsp.Config{Registrars: []string{s.address}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.watcher.Abort)
	return s
}

// cell is one service with one mix.
type cell struct {
	*testing.T
	ctx context.Context
	mix
	scope     *scope
	recording *recording
	pool      string      // this cell's own
	picture   *image.RGBA // of fractal with the first mix; empty before
	notRun    string      // why the cell says nothing
}

func (c *cell) libraryArgs(args ...string) []string {
	return append([]string{"-registrar=" + c.scope.address, "-asapannounce=off", "-poolhandle=" + c.pool}, args...)
}

// startServer starts a server, and waits until it is registered.
func (c *cell) startServer(id rsp.PEID, args ...string) *lab.Process {
	c.Helper()
	p := lab.Start(c.T, c.server.command(c.T, "rspserver", c.libraryArgs(append(args, fmt.Sprintf("-identifier=%d", uint32(id)))...)...))
	p.Expect(c.ctx, c, "Identifier")
	c.wait(fmt.Sprintf("PE %v to be registered", id), func() bool {
		r, err := c.scope.watcher.Resolve(c.ctx, rsp.PoolHandle(c.pool), rsp.AllElements)
		return err == nil && slices.ContainsFunc(r.Elements, func(e rsp.Element) bool { return e.ID == id })
	})
	return p
}

func (c *cell) startClient(program string, args ...string) *lab.Process {
	c.Helper()
	return lab.Start(c.T, c.client.command(c.T, program, c.libraryArgs(args...)...))
}

// wait waits for what nobody tells.
func (c *cell) wait(what string, until func() bool) {
	c.Helper()
	for tick := time.NewTicker(20 * time.Millisecond); !until(); {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			c.Fatalf("waiting for %s: %v", what, c.ctx.Err())
		}
	}
}

// results are those of the cells, by service and mix.
type results struct {
	cells map[[2]int]string
	notes []string // why cells were not run
}

func (r *results) add(service, mix int, c *cell) {
	if r.cells == nil {
		r.cells = map[[2]int]string{}
	}
	result := "ok"
	switch {
	case c.Failed():
		result = "FAILED"
	case c.Skipped():
		result = "skipped"
	case c.notRun != "":
		note := slices.Index(r.notes, c.notRun)
		if note < 0 {
			note = len(r.notes)
			r.notes = append(r.notes, c.notRun)
		}
		result = fmt.Sprintf("no (%d)", note+1)
	}
	r.cells[[2]int{service, mix}] = result
}

// print prints the table.
func (r *results) print(w io.Writer) {
	var b bytes.Buffer
	line := func(title string, column func(i int, m mix) string) {
		fmt.Fprintf(&b, "%-28s", title)
		for i, m := range mixes() {
			fmt.Fprintf(&b, "%-8s", column(i, m))
		}
		b.Truncate(len(bytes.TrimRight(b.Bytes(), " ")))
		b.WriteByte('\n')
	}
	line("registrar", func(_ int, m mix) string { return m.registrar.String() })
	line("server", func(_ int, m mix) string { return m.server.String() })
	line("client", func(_ int, m mix) string { return m.client.String() })
	for number, service := range matrix {
		line(service.name, func(i int, _ mix) string {
			if result := r.cells[[2]int{number, i}]; result != "" {
				return result
			}
			return "-"
		})
	}
	for number, note := range r.notes {
		fmt.Fprintf(&b, "(%d) not run: %s\n", number+1, note)
	}
	_, _ = b.WriteTo(w)
}
