package handlespace

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// duel runs the same operations on a Space and a model, and compares them after
// each. The bytes of script choose the operations; it ends with them.
type duel struct {
	t      *testing.T
	policy protocol.PolicyType
	ids    int // PEs are 1 to ids
	script []byte
	steps  int
	space  *Space[int]
	model  *model
	told   map[peKey]protocol.PoolElement // what the changes add up to
	last   Change[int]
	tells  int
}

type peKey struct {
	handle protocol.PoolHandle
	id     protocol.PEID
}

var (
	modelHandles = []protocol.PoolHandle{"A", "long"}
	modelValues  = []uint32{0, 0, 1, 1, 2, 3, 5, 0x80000000, 0xffffffff}
)

func newDuel(t *testing.T, policy protocol.PolicyType, increment, ids int) *duel {
	d := &duel{
		t: t, policy: policy, ids: ids,
		space: New[int](Options{
			MaxIncrement: increment, Rand: rand.NewPCG(1, 2),
			Rules: map[protocol.PolicyType]Rule{ruledPolicy: modelRule},
		}),
		model: &model{increment: increment, pools: make(map[protocol.PoolHandle]*modelPool)},
		told:  make(map[peKey]protocol.PoolElement),
	}
	d.space.OnChange = d.change
	return d
}

// run follows the script, and returns after how many steps it ended.
func (d *duel) run(script []byte) int {
	for d.script = script; len(d.script) > 0; d.steps++ {
		d.step()
		d.compareChecksums()
		if d.steps%16 == 0 {
			d.compare()
		}
	}
	d.compare()
	return d.steps
}

// next takes a number below n from the script.
func (d *duel) next(n int) int {
	if len(d.script) == 0 {
		return 0
	}
	b := d.script[0]
	d.script = d.script[1:]
	return int(b) % n
}

func (d *duel) step() {
	handle := modelHandles[d.next(len(modelHandles))]
	id := protocol.PEID(1 + d.next(d.ids))
	switch d.next(12) {
	case 0, 1, 2:
		d.put(handle, d.element(id))
	case 3:
		if e := d.model.find(handle, id); e != nil {
			d.put(handle, e.pe)
		}
	case 4:
		d.remove(handle, id)
	case 5:
		d.setHome(handle, id, protocol.RegistrarID(d.next(3)))
	case 6:
		d.putInconsistent(handle, id)
	case 7:
		d.nearLimits(handle, id)
	default:
		d.selectPEs(handle, d.next(d.ids+3))
	}
}

func (d *duel) element(id protocol.PEID) protocol.PoolElement {
	p := protocol.Policy{Type: d.policy}
	fields, known := d.policy.Fields()
	for _, f := range fields {
		*p.Field(f) = modelValues[d.next(len(modelValues))]
	}
	if !known {
		p.Opaque = string([]byte{byte(d.next(4)), byte(d.next(3))})
	}
	return element(id, protocol.RegistrarID(d.next(3)), p)
}

func (d *duel) put(handle protocol.PoolHandle, pe protocol.PoolElement) {
	d.t.Helper()
	want := d.model.put(handle, pe)
	tells := d.tells
	el, got, err := d.space.Put(handle, &pe, Synchronized)
	if err != nil || got != want {
		d.t.Fatalf("Put(%q, %v) = %v, %v, want %v", handle, pe, got, err, want)
	}
	if el != d.space.Get(handle, pe.ID) || !el.PoolElement.Equal(&pe) || el.Handle != handle {
		d.t.Fatalf("Put(%q, %v) returned %v", handle, pe, el.PoolElement)
	}
	if told := d.tells - tells; (told == 1) != (want != Unchanged) || told > 1 {
		d.t.Fatalf("Put(%q, %v) told %d changes", handle, pe, told)
	}
	if want != Unchanged && (d.last.Kind != want || d.last.Reason != Synchronized || d.last.Element != el) {
		d.t.Fatalf("Put(%q, %v) told %v", handle, pe, d.last)
	}
}

func (d *duel) putInconsistent(handle protocol.PoolHandle, id protocol.PEID) {
	if d.model.pools[handle] == nil {
		return
	}
	pe := d.element(id)
	pe.User.Protocol = protocol.TCP
	var inconsistent *InconsistentError
	if _, _, err := d.space.Put(handle, &pe, Registered); !errors.As(err, &inconsistent) {
		d.t.Fatalf("Put of a TCP service = %v, want an *InconsistentError", err)
	}
}

func (d *duel) remove(handle protocol.PoolHandle, id protocol.PEID) {
	want := d.model.remove(handle, id)
	if got := d.space.Remove(handle, id, Expired); got != want {
		d.t.Fatalf("Remove(%q, %v) = %v, want %v", handle, id, got, want)
	}
	if d.space.Get(handle, id) != nil {
		d.t.Fatalf("%v is in %q after its removal", id, handle)
	}
}

