package protocol

import (
	"net/netip"
	"testing"
	"time"
)

func sampleElement() PoolElement {
	return PoolElement{
		ID: 0x0abc0001, Home: 0x11111111, Life: 30 * time.Second,
		User:   TransportAddr{Protocol: SCTP, Port: 7, Addrs: addrs("10.0.0.1")},
		Policy: Policy{Type: LeastUsed, Load: 1},
		ASAP:   TransportAddr{Protocol: SCTP, Port: 40000, Addrs: addrs("10.0.0.1")},
	}
}

func TestPoolElementEqual(t *testing.T) {
	changes := map[string]func(e *PoolElement){
		"ID":     func(e *PoolElement) { e.ID++ },
		"home":   func(e *PoolElement) { e.Home++ },
		"life":   func(e *PoolElement) { e.Life++ },
		"user":   func(e *PoolElement) { e.User.Port++ },
		"policy": func(e *PoolElement) { e.Policy.Load++ },
		"owner":  func(e *PoolElement) { e.Owner = "another" },
		"ASAP":   func(e *PoolElement) { e.ASAP = TransportAddr{} },
	}
	base, same := sampleElement(), sampleElement()
	if !base.Equal(&same) {
		t.Errorf("%v differs from itself", base)
	}
	for name, change := range changes {
		other := sampleElement()
		change(&other)
		if base.Equal(&other) || other.Equal(&base) {
			t.Errorf("another %s: %v equals %v", name, other, base)
		}
	}
}

func TestPoolElementClone(t *testing.T) {
	e := sampleElement()
	c := e.Clone()
	if !c.Equal(&e) {
		t.Errorf("the clone is %v, want %v", c, e)
	}
	e.User.Addrs[0] = netip.MustParseAddr("10.0.0.2")
	e.ASAP.Addrs[0] = netip.MustParseAddr("10.0.0.2")
	if want := sampleElement(); !c.Equal(&want) {
		t.Errorf("the clone changed with the original: %v", c)
	}
}

func TestPoolElementString(t *testing.T) {
	e := sampleElement()
	want := "PE 0x0abc0001 home 0x11111111 life 30s at sctp 10.0.0.1:7, LeastUsed:2e-10"
	if got := e.String(); got != want+", asap sctp 10.0.0.1:40000" {
		t.Errorf("String() = %q", got)
	}
	e.ASAP = TransportAddr{}
	if got := e.String(); got != want {
		t.Errorf("without an ASAP transport, String() = %q, want %q", got, want)
	}
}
