package handlespace

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

var address = []netip.Addr{netip.MustParseAddr("10.0.0.1")}

// element returns what a PE with one SCTP address says of itself.
func element(id protocol.PEID, home protocol.RegistrarID, p protocol.Policy) protocol.PoolElement {
	return protocol.PoolElement{
		ID: id, Home: home, Life: 30 * time.Second, Policy: p,
		User: protocol.TransportAddr{Protocol: protocol.SCTP, Port: 7, Addrs: address},
		ASAP: protocol.TransportAddr{Protocol: protocol.SCTP, Port: 3863, Addrs: address},
	}
}

func roundRobin() protocol.Policy { return protocol.Policy{Type: protocol.RoundRobin} }

func weightedRoundRobin(weight uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.WeightedRoundRobin, Weight: weight}
}

func weightedRandomly(weight uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.WeightedRandom, Weight: weight}
}

func priority(value uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.Priority, Priority: value}
}

func leastUsed(load uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.LeastUsed, Load: load}
}

func leastUsedDegradation(load, degradation uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.LeastUsedDegradation, Load: load, Degradation: degradation}
}

func priorityLeastUsed(load, degradation uint32) protocol.Policy {
	return protocol.Policy{Type: protocol.PriorityLeastUsed, Load: load, Degradation: degradation}
}

// put registers a PE that must be accepted.
func put(t testing.TB, s *Space[int], handle protocol.PoolHandle, id protocol.PEID, p protocol.Policy) *Element[int] {
	t.Helper()
	pe := element(id, 1, p)
	el, _, err := s.Put(handle, &pe, Registered)
	if err != nil {
		t.Fatal(err)
	}
	return el
}

// ids prints the PE IDs of an answer as the captures write them.
func ids(elements []*Element[int]) string {
	var b strings.Builder
	for i, el := range elements {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, uint32(el.ID))
	}
	return b.String()
}

func wantSelected(t *testing.T, s *Space[int], n int, want string) {
	t.Helper()
	if got, known := s.Select(nil, "pool", n); !known || ids(got) != want {
		t.Fatalf("Select(%d) = %q, %v, want %q", n, ids(got), known, want)
	}
}

// RSPLIB refuses a PE that does not fit into its pool by the first of these that
// differs: policy type, transport protocol, use of the transport.
func TestPutInconsistent(t *testing.T) {
	tests := []struct {
		name   string
		change func(pe *protocol.PoolElement)
		want   protocol.Cause
	}{
		{"unknown policy type", func(pe *protocol.PoolElement) { pe.Policy.Type = 0xb0002004 }, protocol.CauseInconsistentPolicy},
		{"policy type", func(pe *protocol.PoolElement) { pe.Policy = leastUsed(0) }, protocol.CauseInconsistentPolicy},
		{"transport protocol", func(pe *protocol.PoolElement) { pe.User.Protocol = protocol.TCP }, protocol.CauseWrongTransportProtocol},
		{"use", func(pe *protocol.PoolElement) { pe.User.Use = protocol.DataAndControl }, protocol.CauseInconsistentDataControl},
		{"policy type first", func(pe *protocol.PoolElement) {
			pe.Policy, pe.User.Protocol, pe.User.Use = leastUsed(0), protocol.TCP, protocol.DataAndControl
		}, protocol.CauseInconsistentPolicy},
		{"transport protocol before use", func(pe *protocol.PoolElement) {
			pe.User.Protocol, pe.User.Use = protocol.TCP, protocol.DataAndControl
		}, protocol.CauseWrongTransportProtocol},
	}
	for _, tt := range tests {
		for _, id := range []protocol.PEID{1, 2} { // the pool's only PE, and another one
			t.Run(fmt.Sprintf("%s, PE %d", tt.name, id), func(t *testing.T) {
				s := New[int](Options{})
				first := put(t, s, "pool", 1, roundRobin())
				s.OnChange = func(c Change[int]) { t.Errorf("told %v", c) }
				pe := element(id, 2, roundRobin())
				tt.change(&pe)
				el, kind, err := s.Put("pool", &pe, Registered)
				inconsistent, ok := errors.AsType[*InconsistentError](err)
				if !ok || *inconsistent != (InconsistentError{tt.want, "pool", id}) || el != nil || kind != Unchanged {
					t.Fatalf("Put = %v, %v, %v, want cause %v", el, kind, err, tt.want)
				}
				if want := element(1, 1, roundRobin()); !first.PoolElement.Equal(&want) || s.Len() != 1 {
					t.Errorf("the pool now holds %d PEs, first %v", s.Len(), first.PoolElement)
				}
			})
		}
	}
}

