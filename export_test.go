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
