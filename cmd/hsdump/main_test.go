package main

import (
	"context"
	"errors"
	"flag"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dump is the output of the program.
func dump(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var b strings.Builder
	if err := run(ctx, args, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// startRegistrar serves at host, over what network says.
func startRegistrar(t *testing.T, host string, network rsp.Network) *rsp.Registrar {
	t.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{ID: 0x11111111, Address: host + ":0", Network: network})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Abort)
	return r
}

// register registers a pool element that is no server.
func register(t *testing.T, registrar string, network rsp.Network, pool rsp.PoolHandle, at string, policy rsp.Policy) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{registrar}, Network: network})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	if _, err := e.RegisterElement(ctx, pool, rsp.ElementRegistration{
		ID: 0xabc, Protocol: "tcp", Addrs: []netip.AddrPort{netip.MustParseAddrPort(at)}, Policy: policy,
	}); err != nil {
		t.Fatal(err)
	}
}

func TestDump(t *testing.T) {
	r := startRegistrar(t, "127.0.0.1", rsp.TCPMapping)
	if diff := cmp.Diff("Registrar 0x11111111\n\nPeers:\n   none\n\nHandlespace:\n\nGot 0 pools, 0 PEs\n", dump(t, r.PeerAddr())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	register(t, r.Addr(), rsp.TCPMapping, "Web\x1bPool", "127.0.0.1:80", rsp.LeastUsed(0.25))
	if diff := cmp.Diff(`Registrar 0x11111111

Peers:
   none

Handlespace:
   Pool "Web\x1bPool", LeastUsed
      PE 0x00000abc at tcp 127.0.0.1:80, home 0x11111111, life 1m30s, LeastUsed:0.25

Got 1 pools, 1 PEs
`, dump(t, r.PeerAddr())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	for _, args := range [][]string{nil, {"a", "b"}, {"localhost"}, {"-nosuchoption"}} {
		if err := run(t.Context(), args, new(strings.Builder)); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	var help strings.Builder
	if err := run(t.Context(), []string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) || help.String() != usage {
		t.Errorf("-help: %v, %q", err, &help)
	}
}

// labHost is where the parts of the lab's tests meet: RSPLIB refuses loopback addresses.
const labHost = "192.168.77.1"

// Our program reads RSPLIB's registrar, and RSPLIB's program ours; ours reads ours by either transport.
func TestDumpsWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		element := regexp.MustCompile(`PE 0x00000abc at sctp 192\.168\.77\.1:\d+\+control, home 0x11111111, .* LeastUsed`)

		t.Run("ours of RSPLIB's", func(t *testing.T) {
			lab.Start(t, lab.RSPLIB(t, "rspregistrar", "-identifier=0x11111111", "-asap="+labHost+":3863", "-asapannounce=off",
				"-enrp="+labHost+":9901", "-enrpannounce=off")).Expect(ctx, t, "Max Endpoint Unreachable Rate")
			lab.Start(t, lab.RSPLIB(t, "rspserver", "-registrar="+labHost+":3863", "-asapannounce=off", "-echo", "-identifier=0xabc",
				"-policy=LeastUsed")).Expect(ctx, t, "Identifier")
			got := ""
			for !element.MatchString(got) {
				if ctx.Err() != nil {
					t.Fatalf("it prints\n%s", got)
				}
				got = dump(t, labHost+":9901")
			}
			if !strings.HasPrefix(got, "Registrar 0x11111111\n") || !strings.HasSuffix(got, "\nGot 1 pools, 1 PEs\n") {
				t.Errorf("it prints\n%s", got)
			}
		})

		r := startRegistrar(t, labHost, rsp.Auto)
		e, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{r.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Abort()
		if _, err := e.Listen(ctx, "EchoPool", rsp.PE{ID: 0xabc, Policy: rsp.LeastUsed(0.5)}); err != nil {
			t.Fatal(err)
		}
		t.Run("ours of ours", func(t *testing.T) {
			if got := dump(t, r.PeerAddr()); !element.MatchString(got) {
				t.Errorf("it prints\n%s", got)
			}
		})
		t.Run("RSPLIB's of ours", func(t *testing.T) {
			out, err := lab.RSPLIB(t, "hsdump", r.PeerAddr()).CombinedOutput()
			if err != nil || !regexp.MustCompile(`(?s)Got 1 pools, 1 PEs.*"EchoPool".*\$00000abc .*home=\$11111111`).Match(out) {
				t.Errorf("%v; it prints\n%s", err, out)
			}
		})
		t.Run("ours by TCP", func(t *testing.T) {
			r := startRegistrar(t, labHost, rsp.TCPMapping)
			if got, want := dump(t, r.PeerAddr()), "Got 0 pools"; !strings.Contains(got, want) {
				t.Errorf("it prints\n%s", got)
			}
		})
	})
}
