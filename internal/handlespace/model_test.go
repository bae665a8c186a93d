package handlespace

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// model is a handlespace as obvious and slow as it can be: it sorts whenever it
// selects and sums up whenever it is asked.
type model struct {
	increment int
	seq       uint64
	pools     map[protocol.PoolHandle][]*modelPE
}

type modelPE struct {
	pe      protocol.PoolElement
	seq     uint64
	counter uint64 // LeastUsedDegradation
	r       uint64 // WeightedRoundRobin: round
	v       uint32 // and what is left of the weight
}

func (m *model) find(handle protocol.PoolHandle, id protocol.PEID) *modelPE {
	for _, e := range m.pools[handle] {
		if e.pe.ID == id {
			return e
		}
	}
	return nil
}

func (m *model) put(handle protocol.PoolHandle, pe protocol.PoolElement) ChangeKind {
	e := m.find(handle, pe.ID)
	if e == nil {
		m.seq++
		e = &modelPE{pe: pe, seq: m.seq, v: pe.Policy.Weight}
		if others := m.sorted(handle); len(others) > 0 {
			e.r = others[0].r
		}
		e.step()
		m.pools[handle] = append(m.pools[handle], e)
		return Added
	}
	old := e.pe
	e.pe, e.counter = pe, 0
	if old.Policy != pe.Policy {
		e.v = min(e.v, pe.Policy.Weight)
		e.step()
	}
	if old.Equal(pe) {
		return Unchanged
	}
	return Updated
}

func (e *modelPE) step() {
	if e.v > 1 {
		e.v--
	} else {
		e.r, e.v = e.r+1, e.pe.Policy.Weight
	}
}

func (m *model) remove(handle protocol.PoolHandle, id protocol.PEID) bool {
	before := len(m.pools[handle])
	after := slices.DeleteFunc(m.pools[handle], func(e *modelPE) bool { return e.pe.ID == id })
	m.pools[handle] = after
	if len(after) == 0 {
		delete(m.pools, handle)
	}
	return len(after) < before
}

// key is what the PEs of a pool are sorted by, before seq.
func (e *modelPE) key() (uint64, uint64) {
	p := e.pe.Policy
	switch p.Type {
	case protocol.WeightedRoundRobin:
		return e.r, uint64(e.v)
	case protocol.Priority:
		return 0xffffffff - uint64(p.Priority), 0
	case protocol.LeastUsed:
		return uint64(p.Load), 0
	case protocol.LeastUsedDegradation:
		return uint64(p.Load) + e.counter*uint64(p.Degradation), 0
	}
	return 0, 0
}

func (m *model) sorted(handle protocol.PoolHandle) []*modelPE {
	return slices.SortedFunc(slices.Values(m.pools[handle]), func(a, b *modelPE) int {
		a1, a2 := a.key()
		b1, b2 := b.key()
		return cmp.Or(cmp.Compare(a1, b1), cmp.Compare(a2, b2), cmp.Compare(a.seq, b.seq))
	})
}

func (m *model) selectPEs(handle protocol.PoolHandle, n int) []protocol.PEID {
	list := m.sorted(handle)
	list = list[:min(n, len(list))]
	var answer []protocol.PEID
	for i, e := range list {
		answer = append(answer, e.pe.ID)
		e.counter++
		if i < m.increment {
			m.seq++
			e.seq = m.seq
			e.step()
			e.step()
		}
	}
	return answer
}

