package rsp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// labHost is where the parts of these tests meet: RSPLIB refuses loopback addresses.
const labHost = "192.168.77.1"

// mix is one operation scope of which each part is ours or RSPLIB's.
type mix struct {
	registrar, server, client maker
	port                      int
}

type maker bool

const (
	ours   maker = false
	rsplib maker = true
)

func (m maker) String() string { return map[maker]string{ours: "ours", rsplib: "RSPLIB"}[m] }

func (m mix) String() string {
	return fmt.Sprintf("registrar=%v,server=%v,client=%v", m.registrar, m.server, m.client)
}

func (m mix) registrarAddr() string { return fmt.Sprintf("%s:%d", labHost, m.port) }

// libraryArgs are what RSPLIB's servers and clients need to find the registrar.
func (m mix) libraryArgs() []string {
	return []string{"-registrar=" + m.registrarAddr(), "-asapannounce=off"}
}

// Every mix of registrar, servers and client does the same: the client's line comes back
// from a server, which is then killed; its next line comes back from the other one.
func TestMixesWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		port := 4000
		for _, registrar := range []maker{ours, rsplib} {
			for _, server := range []maker{ours, rsplib} {
				for _, client := range []maker{ours, rsplib} {
					port += 10
					m := mix{registrar, server, client, port}
					t.Run(m.String(), m.test)
				}
			}
		}
	})
}

func (m mix) test(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	registrar := m.startRegistrar(ctx, t)
	kill := map[rsp.PEID]func(){
		0xa: m.startServer(ctx, t, 0xa),
		0xb: m.startServer(ctx, t, 0xb),
	}
	client := m.startClient(ctx, t)
	first := client.exchange(ctx, t, "line 1")
	if kill[first] == nil {
		t.Fatalf("PE %v answers", first)
	}
	kill[first]()
	if second := client.exchange(ctx, t, "line 2"); second == first || kill[second] == nil {
		t.Errorf("PE %v answers after PE %v was killed", second, first)
	}
	// RSPLIB's PE answers our keep-alives, or it would be removed.
	for registrar != nil && registrar.Stats().KeepAliveAcks == 0 {
		if ctx.Err() != nil {
			t.Fatalf("no keep-alive is answered: %+v", registrar.Stats())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// startRegistrar returns nil for RSPLIB's registrar.
func (m mix) startRegistrar(ctx context.Context, t *testing.T) *rsp.Registrar {
	if m.registrar == rsplib {
		lab.Start(t, lab.RSPLIB(t, "rspregistrar", "-asap="+m.registrarAddr(), "-asapannounce=off",
			fmt.Sprintf("-enrp=%s:%d", labHost, m.port+1), "-enrpannounce=off")).
			Expect(ctx, t, "Max Endpoint Unreachable Rate")
		return nil
	}
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{
		Address: m.registrarAddr(), Logger: testLog(t, "registrar"),
		EndpointKeepAliveTransmissionInterval: 300 * time.Millisecond,
	})
	if err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Shutdown(context.Background()) })
	return r
}