func (d *duel) setHome(handle protocol.PoolHandle, id protocol.PEID, home protocol.RegistrarID) {
	if e := d.model.find(handle, id); e != nil {
		e.pe.Home = home
		d.space.SetHome(d.space.Get(handle, id), home, TakenOver)
	}
}

// nearLimits brings what counts in a pool near to where it cannot go on, as if
// the pool had been there for very long.
func (d *duel) nearLimits(handle protocol.PoolHandle, id protocol.PEID) {
	e := d.model.find(handle, id)
	if e == nil {
		return
	}
	switch sel := d.space.pools[handle].selector.(type) {
	case *weightedRing[int]:
		if sel.next <= lastRank/2 {
			sel.shift(lastRank - (sel.next/wholeRound+2)*wholeRound) // two rounds are left
		}
	case *sorted[int]:
		if e.selections > 0 && d.policy != ruledPolicy {
			e.selections = math.MaxUint32 - 2
			e.rank = modelRank(e)
			el := d.space.Get(handle, id)
			el.place.counter = math.MaxUint32 - 2
			sel.move(el, sel.rank(&el.Policy, el.place.counter))
			d.model.pools[handle].toBack(e)
		}
	case *weightedRandom[int]:
		if e.selections > 0 {
			e.selections = math.MaxUint32 - 2
			el := d.space.Get(handle, id)
			el.place.counter = math.MaxUint32 - 2
			sel.weights.add(int(el.place.index), sel.weigh(el)-sel.weights.get(int(el.place.index)))
		}
	}
}

func (d *duel) selectPEs(handle protocol.PoolHandle, n int) {
	_, wantKnown := d.model.pools[handle]
	sentinel := &Element[int]{}
	answer, known := d.space.Select([]*Element[int]{sentinel}, handle, n)
	if known != wantKnown || answer[0] != sentinel {
		d.t.Fatalf("Select(%q, %d): known is %v, want %v", handle, n, known, wantKnown)
	}
	var got []protocol.PEID
	for _, el := range answer[1:] {
		if el != d.space.Get(handle, el.ID) {
			d.t.Fatalf("Select(%q, %d) returned %v, which is not in the pool", handle, n, el.PoolElement)
		}
		got = append(got, el.ID)
	}
	if isRandom(d.policy) {
		d.checkDrawn(handle, n, got)
		return
	}
	if want := d.model.selectPEs(handle, n); !slices.Equal(got, want) {
		d.t.Fatalf("step %d: Select(%q, %d) = %v, want %v", d.steps, handle, n, got, want)
	}
	if w, ok := d.space.selectorOf(handle).(*weightedRing[int]); ok && w.next > lastRank+1 {
		d.t.Fatalf("step %d: the ranks of %q are at %#x and go on", d.steps, handle, w.next)
	}
}

// selectorOf returns the selector of a pool, or nil.
func (s *Space[V]) selectorOf(handle protocol.PoolHandle) selector[V] {
	if p := s.pools[handle]; p != nil {
		return p.selector
	}
	return nil
}

func isRandom(t protocol.PolicyType) bool {
	_, weighted := weightings[t]
	return weighted || t == protocol.Random
}

// checkDrawn checks what does not depend on chance. "Each element MUST NOT be reported
// more than once to the pool user" (RFC 5356 section 4.3.2), and those of weight 0 come
// last or not at all.
func (d *duel) checkDrawn(handle protocol.PoolHandle, n int, got []protocol.PEID) {
	if d.model.pools[handle] == nil {
		return
	}
	positive, all := 0, d.model.pools[handle].list
	for _, e := range all {
		if modelWeight(e).Sign() > 0 {
			positive++
		}
	}
	want := min(n, positive)
	if weightings[d.policy].lastResort {
		want = min(n, len(all))
	}
	if len(got) != want {
		d.t.Fatalf("Select(%q, %d) = %v, want %d PEs, of which %d have a weight", handle, n, got, want, positive)
	}
	for i, id := range got {
		e := d.model.find(handle, id)
		if slices.Contains(got[:i], id) || (modelWeight(e).Sign() > 0) != (i < positive) {
			d.t.Fatalf("Select(%q, %d) = %v: %v is there twice, or weighs %v, %d have a weight", handle, n, got, id, modelWeight(e), positive)
		}
	}
	for _, id := range got {
		e := d.model.find(handle, id)
		e.selections = min(e.selections+1, math.MaxUint32)
	}
	d.compareWeights(handle)
}

