package rsp_test

import (
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

// "The zero value of each field means its default"; what makes no sense is refused.
func TestAssociationConfig(t *testing.T) {
	for _, test := range []struct {
		name  string
		c     rsp.AssociationConfig
		valid bool
	}{
		{"default", rsp.AssociationConfig{}, true},
		{"LAN", rsp.LAN, true},
		{"WAN", rsp.WAN, true},
		{"no heartbeats", rsp.AssociationConfig{HeartbeatInterval: -1}, true},
		{"one limit", rsp.AssociationConfig{RTOMin: time.Second}, true},
		{"the other limit", rsp.AssociationConfig{RTOMax: 10 * time.Millisecond}, true},
		{"limits that cross", rsp.AssociationConfig{RTOMin: time.Second, RTOMax: 500 * time.Millisecond}, false},
		{"initial value above the maximum", rsp.AssociationConfig{RTOInitial: time.Second, RTOMax: 500 * time.Millisecond}, false},
		{"RTO below what the kernel counts", rsp.AssociationConfig{RTOMin: time.Microsecond}, false},
		{"negative RTO", rsp.AssociationConfig{RTOInitial: -1}, false},
		{"RTO of days", rsp.AssociationConfig{RTOMax: 48 * time.Hour}, false},
		{"a flood of heartbeats", rsp.AssociationConfig{HeartbeatInterval: time.Millisecond}, false},
		{"negative limit", rsp.AssociationConfig{AssocMaxRetrans: -1}, false},
		{"limit beyond all patience", rsp.AssociationConfig{PathMaxRetrans: 1000}, false},
	} {
		e, err := rsp.NewEndpoint(&rsp.Config{Association: test.c, Network: rsp.InMemory, Announce: "off"})
		if err == nil {
			e.Close()
		}
		if (err == nil) != test.valid {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Association: test.c}); (err == nil) != test.valid {
			t.Errorf("%s, of a registrar: %v", test.name, err)
		}
	}
}
