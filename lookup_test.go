package rsp_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/simnet"
)

// named is an operation scope whose registrars are found by name.
type named struct {
	*scope
	*dns
}

func inNamed(t *testing.T, f func(n *named)) {
	synctest.Test(t, func(t *testing.T) {
		d := newDNS(t)
		f(&named{newScope(t), d})
	})
}

// endpoint makes a program that knows registrars by these names.
func (n *named) endpoint(registrars ...string) *rsp.Endpoint {
	n.t.Helper()
	cfg := rsp.Config{Registrars: registrars, Logger: testLog(n.t, "endpoint")}
	e, err := rsp.NewEndpointResolving(n.resolver(), cfg, n.scope.host())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(e.Abort)
	return e
}

// registrarAt starts the scope's next registrar, at a port.
func (n *named) registrarAt(h *simnet.Host, port string) {
	n.t.Helper()
	addr := net.JoinHostPort(h.Addrs()[0].String(), port)
	n.reg = rsp.NewRegistrarOn(rsp.RegistrarConfig{Address: addr, Logger: testLog(n.t, "registrar")}, h)
	if err := n.reg.Start(ctx()); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(n.reg.Abort)
}

// wantRegistered waits until the registrar has one PE.
func (n *named) wantRegistered(within time.Duration) {
	n.t.Helper()
	start := time.Now()
	for len(n.reg.Pools()) == 0 {
		if time.Since(start) > within {
			n.t.Fatalf("no PE is registered after %v", within)
		}
		time.Sleep(latency)
	}
	n.t.Logf("registered after %v", time.Since(start))
}

func (n *named) register(e *rsp.Endpoint) {
	n.t.Helper()
	within, cancel := context.WithTimeout(ctx(), 5*time.Second)
	defer cancel()
	if _, err := e.Listen(within, "EchoPool", rsp.PE{ID: 1}); err != nil {
		n.t.Fatal(err)
	}
}

func wantResolved(t *testing.T, e *rsp.Endpoint, within time.Duration) {
	t.Helper()
	start := time.Now()
	_, err := e.Resolve(ctx(), "EchoPool", 1)
	if took := time.Since(start); !errors.Is(err, rsp.ErrUnknownPool) || took > within {
		t.Errorf("after %v of %v the registrar says %v", took, within, err)
	}
}

// "host:port" is every address of the host; the names' addresses that lead nowhere do no harm.
func TestRegistrarByHostName(t *testing.T) {
	inNamed(t, func(n *named) {
		n.dns.host("registrar.example", "10.9.9.9", "10.0.0.1", "fd00::1", "0.0.0.0")
		wantResolved(t, n.endpoint("registrar.example:3863"), 10*latency)
	})
}

// "domain" is what its SRV records for the Endpoint's transport say, before its own addresses.
func TestRegistrarByService(t *testing.T) {
	inNamed(t, func(n *named) {
		host := n.scope.host()
		n.registrarAt(host, "4711")
		n.dns.host("example", "10.0.0.1") // another registrar, which is not asked
		n.dns.host("a.example", host.Addrs()[0].String())
		n.srv("_asap._sctp.example", "a.example", 4711)
		n.srv("_asap._sctp.example", "gone.example", 3863) // does not exist, which is the lookup's problem alone
		n.srv("_asap._tcp.example", "b.example", 3863)
		wantResolved(t, n.endpoint("example"), 10*latency)
		if got := n.reg.Stats().UnknownPools; got != 1 {
			t.Errorf("the registrar of the SRV record was asked %d times", got)
		}
	})
}

// "if it has none, the domain's own addresses at port 3863".
func TestRegistrarByDomainWithoutService(t *testing.T) {
	inNamed(t, func(n *named) {
		n.dns.host("example", "10.0.0.1")
		n.srv("_asap._tcp.example", "b.example", 4711) // a transport that the Endpoint does not have
		wantResolved(t, n.endpoint("example"), 10*latency)
	})
}

// "A target of "." means that the service is decidedly not available at this domain" (RFC 2782): its
// addresses are no registrars.
func TestNoServiceAtDomain(t *testing.T) {
	inNamed(t, func(n *named) {
		n.dns.host("example", "10.0.0.1")
		n.srv("_asap._sctp.example", "", 0)
		_, err := n.endpoint("example").Resolve(ctx(), "EchoPool", 1)
		if !errors.Is(err, rsp.ErrNoRegistrar) || !strings.Contains(err.Error(), "offer no registrar") {
			t.Error(err)
		}
	})
}