// compareWeights checks that what is drawn from is what the policy says. That drawing
// follows it is shown by TestRandomProbabilities.
func (d *duel) compareWeights(handle protocol.PoolHandle) {
	w, ok := d.space.pools[handle].selector.(*weightedRandom[int])
	if !ok {
		return
	}
	for i, el := range w.elements {
		if want := modelWeight(d.model.find(handle, el.ID)); w.weights.get(i) != want.Uint64() || int(el.place.index) != i {
			d.t.Fatalf("step %d: %v in %q weighs %d, want %v", d.steps, el.PoolElement, handle, w.weights.get(i), want)
		}
	}
}

// change adds a change up to what was told.
func (d *duel) change(c Change[int]) {
	d.last = c
	d.tells++
	key := peKey{c.Element.Handle, c.Element.ID}
	old, known := d.told[key]
	switch {
	case known == (c.Kind == Added):
		d.t.Fatalf("%v, but known is %v", c, known)
	case known && old.Home != c.OldHome:
		d.t.Fatalf("%v, but the old home is %v, not %v", c, old.Home, c.OldHome)
	case c.Kind == Removed:
		delete(d.told, key)
		return
	}
	d.told[key] = c.Element.PoolElement.Clone()
}

func (d *duel) compareChecksums() {
	for home := range protocol.RegistrarID(3) {
		if got, want := d.space.Checksum(home), d.model.checksum(home); got != want {
			d.t.Fatalf("checksum of %v is %#04x, want %#04x", home, got, want)
		}
	}
}

// compare checks that Space, model and changes agree on all PEs.
func (d *duel) compare() {
	d.t.Helper()
	handles := slices.SortedFunc(maps.Keys(d.model.pools), func(a, b protocol.PoolHandle) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	var want []peKey
	for _, handle := range handles {
		list := slices.SortedFunc(slices.Values(d.model.pools[handle].list), func(a, b *modelPE) int { return cmp.Compare(a.pe.ID, b.pe.ID) })
		for _, e := range list {
			key := peKey{handle, e.pe.ID}
			want = append(want, key)
			if told, ok := d.told[key]; !ok || !told.Equal(&e.pe) {
				d.t.Fatalf("%v was told to be %v, want %v", key, told, e.pe)
			}
		}
	}
	var got []peKey
	for el := range d.space.After("", 0) {
		got = append(got, peKey{el.Handle, el.ID})
	}
	if !slices.Equal(got, want) || d.space.Len() != len(want) || len(d.told) != len(want) {
		d.t.Fatalf("PEs are %v (%d), want %v", got, d.space.Len(), want)
	}
}

// modelPolicies are all policies, one of the user's own, and one that is not known.
var modelPolicies = []protocol.PolicyType{
	protocol.RoundRobin, protocol.WeightedRoundRobin, protocol.Random, protocol.WeightedRandom, protocol.Priority,
	protocol.LeastUsed, protocol.LeastUsedDegradation, protocol.PriorityLeastUsed, protocol.RandomizedLeastUsed,
	protocol.RandomizedPriorityLeastUsed, protocol.RandomizedLeastUsedDegradation,
	protocol.PriorityLeastUsedDegradation, protocol.RandomizedPriorityLeastUsedDegradation,
	protocol.WeightedRandomDPF, protocol.LeastUsedDPF, protocol.LeastUsedDegradationDPF,
	ruledPolicy, unknownPolicy,
}

// modelShare divides the operations of TestModel, for the race detector.
var modelShare = 1

// More than 100,000 operations for each policy: in pools of up to 8 PEs, where all is
// full of equals, changes and ends, and in pools of up to 60.
func TestModel(t *testing.T) {
	for _, policy := range modelPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			operations := 0
			for _, increment := range []int{1, 2, math.MaxInt} {
				r := rand.New(rand.NewPCG(uint64(policy), uint64(increment)))
				operations += newDuel(t, policy, increment, 8).run(randomScript(r, 165_000/modelShare))
				operations += newDuel(t, policy, increment, 60).run(randomScript(r, 8_000/modelShare))
			}
			if want := 100_000 / modelShare; operations < want {
				t.Errorf("only %d operations, want %d", operations, want)
			}
		})
	}
}

func randomScript(r *rand.Rand, size int) []byte {
	script := make([]byte, size)
	for i := range script {
		script[i] = byte(r.Uint32())
	}
	return script
}

func FuzzModel(f *testing.F) {
	for policy := range modelPolicies {
		f.Add(uint8(policy), uint8(1), []byte{0, 1, 0, 0, 1, 0, 2, 0, 1, 2, 0, 0, 9, 2})
	}
	f.Fuzz(func(t *testing.T, policy, increment uint8, script []byte) {
		newDuel(t, modelPolicies[int(policy)%len(modelPolicies)], 1+int(increment), 8).run(script)
	})
}
