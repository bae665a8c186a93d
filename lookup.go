package rsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// service is what registrars are looked up for: the name in the SRV records of a domain (RFC 2782), and the
// well-known port.
type service struct {
	name string
	port uint16
}

// remote is where registrars are, as a configuration says.
type remote struct {
	text    string
	service service
	host    string
	port    uint16 // 0: the SRV records of host tell or, without any, it is the well-known one
}

// parseRemote reads "host:port" or "host".
func parseRemote(text string, s service) (remote, error) {
	r := remote{text: text, service: s, host: text}
	bare := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		bare = text[1 : len(text)-1]
	}
	if at, err := netip.ParseAddr(bare); err == nil {
		r.host, r.port = at.String(), s.port
	} else if strings.Contains(text, ":") {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return r, err
		}
		if r.port, err = parsePort(port, text); err != nil {
			return r, err
		}
		if r.host = host; r.port == 0 {
			return r, errNoRemote
		}
	}
	at, err := netip.ParseAddr(r.host)
	switch {
	case r.host == "", err == nil && at.IsUnspecified():
		return r, errNoRemote
	case err != nil && strings.ContainsAny(r.host, " \t/,[]"):
		return r, fmt.Errorf("%q is no host name", r.host)
	}
	return r, nil
}

func parseRemotes(texts []string, s service) ([]remote, error) {
	remotes := make([]remote, len(texts))
	for i, text := range texts {
		var err error
		if remotes[i], err = parseRemote(text, s); err != nil {
			return nil, fmt.Errorf("registrar %q: %w", text, err)
		}
	}
	return remotes, nil
}

var errNoRemote = errors.New("needs a host and a port")

// literal is the address that r is, unless r is a name.
func (r remote) literal() (netip.AddrPort, bool) {
	at, err := netip.ParseAddr(r.host)
	return netip.AddrPortFrom(at.Unmap(), r.port), err == nil
}

// directory looks names up.
type directory struct {
	resolver  *net.Resolver
	protocols []protocol.TransportProtocol // that registrars may be reached by, best first
	ipv4Only  bool
	log       *slog.Logger
}

func protocolsOf(networks []transport.Network) (protocols []protocol.TransportProtocol) {
	for _, n := range networks {
		protocols = append(protocols, n.Protocol())
	}
	return protocols
}

const (
	// lookupTimeout bounds the lookup of one transport's SRV records, and that of a host. The resolver may ask
	// two servers in it.
	lookupTimeout = 10 * time.Second
	// lookupInterval is how often a name is looked up again while a registrar is sought.
	lookupInterval = 2 * time.Second
	// maxLookedUp bounds the addresses of one name.
	maxLookedUp = 64
)

// lookUp finds all addresses of r. Beside an error there may be some of them.
func (d *directory) lookUp(ctx context.Context, r remote) ([]protocol.TransportAddr, error) {
	if at, ok := r.literal(); ok {
		if d.ipv4Only && at.Addr().Is6() {
			return nil, errors.New("is no IPv4 address")
		}
		return overEach(d.protocols, at), nil
	}
	var found []protocol.TransportAddr
	var err error
	if r.port == 0 {
		var offered bool
		if found, offered, err = d.lookUpService(ctx, r); offered {
			return found, err
		}
		r.port = r.service.port
	}
	addrs, hostErr := d.lookUpHost(ctx, r.host)
	for _, a := range addrs {
		found = append(found, overEach(d.protocols, netip.AddrPortFrom(a, r.port))...)
	}
	return found, errors.Join(err, hostErr)
}

// overEach is an address for each transport.
func overEach(protocols []protocol.TransportProtocol, at netip.AddrPort) []protocol.TransportAddr {
	var all []protocol.TransportAddr
	for _, p := range protocols {
		all = append(all, protocol.TransportAddr{Protocol: p, Port: at.Port(), Addrs: []netip.Addr{at.Addr()}})
	}
	return all
}

// lookUpService follows the SRV records _asap._tcp and _asap._sctp of a domain, or those of ENRP. offered says
// whether it has any.
func (d *directory) lookUpService(ctx context.Context, r remote) (found []protocol.TransportAddr, offered bool, err error) {
	var errs []error
	for _, p := range d.protocols {
		addrs, records, err := d.lookUpRecords(ctx, r, p)
		found, offered, errs = append(found, addrs...), offered || records > 0, append(errs, err)
	}
	if err = errors.Join(errs...); offered && len(found) == 0 && err == nil {
		err = errors.New("the domain's SRV records offer no registrar")
	}
	return found, offered, err
}

