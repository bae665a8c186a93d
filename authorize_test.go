package rsp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/simnet"
)

var errForbidden = errors.New("forbidden")

// wantForbidden checks that a registrar has refused a request for RFC 5354's reason.
func wantForbidden(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, rsp.ErrNotAuthorized) {
		t.Errorf("%s: %v, want a refusal", what, err)
	}
}

// Each operation is asked for with all that is known of who asks, and refused where Authorize says so.
func TestAuthorize(t *testing.T) {
	a := newAuthority(t)
	requests := make(chan rsp.Request, 100)
	forbidden := make(chan rsp.Operation, 1)
	r := a.registrar(registrarName, rsp.RegistrarConfig{Authorize: func(_ context.Context, req rsp.Request) error {
		requests <- req
		select {
		case op := <-forbidden:
			if op == req.Operation {
				return errForbidden
			}
			forbidden <- op
		default:
		}
		return nil
	}})
	wantRequest := func(want rsp.Request) {
		t.Helper()
		got := <-requests
		if got.Certificate == nil || got.Certificate.Subject.CommonName != want.Name || !got.Addr.Addr().IsLoopback() {
			t.Errorf("%v comes from %v with %v", &got, got.Addr, got.Certificate)
		}
		if got.String() != want.String() {
			t.Errorf("asked %v, want %v", &got, &want)
		}
	}
	pe, pu := a.endpoint("server", r), a.endpoint("client", r)

	forbidden <- rsp.OpRegister
	_, err := pe.Listen(ctx(), "TestPool", rsp.PE{ID: 7})
	wantForbidden(t, "Listen", err)
	wantRequest(rsp.Request{Operation: rsp.OpRegister, Pool: "TestPool", PE: 7, Name: "server"})
	if _, err := pe.Listen(ctx(), "TestPool", rsp.PE{ID: 7}); err != nil {
		t.Fatal(err)
	}
	wantRequest(rsp.Request{Operation: rsp.OpRegister, Pool: "TestPool", PE: 7, Name: "server"})

	forbidden <- rsp.OpResolve
	_, err = pu.Resolve(ctx(), "TestPool", 0)
	wantForbidden(t, "Resolve", err)
	wantRequest(rsp.Request{Operation: rsp.OpResolve, Pool: "TestPool", Name: "client"})

	forbidden <- rsp.OpReport
	if err := pu.ReportFailure("TestPool", 7); err != nil {
		t.Fatal(err)
	}
	wantRequest(rsp.Request{Operation: rsp.OpReport, Pool: "TestPool", PE: 7, Name: "client"})
	if _, err := pu.Resolve(ctx(), "TestPool", 0); err != nil {
		t.Error(err)
	}
	wantRequest(rsp.Request{Operation: rsp.OpResolve, Pool: "TestPool", Name: "client"})
	if s := r.Stats(); s.FailureReports != 0 || s.Unauthorized != 3 {
		t.Errorf("counted %+v", s)
	}

	forbidden <- rsp.OpPeer
	other := a.registrar(registrarName, rsp.RegistrarConfig{Peers: []string{r.PeerAddr()}})
	wantRequest(rsp.Request{Operation: rsp.OpPeer, Name: registrarName})
	wantRequest(rsp.Request{Operation: rsp.OpPeer, Name: registrarName}) // it tries again
	wantElement(t, other, r.ID())

	forbidden <- rsp.OpDeregister
	if err := pe.Close(); err != nil {
		t.Log(err)
	}
	wantRequest(rsp.Request{Operation: rsp.OpDeregister, Pool: "TestPool", PE: 7, Name: "server"})
}

// Without TLS, only the address is known.
func TestAuthorizeWithoutTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(simnet.Config{})
		host := net.Host("10.0.0.1")
		r := rsp.NewRegistrarOn(rsp.RegistrarConfig{Address: "10.0.0.1:3863", Authorize: func(_ context.Context, r rsp.Request) error {
			if r.Name != "" || r.Certificate != nil || r.Addr.Addr() != netip.MustParseAddr("10.0.0.2") {
				t.Errorf("asked %+v", r)
			}
			return errForbidden
		}}, host)
		if err := r.Start(ctx()); err != nil {
			t.Fatal(err)
		}
		defer r.Abort()
		e, err := rsp.NewEndpointOn(rsp.Config{Registrars: []string{"10.0.0.1:3863"}}, net.Host("10.0.0.2"))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Abort()
		_, err = e.Resolve(ctx(), "TestPool", 0)
		wantForbidden(t, "Resolve", err)
	})
}

// An identity's PE is nobody else's, at whatever registrar, by whatever address.
func TestOwnership(t *testing.T) {
	a := newAuthority(t)
	r1 := a.registrar(registrarName, rsp.RegistrarConfig{})
	r2 := a.registrar(registrarName, rsp.RegistrarConfig{Peers: []string{r1.PeerAddr()}})
	owner := a.endpoint("alice", r1)
	if _, err := owner.Listen(ctx(), "TestPool", rsp.PE{ID: 7}); err != nil {
		t.Fatal(err)
	}
	wantElement(t, r2, r1.ID())
	for _, r := range []*rsp.Registrar{r1, r2} {
		thief := a.endpoint("mallory", r)
		_, err := thief.Listen(ctx(), "TestPool", rsp.PE{ID: 7, Policy: rsp.Policy{}})
		wantForbidden(t, "another takes it", err)
		if pools := r.Pools(); len(pools) != 1 || pools[0].Elements[0].Registrar != r1.ID() {
			t.Errorf("pools %+v", pools)
		}
	}
	r1.Abort() // the owner is known to who takes its PE over
	wantElement(t, r2, r2.ID())
	_, err := a.endpoint("mallory", r2).Listen(ctx(), "TestPool", rsp.PE{ID: 7})
	wantForbidden(t, "another takes it after the takeover", err)
}

func TestCertificateName(t *testing.T) {
	uri, err := url.Parse("spiffe://example/server")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		template x509.Certificate
		want     string // "": a hash
	}{
		{x509.Certificate{Subject: pkix.Name{CommonName: "name"}, URIs: []*url.URL{uri}, DNSNames: []string{"dns"}}, "name"},
		{x509.Certificate{URIs: []*url.URL{uri}, DNSNames: []string{"dns"}}, "spiffe://example/server"},
		{x509.Certificate{DNSNames: []string{"dns", "other"}}, "dns"},
		{x509.Certificate{}, ""},
		{x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("n", 256)}}, ""},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c.template.SerialNumber, c.template.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, &c.template, &c.template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		got := rsp.CertificateName(certificate)
		if got != c.want && (c.want != "" || len(got) != len("sha256:")+64) {
			t.Errorf("name %q, want %q", got, c.want)
		}
	}
	if got := rsp.CertificateName(nil); got != "" {
		t.Errorf("without a certificate it is %q", got)
	}
}