func TestInconsistentErrorText(t *testing.T) {
	err := &InconsistentError{protocol.CauseInconsistentPolicy, "pool", 1}
	if got, want := err.Error(), `PE 0x00000001 for pool "pool": inconsistent pooling policy`; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

// A "pool vanishes with its last PE, a new type is possible then".
func TestPoolVanishesWithLastElement(t *testing.T) {
	s := New[int](Options{})
	put(t, s, "pool", 1, roundRobin())
	s.Remove("pool", 1, Deregistered)
	if _, known := s.Select(nil, "pool", 1); known {
		t.Error("the empty pool is known")
	}
	put(t, s, "pool", 1, leastUsed(5))
}

func TestPutCopies(t *testing.T) {
	first, second := netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("10.0.1.2")
	for _, asapToo := range []bool{true, false} { // equal addresses are kept once
		pe := element(1, 1, roundRobin())
		pe.User.Addrs = []netip.Addr{first}
		if asapToo {
			pe.ASAP.Addrs = []netip.Addr{first}
		}
		s := New[int](Options{})
		el, _, _ := s.Put("pool", &pe, Registered)
		want := pe.Clone()
		pe.User.Addrs[0] = second
		if !el.PoolElement.Equal(&want) {
			t.Errorf("a new PE is %v, want %v", el.PoolElement, want)
		}
		if _, kind, _ := s.Put("pool", &pe, Registered); kind != Updated || !el.PoolElement.Equal(&pe) {
			t.Errorf("Put = %v, PE is %v, want %v", kind, el.PoolElement, pe)
		}
		want = pe.Clone()
		pe.User.Addrs[0] = first
		if !el.PoolElement.Equal(&want) {
			t.Errorf("an updated PE is %v, want %v", el.PoolElement, want)
		}
		pe.ASAP.Addrs = []netip.Addr{second}
		s.Put("pool", &pe, Registered)
		want = pe.Clone()
		pe.ASAP.Addrs[0] = first
		if !el.PoolElement.Equal(&want) {
			t.Errorf("a PE with another ASAP address is %v, want %v", el.PoolElement, want)
		}
	}
}

// What the user of the Space keeps with a PE survives its updates.
func TestValueStays(t *testing.T) {
	s := New[int](Options{})
	el := put(t, s, "pool", 1, leastUsed(1))
	el.Param, el.Value = []byte("encoded"), 42
	if again := put(t, s, "pool", 1, leastUsed(2)); again != el || el.Value != 42 || len(el.Param) != 0 {
		t.Errorf("after an update, the PE is %+v", again)
	}
}

func TestSelectOfNothing(t *testing.T) {
	for _, policy := range modelPolicies {
		s := New[int](Options{})
		put(t, s, "pool", 1, protocol.Policy{Type: policy, Weight: 0})
		for _, n := range []int{0, -1, math.MinInt} {
			if got, known := s.Select(nil, "pool", n); len(got) != 0 || !known {
				t.Errorf("%v: Select(%d) = %v, %v, want nothing from a known pool", policy, n, got, known)
			}
		}
		if got, known := s.Select(nil, "other", 1); len(got) != 0 || known {
			t.Errorf("%v: Select of an unknown pool = %v, %v", policy, got, known)
		}
	}
}

func TestChanges(t *testing.T) {
	s := New[int](Options{})
	var got []string
	s.OnChange = func(c Change[int]) {
		got = append(got, fmt.Sprintf("%v %v %v: %v, home %v to %v", c.Element.Handle, uint32(c.Element.ID), c.Kind, c.Reason, uint32(c.OldHome), uint32(c.Element.Home)))
	}
	el := put(t, s, "pool", 1, leastUsed(1))
	put(t, s, "pool", 1, leastUsed(1)) // says nothing new
	put(t, s, "pool", 1, leastUsed(2))
	s.SetHome(el, 2, TakenOver)
	s.SetHome(el, 2, TakenOver) // is there already
	pe := element(1, 3, leastUsed(2))
	s.Put("pool", &pe, Synchronized)
	s.Remove("pool", 1, KeepAliveLost)
	s.Remove("pool", 1, KeepAliveLost) // is gone already
	want := []string{
		"pool 1 added: registered, home 1 to 1",
		"pool 1 updated: registered, home 1 to 1",
		"pool 1 home changed: taken over, home 1 to 2",
		"pool 1 updated: synchronized, home 2 to 3",
		"pool 1 removed: keep-alive lost, home 3 to 3",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestChangeString(t *testing.T) {
	s := New[int](Options{})
	el := put(t, s, "pool", 1, roundRobin())
	c := Change[int]{HomeChanged, TakenOver, el, 2}
	want := `home changed in "pool": PE 0x00000001 home 0x00000001 life 30s at sctp 10.0.0.1:7, RoundRobin, asap sctp 10.0.0.1:3863 (taken over), home was 0x00000002`
	if got := c.String(); got != want {
		t.Errorf("String() = %s\nwant       %s", got, want)
	}
}

func TestNamesOfKindsAndReasons(t *testing.T) {
	kinds := []string{"unchanged", "added", "updated", "removed", "home changed", "change(5)"}
	for i, want := range kinds {
		if got := ChangeKind(i).String(); got != want {
			t.Errorf("ChangeKind(%d) is %q, want %q", i, got, want)
		}
	}
	reasons := []string{"registered", "deregistered", "association lost", "keep-alive lost", "reported unreachable", "expired", "taken over", "synchronized", "reason(8)"}
	for i, want := range reasons {
		if got := Reason(i).String(); got != want {
			t.Errorf("Reason(%d) is %q, want %q", i, got, want)
		}
	}
}

// Selections and re-registrations are what a registrar does all day.
func TestNoAllocation(t *testing.T) {
	for _, policy := range modelPolicies {
		s := New[int](Options{})
		pe := element(0, 1, protocol.Policy{Type: policy, Weight: 3})
		for pe.ID < 500 {
			pe.ID++
			s.Put("pool", &pe, Registered)
		}
		dst := make([]*Element[int], 0, 500)
		for _, n := range []int{1, 3, 500} {
			if got := testing.AllocsPerRun(100, func() { s.Select(dst, "pool", n) }); got != 0 {
				t.Errorf("%v: Select(%d) allocates %v times", policy, n, got)
			}
		}
		if got := testing.AllocsPerRun(100, func() { s.Put("pool", &pe, Registered) }); got != 0 {
			t.Errorf("%v: an unchanged re-registration allocates %v times", policy, got)
		}
		if got := testing.AllocsPerRun(100, func() {
			pe.Policy.Load++
			s.Put("pool", &pe, Registered)
		}); got != 0 {
			t.Errorf("%v: a re-registration with another load allocates %v times", policy, got)
		}
	}
}