// lookUpRecords follows the SRV records of a domain for one transport. All registrars of an operation scope serve
// alike: priorities and weights do not matter.
func (d *directory) lookUpRecords(ctx context.Context, r remote, p protocol.TransportProtocol) (found []protocol.TransportAddr, n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var errs []error
	records, err := d.lookUpSRV(ctx, r.service.name, p.String(), r.host)
	if err != nil && !isNotFound(err) {
		errs = append(errs, err) // there may be good records beside bad ones
	}
	for _, record := range records[:min(len(records), maxLookedUp)] {
		if record.Target == "." || record.Port == 0 {
			continue // "the service is decidedly not available" (RFC 2782)
		}
		addrs, err := d.lookUpHost(ctx, record.Target)
		if err != nil {
			errs = append(errs, err)
		}
		for _, a := range addrs {
			found = append(found, protocol.TransportAddr{Protocol: p, Port: record.Port, Addrs: []netip.Addr{a}})
		}
	}
	return found, len(records), errors.Join(errs...)
}

// lookUpSRV is LookupSRV that returns when ctx ends, as LookupNetIP does: package net notices that only when its
// own timeout ends, and Close must not wait for a server that does not answer.
func (d *directory) lookUpSRV(ctx context.Context, service, proto, domain string) (records []*net.SRV, err error) {
	done := make(chan struct{})
	var answer []*net.SRV
	var failure error
	go func() {
		defer close(done)
		_, answer, failure = d.resolver.LookupSRV(ctx, service, proto, domain)
	}()
	select {
	case <-done:
		return answer, failure
	case <-ctx.Done():
		return nil, fmt.Errorf("lookup _%s._%s.%s: %w", service, proto, domain, ctx.Err())
	}
}

// lookUpHost finds a host's addresses. Those of a name need not be one host's.
func (d *directory) lookUpHost(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	network := "ip"
	if d.ipv4Only {
		network = "ip4"
	}
	addrs, err := d.resolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return a.IsUnspecified() || a.IsMulticast() })
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address of a host", host)
	}
	return addrs, nil
}

func isNotFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// watched is a name that is looked up again and again.
type watched struct {
	remote
	known   []protocol.TransportAddr
	failing bool // its last lookup has failed
}

// lookupChange is what a lookup has changed.
type lookupChange struct {
	added, gone []protocol.TransportAddr
	err         error // why the lookup has failed, or a part of it
}

// lookUp looks w up once. A lookup that fails takes nothing away.
func (w *watched) lookUp(ctx context.Context, d *directory) lookupChange {
	found, err := d.lookUp(ctx, w.remote)
	if ctx.Err() != nil {
		return lookupChange{err: ctx.Err()}
	}
	// If there are too many, they are the same ones each time.
	slices.SortFunc(found, func(a, b protocol.TransportAddr) int { return strings.Compare(a.String(), b.String()) })
	if err != nil {
		err = fmt.Errorf("registrar %q: %w", w.text, err)
		found = append(found, w.known...)
	}
	found = unique(found)
	found = found[:min(len(found), maxLookedUp)]
	change := lookupChange{added: without(found, w.known), gone: without(w.known, found), err: err}
	w.known = found
	w.logFailure(d.log, err)
	return change
}

// unique returns the addresses without repetitions.
func unique(addrs []protocol.TransportAddr) (all []protocol.TransportAddr) {
	for _, addr := range addrs {
		if !slices.ContainsFunc(all, addr.Equal) {
			all = append(all, addr)
		}
	}
	return all
}

// without returns the addresses that are in all and not in others.
func without(all, others []protocol.TransportAddr) []protocol.TransportAddr {
	return slices.DeleteFunc(slices.Clone(all), func(a protocol.TransportAddr) bool {
		return slices.ContainsFunc(others, a.Equal)
	})
}

// logFailure tells the first of several failures, and their end.
func (w *watched) logFailure(log *slog.Logger, err error) {
	switch {
	case err != nil && !w.failing:
		log.Warn("name of registrars cannot be looked up: going on with what is known, and trying again", "known", len(w.known), "err", err)
	case err == nil && w.failing:
		log.Info("name of registrars is looked up again", "name", w.text, "known", len(w.known))
	}
	w.failing = err != nil
}

// watch looks w up whenever that is wanted, until ctx ends. apply takes what has changed, and reports whether
// w is to be looked up again after the interval.
func (w *watched) watch(ctx context.Context, d *directory, wanted <-chan struct{}, interval time.Duration, apply func(lookupChange) (again bool)) {
	for again := false; ; {
		if !again {
			select {
			case <-wanted:
			case <-ctx.Done():
				return
			}
		}
		change := w.lookUp(ctx, d)
		if ctx.Err() != nil {
			return
		}
		again = apply(change)
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return
		}
	}
}