// startServer starts an echo server and returns how to kill it.
func (m mix) startServer(ctx context.Context, t *testing.T, id rsp.PEID) (kill func()) {
	if m.server == rsplib {
		p := lab.Start(t, lab.RSPLIB(t, "rspserver", append(m.libraryArgs(), "-echo", fmt.Sprintf("-identifier=0x%x", uint32(id)))...))
		p.Expect(ctx, t, "Identifier")
		m.waitRegistered(ctx, t, id)
		return p.Kill
	}
	e := m.endpoint(t, "server")
	listener, err := e.Listen(ctx, "EchoPool", rsp.PE{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	go (&testPE{socket: listener, got: make(chan string, 100), cookie: "state"}).serve()
	return e.Abort
}

func (m mix) endpoint(t *testing.T, who string) *rsp.Endpoint {
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{m.registrarAddr()}, Logger: testLog(t, who)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	return e
}

// waitRegistered waits until the registrar tells of a PE.
func (m mix) waitRegistered(ctx context.Context, t *testing.T, id rsp.PEID) {
	e := m.endpoint(t, "watcher")
	for ; ; time.Sleep(10 * time.Millisecond) {
		r, err := e.Resolve(ctx, "EchoPool", rsp.AllElements)
		if ctx.Err() != nil {
			t.Fatalf("PE %v is not registered: %v", id, err)
		}
		if err != nil {
			continue
		}
		for _, el := range r.Elements {
			if el.ID == id {
				return
			}
		}
	}
}

// echoClient sends a line and returns the PE that answers it.
type echoClient interface {
	exchange(ctx context.Context, t testing.TB, line string) rsp.PEID
}

func (m mix) startClient(ctx context.Context, t *testing.T) echoClient {
	if m.client == rsplib {
		return terminal{lab.Start(t, lab.RSPLIB(t, "rspterminal", append(m.libraryArgs(), "-poolhandle=EchoPool")...))}
	}
	c := &sessionClient{}
	var err error
	c.session, err = (&rsp.Dialer{Endpoint: m.endpoint(t, "client"), OnFailover: c.onFailover}).Connect(ctx, "EchoPool")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sessionClient is our client.
type sessionClient struct {
	session *rsp.Socket
	line    []byte // not answered yet
}

func (c *sessionClient) onFailover(_ context.Context, f *rsp.FailoverEvent) error {
	_, err := f.Write(c.line)
	return err
}

func (c *sessionClient) exchange(ctx context.Context, t testing.TB, line string) rsp.PEID {
	t.Helper()
	c.line = []byte(line)
	if err := c.session.SendMsg(ctx, c.line, rsp.MsgInfo{}); err != nil {
		t.Fatalf("sending %q: %v", line, err)
	}
	buf := make([]byte, 1000)
	for {
		n, info, err := c.session.RecvFullMsg(ctx, buf)
		if err != nil {
			t.Fatalf("waiting for %q: %v", line, err)
		}
		if bytes.Equal(buf[:n], c.line) { // else the answer to a line that was sent twice
			return info.PE
		}
	}
}

// terminal is RSPLIB's client. It does not send again what was lost.
type terminal struct{ *lab.Process }

func (c terminal) exchange(ctx context.Context, t testing.TB, line string) rsp.PEID {
	t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		c.Input(t, line)
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no answer to %q; rspterminal says:\n%s", line, c.Output())
		}
		// "from PE $0000000a> line 1"
		for answer := range strings.SplitSeq(c.Output(), "\n") {
			_, after, found := strings.Cut(answer, "from PE $")
			var id uint32
			if found && strings.Contains(after, line) {
				if _, err := fmt.Sscanf(after, "%x", &id); err == nil {
					return rsp.PEID(id)
				}
			}
		}
	}
}

// A connected Socket is a net.Conn over kernel SCTP too.
func TestNetConnKernelSCTP(t *testing.T) {
	lab.Run(t, func(t *testing.T) { nettest.TestConn(t, connPipe(rsp.KernelSCTP)) })
}

// A Registrar serves kernel SCTP and the TCP mapping at one port.
func TestRegistrarOnEveryTransport(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:3863", Logger: testLog(t, "registrar")})
		if err == nil {
			err = r.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Shutdown(context.Background())
		for _, network := range []rsp.Network{rsp.KernelSCTP, rsp.TCPMapping} {
			pool := rsp.PoolHandle("over " + network.String())
			e, err := rsp.NewEndpoint(&rsp.Config{Registrars: r.Addrs(), Network: network, Logger: testLog(t, network.String())})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			listener, err := e.Listen(t.Context(), pool, rsp.PE{})
			if err != nil {
				t.Fatal(err)
			}
			go echoOne(listener)
			session, err := e.Connect(t.Context(), pool)
			if err != nil {
				t.Fatal(err)
			}
			buf := []byte("hello")
			if _, err := session.Write(buf); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(session, buf); err != nil || string(buf) != "hello" {
				t.Errorf("%q, %v", buf, err)
			}
			session.Close()
		}
		if pools := r.Pools(); len(pools) != 2 || pools[0].Elements[0].Protocol == pools[1].Elements[0].Protocol {
			t.Errorf("the registrar has %+v", pools)
		}
	})
}
