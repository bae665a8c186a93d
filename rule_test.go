package rsp_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/simnet"
)

// farthest is a policy of the user's own: the element with the highest first parameter, and of several such
// the one that has been selected least.
const farthest = 0x80000042

func byDistance(parameters string, selections uint32) uint64 {
	if len(parameters) < 4 {
		return 1 << 63
	}
	return uint64(^binary.BigEndian.Uint32([]byte(parameters)))<<16 + uint64(selections)
}

// A policy of the user's own is selected by in the registrar that has its rule, and in the PU that
// has, whichever registrar it asks; a registrar without carries its parameters untouched, and selects in turn.
func TestRules(t *testing.T) {
	rules := map[uint32]rsp.Rule{farthest: byDistance}
	for _, c := range []struct {
		name          string
		registrar, pu map[uint32]rsp.Rule
		want          string // the PE that comes first in each of six resolutions
	}{
		{"registrar", rules, nil, "2 3 2 3 2 3"},
		{"PU", nil, rules, "2 2 3 2 2 3"},
		{"both", rules, rules, "2 3 2 3 2 3"},
		{"neither", nil, nil, "1 2 3 1 2 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scope{t: t, net: simnet.New(simnet.Config{Latency: latency}), rules: c.registrar}
				s.startRegistrar(s.host())
				pes := s.endpoint("pes", s.host(), rsp.Config{})
				for id, distance := range []byte{1: 1, 2: 9, 3: 9} {
					if id == 0 {
						continue
					}
					parameters := []byte{0, 0, 0, distance, 0xff}
					policy, err := rsp.CustomPolicy(farthest, parameters)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := pes.Listen(t.Context(), "Pool", rsp.PE{ID: rsp.PEID(id), Policy: policy}); err != nil {
						t.Fatal(err)
					}
				}
				pu := s.endpoint("pu", s.host(), rsp.Config{Rules: c.pu})
				var got []string
				for range 6 {
					r, err := pu.Resolve(t.Context(), "Pool", 3)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprint(uint32(r.Elements[0].ID)))
					for _, el := range r.Elements {
						if p := el.Policy.Parameters(); len(p) != 5 || p[4] != 0xff || el.Policy.Type() != farthest {
							t.Errorf("PE %v has policy %v", el.ID, el.Policy)
						}
					}
				}
				if got := strings.Join(got, " "); got != c.want {
					t.Errorf("first ones %s, want %s", got, c.want)
				}
			})
		})
	}
}

func TestRulesOfOthers(t *testing.T) {
	for _, rules := range []map[uint32]rsp.Rule{
		{0: byDistance},
		{rsp.LeastUsed(0).Type(): byDistance},
		{farthest: nil},
	} {
		if _, err := rsp.NewEndpoint(&rsp.Config{Registrars: []string{"127.0.0.1:1"}, Rules: rules}); err == nil {
			t.Errorf("NewEndpoint took rules %v", rules)
		}
		if _, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Rules: rules}); err == nil {
			t.Errorf("NewRegistrar took rules %v", rules)
		}
	}
}
