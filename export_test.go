package rsp

import (
	"github.com/rserpool/rsp/internal/transport"
)

// NewEndpointOn returns an Endpoint on networks of the test's own.
func NewEndpointOn(cfg Config, networks ...transport.Network) (*Endpoint, error) {
	c := cfg.withDefaults()
	return newEndpoint(c, networks)
}

// NewRegistrarOn returns a Registrar on networks of the test's own.
func NewRegistrarOn(cfg RegistrarConfig, networks ...transport.Network) *Registrar {
	c := cfg.withDefaults()
	return newRegistrar(c, networks)
}

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
