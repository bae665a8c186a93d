package lab

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHosts(t *testing.T) {
	Run(t, func(t *testing.T) {
		hosts := Hosts(t, 3, 2)
		// Nobody listens, but a host that is reached refuses.
		reach := func(from *Host, to string) (err error) {
			from.Do(t, func() { _, err = net.DialTimeout("tcp", to+":80", time.Second) })
			if errors.Is(err, syscall.ECONNREFUSED) {
				return nil
			}
			return err
		}
		for k := range 2 {
			if err := reach(hosts[0], hosts[2].Addrs[k].String()); err != nil {
				t.Errorf("network %d: %v", k, err)
			}
		}
		hosts[2].Cut(t, 1)
		if reach(hosts[0], "10.50.1.3") == nil || reach(hosts[2], "10.50.1.2") == nil {
			t.Error("a host that is cut off is reached")
		}
		if err := reach(hosts[0], "10.50.0.3"); err != nil {
			t.Errorf("the other network: %v", err)
		}
		if err := reach(hosts[0], "10.50.1.2"); err != nil {
			t.Errorf("the other host: %v", err)
		}
		hosts[2].Heal(t, 1)
		if err := reach(hosts[0], "10.50.1.3"); err != nil {
			t.Errorf("healed: %v", err)
		}
	})
}

// A socket that Do opens stays on its host.
func TestDo(t *testing.T) {
	Run(t, func(t *testing.T) {
		hosts := Hosts(t, 2, 1)
		var ln net.Listener
		var conn net.Conn
		var err error
		hosts[0].Do(t, func() { ln, err = net.Listen("tcp", hosts[0].Addrs[0].String()+":80") })
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		hosts[1].Do(t, func() { conn, err = net.Dial("tcp", ln.Addr().String()) })
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if host, _, _ := net.SplitHostPort(conn.LocalAddr().String()); host != "10.50.0.2" {
			t.Errorf("dialed from %s", host)
		}
	})
}

// RSPLIB's programs run on hosts: a pool element registers, a pool user's line
// comes back.
func TestRSPLIB(t *testing.T) {
	Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		hosts := Hosts(t, 3, 1)
		registrar := Start(t, hosts[0].RSPLIB(t, "rspregistrar", "-asap=10.50.0.1:3863", "-asapannounce=auto", "-enrp=10.50.0.1:9901"))
		registrar.Expect(ctx, t, "Max Endpoint Unreachable Rate")
		at := "-registrar=10.50.0.1:3863"
		server := Start(t, hosts[1].RSPLIB(t, "rspserver", "-echo", at))
		server.Expect(ctx, t, "Identifier")
		terminal := Start(t, hosts[2].RSPLIB(t, "rspterminal", "-poolhandle=EchoPool", at))
		terminal.Input(t, "hello, pool")
		terminal.Expect(ctx, t, "hello, pool")
		// One ends in order, the other does not.
		server.Interrupt(t)
		if err := server.Wait(); err != nil || !strings.Contains(server.Output(), "Terminated!") {
			t.Errorf("interrupted: %v", err)
		}
		terminal.Kill()
		if err := terminal.Wait(); err == nil || strings.Contains(terminal.Output(), "Terminated!") {
			t.Errorf("killed: %v", err)
		}
	})
}