// A name that does not exist is told to who needs a registrar, and is no reason to give up: it may come.
func TestNameThatComesLater(t *testing.T) {
	inNamed(t, func(n *named) {
		e := n.endpoint("registrar.example")
		_, err := e.Resolve(ctx(), "EchoPool", 1)
		if dnsErr, ok := errors.AsType[*net.DNSError](err); !ok || !dnsErr.IsNotFound || !errors.Is(err, rsp.ErrNoRegistrar) ||
			!strings.Contains(err.Error(), `registrar "registrar.example"`) {
			t.Errorf("no such name: %v", err)
		}
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		_, err = e.Listen(short, "OtherPool", rsp.PE{})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, rsp.ErrNoRegistrar) || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("no such name: %v", err)
		}

		go e.Listen(n.t.Context(), "EchoPool", rsp.PE{ID: 1})
		time.Sleep(time.Hour)
		n.dns.host("registrar.example", "10.0.0.1")
		n.wantRegistered(2*time.Second + 20*latency)
	})
}

// A registrar that comes back elsewhere is found there, though its old addresses answer nothing.
func TestRegistrarMoves(t *testing.T) {
	inNamed(t, func(n *named) {
		n.dns.host("registrar.example", "10.0.0.1", "10.9.9.1", "10.9.9.2") // as many as are dialed at once
		n.register(n.endpoint("registrar.example"))
		n.registrarHost.Kill()
		time.Sleep(time.Minute) // rounds of the hunt are long now
		host := n.scope.host()
		n.registrarAt(host, "3863")
		n.dns.host("registrar.example", host.Addrs()[0].String())
		n.wantRegistered(2*time.Second + 20*latency)
	})
}

// While lookups fail, what they gave before is tried.
func TestFailingLookupKeepsWhatIsKnown(t *testing.T) {
	for _, break_ := range []func(d *dns){
		func(d *dns) { d.set(true, false) },
		func(d *dns) { d.set(false, true) },
		func(d *dns) { d.host("registrar.example") },
	} {
		inNamed(t, func(n *named) {
			n.dns.host("registrar.example", "10.0.0.1")
			n.register(n.endpoint("registrar.example"))
			break_(n.dns)
			n.reg.Abort()
			time.Sleep(time.Minute)
			n.startRegistrar(n.registrarHost)
			n.wantRegistered(8 * time.Second) // a round of the hunt, as without names
		})
	}
}

// A DNS server that does not answer holds up neither other registrars nor Close.
func TestSilentDNS(t *testing.T) {
	inNamed(t, func(n *named) {
		n.set(false, true)
		start := time.Now()
		e := n.endpoint("registrar.example", "other.example:3863", n.addr)
		wantResolved(t, e, 10*latency)
		n.reg.Abort()
		_, err := e.Resolve(ctx(), "NoPool", 1)
		if !errors.Is(err, rsp.ErrNoRegistrar) {
			t.Error(err)
		}
		before := time.Now()
		e.Close()
		if took := time.Since(before); took > 0 {
			t.Errorf("Close took %v", took)
		}
		t.Logf("%d questions in %v", n.questions(), time.Since(start))
	})
}

// Nobody asks the DNS while no registrar is sought.
func TestNoLookupsWithoutNeed(t *testing.T) {
	inNamed(t, func(n *named) {
		n.dns.host("registrar.example", "10.0.0.1")
		e := n.endpoint("registrar.example")
		time.Sleep(time.Hour)
		if got := n.questions(); got > 0 {
			t.Errorf("%d questions before a registrar is needed", got)
		}
		n.register(e)
		time.Sleep(time.Minute)
		asked := n.questions()
		time.Sleep(time.Hour)
		if got := n.questions(); got > asked {
			t.Errorf("%d questions while the registrar is there, after %d", got-asked, asked)
		}
	})
}