// checksum is the Internet checksum over the bytes that RFC 5353 section 3.6.2
// lists: each handle, padded with zeros to whole 32-bit words, and the PE ID.
func (m *model) checksum(home protocol.RegistrarID) uint16 {
	var block []byte
	for handle, list := range m.pools {
		for _, e := range list {
			if e.pe.Home != home {
				continue
			}
			block = append(block, handle...)
			for len(block)%4 != 0 {
				block = append(block, 0)
			}
			block = binary.BigEndian.AppendUint32(block, uint32(e.pe.ID))
		}
	}
	sum := uint32(0)
	for ; len(block) > 0; block = block[2:] {
		sum += uint32(binary.BigEndian.Uint16(block))
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// duel runs the same operations on a Space and a model, and compares them after
// each. The bytes of script choose the operations; it ends with them.
type duel struct {
	t      *testing.T
	policy protocol.PolicyType
	ids    int // PEs are 1 to ids
	script []byte
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
	modelHandles = []protocol.PoolHandle{"B", "A", "long", "odd"}
	modelValues  = []uint32{0, 1, 1, 2, 3, 5, 0x80000000, 0xffffffff}
)

func runDuel(t *testing.T, policy protocol.PolicyType, increment, ids int, script []byte) {
	d := &duel{
		t: t, policy: policy, ids: ids, script: script,
		space: New[int](Options{MaxIncrement: increment, Rand: rand.NewPCG(1, 2)}),
		model: &model{increment: increment, pools: make(map[protocol.PoolHandle][]*modelPE)},
		told:  make(map[peKey]protocol.PoolElement),
	}
	d.space.OnChange = d.change
	for len(d.script) > 0 {
		d.step()
		d.compare()
	}
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
	switch d.next(10) {
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
	default:
		d.selectPEs(handle, d.next(15))
	}
}

func (d *duel) element(id protocol.PEID) protocol.PoolElement {
	p := protocol.Policy{Type: d.policy}
	fields, _ := d.policy.Fields()
	for _, f := range fields {
		*p.Field(f) = modelValues[d.next(len(modelValues))]
	}
	return element(id, protocol.RegistrarID(d.next(3)), p)
}

func (d *duel) put(handle protocol.PoolHandle, pe protocol.PoolElement) {
	d.t.Helper()
	want := d.model.put(handle, pe)
	tells := d.tells
	el, got, err := d.space.Put(handle, pe, Synchronized)
	if err != nil || got != want {
		d.t.Fatalf("Put(%q, %v) = %v, %v, want %v", handle, pe, got, err, want)
	}
	if el != d.space.Get(handle, pe.ID) || !el.PoolElement.Equal(pe) || el.Handle != handle {
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
	if _, _, err := d.space.Put(handle, pe, Registered); !errors.As(err, &inconsistent) {
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

func (d *duel) selectPEs(handle protocol.PoolHandle, n int) {
	d.t.Helper()
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
	if d.policy == protocol.Random || d.policy == protocol.WeightedRandom {
		d.checkDrawn(handle, n, got)
		return
	}
	if want := d.model.selectPEs(handle, n); !slices.Equal(got, want) {
		d.t.Fatalf("Select(%q, %d) = %v, want %v", handle, n, got, want)
	}
}

// checkDrawn checks what does not depend on chance: "Each element MUST NOT be
// reported more than once to the pool user" (RFC 5356 section 4.3.2).
func (d *duel) checkDrawn(handle protocol.PoolHandle, n int, got []protocol.PEID) {
	eligible := make(map[protocol.PEID]bool)
	for _, e := range d.model.pools[handle] {
		if d.policy == protocol.Random || e.pe.Policy.Weight > 0 {
			eligible[e.pe.ID] = true
		}
	}
	if want := min(n, len(eligible)); len(got) != want {
		d.t.Fatalf("Select(%q, %d) = %v, want %d PEs", handle, n, got, want)
	}
	for _, id := range got {
		if !eligible[id] {
			d.t.Fatalf("Select(%q, %d) = %v: %v twice or of weight 0", handle, n, got, id)
		}
		delete(eligible, id)
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

// compare checks that Space, model and changes agree.
func (d *duel) compare() {
	d.t.Helper()
	handles := slices.SortedFunc(maps.Keys(d.model.pools), func(a, b protocol.PoolHandle) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	var want []peKey
	for _, handle := range handles {
		list := slices.SortedFunc(slices.Values(d.model.pools[handle]), func(a, b *modelPE) int { return cmp.Compare(a.pe.ID, b.pe.ID) })
		for _, e := range list {
			key := peKey{handle, e.pe.ID}
			want = append(want, key)
			if told, ok := d.told[key]; !ok || !told.Equal(e.pe) {
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
	for home := range protocol.RegistrarID(3) {
		if got, want := d.space.Checksum(home), d.model.checksum(home); got != want {
			d.t.Fatalf("checksum of %v is %#04x, want %#04x", home, got, want)
		}
	}
}

var modelPolicies = []protocol.PolicyType{
	protocol.RoundRobin, protocol.WeightedRoundRobin, protocol.Random, protocol.WeightedRandom,
	protocol.Priority, protocol.LeastUsed, protocol.LeastUsedDegradation,
}

func TestModel(t *testing.T) {
	for _, policy := range modelPolicies {
		for _, increment := range []int{1, 2, 1 << 30} {
			t.Run(fmt.Sprintf("%v/increment %d", policy, increment), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(policy), uint64(increment)))
				for range 3 {
					runDuel(t, policy, increment, 12, randomScript(r, 2000))
				}
				runDuel(t, policy, increment, 100, randomScript(r, 6000)) // larger pools
			})
		}
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
		runDuel(t, modelPolicies[int(policy)%len(modelPolicies)], 1+int(increment), 12, script)
	})
}
