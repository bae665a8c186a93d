package rsp

import (
	"net"
	"net/netip"
	"time"

	"github.com/rserpool/rsp/internal/registrar"
	"github.com/rserpool/rsp/internal/transport"
)

// NewEndpointOn returns an Endpoint on networks of the test's own.
func NewEndpointOn(cfg Config, networks ...transport.Network) (*Endpoint, error) {
	return NewEndpointResolving(net.DefaultResolver, cfg, networks...)
}

// NewEndpointResolving has a resolver of the test's own, too.
func NewEndpointResolving(resolver *net.Resolver, cfg Config, networks ...transport.Network) (*Endpoint, error) {
	return newEndpoint(cfg.withDefaults(), networksOf(networks), resolver)
}

// NewRegistrarOn returns a Registrar on networks of the test's own.
func NewRegistrarOn(cfg RegistrarConfig, networks ...transport.Network) *Registrar {
	return NewRegistrarResolving(net.DefaultResolver, cfg, networks...)
}

// NewRegistrarResolving has a resolver of the test's own, too.
func NewRegistrarResolving(resolver *net.Resolver, cfg RegistrarConfig, networks ...transport.Network) *Registrar {
	return newRegistrar(cfg.withDefaults(), networksOf(networks), resolver)
}

func networksOf(all []transport.Network) networks { return networks{all, all} }

// ASAPAddrs are where a registrar reaches its PEs to take them over.
func ASAPAddrs(r *Registrar) (addrs []netip.AddrPort) {
	r.loop.Do(func(_ time.Time, e *registrar.Engine) {
		for p := range e.Space().Pools() {
			for el := range e.Space().Elements(p.Handle) {
				addrs = append(addrs, addrPorts(el.ASAP)...)
			}
		}
	})
	return addrs
}

// CertificateName is Request.Name.
var CertificateName = certificateName

// DeriveAEAD is the key derivation of CookieSealer.
var DeriveAEAD = deriveAEAD

// ToRegistrars is the default of associations with registrars.
var ToRegistrars = toRegistrars

// DefaultConfig, DefaultRegistrarConfig and DefaultDialer are the zero ones with their defaults.
func DefaultConfig() Config { return (*Config)(nil).withDefaults() }

func DefaultRegistrarConfig() RegistrarConfig { return (*RegistrarConfig)(nil).withDefaults() }

func DefaultDialer() Dialer {
	return Dialer{
		FailoverTimeout: defaultFailoverTimeout,
		ConnectTimeout:  defaultConnectTimeout,
	}
}

// CSPSettings is what a configuration and the environment make of the settings for status reports.
func CSPSettings(server string, interval time.Duration, ofRegistrar bool) (string, time.Duration, error) {
	c, err := cspSettings{server, interval}.withEnvironment()
	if ofRegistrar {
		c = c.ofRegistrar()
	}
	return c.server, c.interval, err
}