// registrarsByName is a registrar whose peers are a name's addresses, its own among them.
func (n *named) registrarsByName(id rsp.RegistrarID, peers string) (*rsp.Registrar, string) {
	n.t.Helper()
	host := n.scope.host()
	at := host.Addrs()[0].String()
	r := rsp.NewRegistrarResolving(n.resolver(), rsp.RegistrarConfig{
		ID: id, Address: at + ":3863", Peers: []string{peers}, Logger: testLog(n.t, id.String()),
	}, host)
	if err := r.Start(ctx()); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(r.Abort)
	return r, at
}

// peerStates lists the states of a registrar's peers.
func peerStates(r *rsp.Registrar) (states []string) {
	for _, p := range r.Peers() {
		states = append(states, p.ID.String()+" "+p.State)
	}
	return states
}

// Registrars whose peers are the addresses of one name find each other when the name has them, as those of a
// StatefulSet by their headless Service; and stop to seek those that it has no more.
func TestPeersByName(t *testing.T) {
	inNamed(t, func(n *named) {
		a, atA := n.registrarsByName(1, "registrars.example")
		n.dns.host("registrars.example", atA)
		time.Sleep(time.Minute)
		if got := peerStates(a); len(got) > 0 {
			t.Errorf("alone it has the peers %q", got)
		}
		b, atB := n.registrarsByName(2, "registrars.example")
		n.dns.host("registrars.example", atA, atB)
		time.Sleep(5 * time.Second)
		n.dns.host("registrars.example", atA, atB, "10.9.9.9")
		time.Sleep(5 * time.Second)
		const ghost = "0x00000000 not reached"
		if got := peerStates(a); !slices.Equal(got, []string{ghost, "0x00000002 alive"}) {
			t.Errorf("the first has the peers %q", got)
		}
		n.set(true, false)
		time.Sleep(time.Minute)
		if got := peerStates(b); !slices.Equal(got, []string{ghost, "0x00000001 alive"}) {
			t.Errorf("while lookups fail the second has the peers %q", got)
		}
		n.set(false, false)
		n.dns.host("registrars.example", atA)
		time.Sleep(5 * time.Second)
		if got := peerStates(b); !slices.Equal(got, []string{"0x00000001 alive"}) {
			t.Errorf("without its address in the name the second has the peers %q", got)
		}
		n.dns.host("registrars.example")
		b.Abort()
		time.Sleep(time.Minute)
		if got := peerStates(a); len(got) > 0 {
			t.Errorf("alone again the first has the peers %q", got)
		}
	})
}

// A registrar takes the handlespace of a peer that its name tells, before it serves.
func TestMentorByService(t *testing.T) {
	inNamed(t, func(n *named) {
		n.pe("a", 1, nil)
		n.dns.host("first.example", n.registrarHost.Addrs()[0].String())
		n.srv("_enrp._sctp.example", "first.example", 9901)
		b, _ := n.registrarsByName(2, "example")
		time.Sleep(20 * latency)
		if pools := b.Pools(); len(pools) != 1 || len(peerStates(b)) != 1 {
			t.Errorf("it has the pools %+v and peers %q", pools, peerStates(b))
		}
	})
}

// ctx bounds the lookups of Start; a Registrar that is being started can be asked and ended.
func TestStartWithSilentDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDNS(t)
		d.set(false, true)
		host := simnet.New(simnet.Config{}).Host("10.0.0.1")
		r := rsp.NewRegistrarResolving(d.resolver(), rsp.RegistrarConfig{Address: ":3863", Peers: []string{"example"}}, host)
		short, cancel := context.WithTimeout(ctx(), time.Second)
		defer cancel()
		start := time.Now()
		started := make(chan error, 1)
		go func() { started <- r.Start(short) }()
		synctest.Wait()
		if addrs, took := r.Addrs(), time.Since(start); len(addrs) > 0 || took > 0 {
			t.Errorf("serves at %q after %v", addrs, took)
		}
		if err := <-started; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		r.Abort()
	})
}

// Peers that are no names are known as before, and bad ones refused.
func TestPeerErrors(t *testing.T) {
	for peer, want := range map[string]string{
		":9901": "needs a host", "[fd00::1]:9901": "no IPv4 address", "10.0.0.1:x": "0 to 65535", "a b": "no host name", "[::1": "missing ']'",
	} {
		r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Peers: []string{peer}, IPv4Only: true, Network: rsp.TCPMapping})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", peer, err, want)
		}
		r.Abort()
	}
}
