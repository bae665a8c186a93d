package rsp

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/netip"

	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// Operation is what somebody asks a registrar for.
type Operation uint8

const (
	OpRegister   Operation = iota + 1 // a PE, anew or again
	OpDeregister                      // a PE
	OpResolve                         // a pool handle
	OpReport                          // of a PE as unreachable
	OpPeer                            // to be a registrar of the operation scope; asked once per association
)

func (op Operation) String() string {
	switch op {
	case OpRegister:
		return "register"
	case OpDeregister:
		return "deregister"
	case OpResolve:
		return "resolve"
	case OpReport:
		return "report"
	case OpPeer:
		return "peer"
	}
	return fmt.Sprintf("Operation(%d)", uint8(op))
}

// Request is what RegistrarConfig.Authorize decides about.
type Request struct {
	Operation Operation
	Pool      PoolHandle // "" with OpPeer
	PE        PEID       // 0 with OpResolve and OpPeer
	// Addr is where the association with who asks comes from, or leads to if this registrar has opened it.
	Addr netip.AddrPort
	// Name is the common name of who asks, by its certificate or, if that has none, its first URI, its first DNS name, or a
	// hash of its public key. It is "" without TLS.
	Name        string
	Certificate *x509.Certificate // nil without TLS
}

// String says who asks for what.
func (r *Request) String() string {
	text := r.Operation.String()
	if r.Pool != "" {
		text += fmt.Sprintf(" %q", string(r.Pool))
	}
	if r.PE != 0 {
		text += " PE " + r.PE.String()
	}
	return fmt.Sprintf("%s for %q", text, r.Name)
}

// maxName is the longest name that an owner of PEs may have, which registrars tell each other.
const maxName = 255

// certificateName is Request.Name.
func certificateName(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	name := c.Subject.CommonName
	if name == "" && len(c.URIs) > 0 {
		name = c.URIs[0].String()
	}
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	if name == "" || len(name) > maxName {
		name = fmt.Sprintf("sha256:%x", sha256.Sum256(c.RawSubjectPublicKeyInfo))
	}
	return name
}

// guard asks Authorize about the messages of one association. It belongs to the association's reader.
type guard struct {
	authorize func(context.Context, Request) error
	request   Request
	decoder   wire.Decoder
	isPeer    bool // that has been asked
}

// newGuard is what the loop gets guards from; nil if there is nothing to ask.
func (c *RegistrarConfig) newGuard() func(protocol.PPID, protocol.TransportAddr, *x509.Certificate) loop.Guard {
	if c.Authorize == nil {
		return nil
	}
	return func(service protocol.PPID, peer protocol.TransportAddr, certificate *x509.Certificate) loop.Guard {
		g := &guard{authorize: c.Authorize, request: Request{Name: certificateName(certificate), Certificate: certificate}}
		if len(peer.Addrs) > 0 {
			g.request.Addr = netip.AddrPortFrom(peer.Addrs[0], peer.Port)
		}
		if service == protocol.PPIDENRP {
			return g.peer
		}
		return g.client
	}
}

// peer guards an association of ENRP.
func (g *guard) peer(ctx context.Context, _ protocol.PPID, _ []byte) error {
	if g.isPeer {
		return nil
	}
	if err := g.ask(ctx, OpPeer, "", 0); err != nil {
		return err
	}
	g.isPeer = true
	return nil
}

// client guards an association of ASAP. What cannot be read, or asks for nothing, is left to the engine.
func (g *guard) client(ctx context.Context, ppid protocol.PPID, data []byte) error {
	if ppid != protocol.PPIDASAP {
		return nil
	}
	m, err := g.decoder.ASAP(data)
	if err != nil {
		return nil
	}
	switch m := m.(type) {
	case *wire.Registration:
		return g.ask(ctx, OpRegister, m.Handle, m.Element.ID)
	case *wire.Deregistration:
		return g.ask(ctx, OpDeregister, m.Handle, m.ID)
	case *wire.HandleResolution:
		return g.ask(ctx, OpResolve, m.Handle, 0)
	case *wire.EndpointUnreachable:
		return g.ask(ctx, OpReport, m.Handle, m.ID)
	}
	return nil
}

func (g *guard) ask(ctx context.Context, op Operation, pool PoolHandle, id PEID) error {
	r := g.request
	r.Operation, r.Pool, r.PE = op, pool, id
	if err := g.authorize(ctx, r); err != nil {
		return fmt.Errorf("%v: %w", &r, err)
	}
	return nil
}
