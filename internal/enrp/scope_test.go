package enrp

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/wire"
)

// scope is an operation scope in memory: registrars, PEs, and the network between them, all of
// them values under one clock. Everything that happens is an event at a time; nothing waits.
type scope struct {
	testing.TB
	now     time.Time
	rand    *rand.Rand
	latency time.Duration
	visit   time.Duration // how long the visit to an adopted PE may take
	events  eventQueue
	seq     int
	nodes   []*node
	cuts    map[[2]int]bool
	members []*member
	lose    float64          // the share of HANDLE_UPDATEs that do not arrive
	trace   func(s string)   // nil: none
	group   bool             // whether there is a multicast group
	watch   func(*node, any) // sees every event that an engine tells
}

// node is a registrar with its ENRP half, and a stand-in for the other one.
type node struct {
	*Engine[int]
	*scope
	index   int
	id      protocol.RegistrarID
	addr    protocol.TransportAddr
	space   *handlespace.Space[int]
	effects effect.Queue
	alive   bool
	ends    map[effect.AssocID]*end
	next    effect.AssocID
	told    []any
}

// end is a node's end of an association; far is nil while it is dialed.
type end struct {
	id   effect.AssocID
	node *node
	far  *end
	gone bool
	held [][]byte // sent while the network was cut
}

// member is a PE. It has an association to one registrar at most.
type member struct {
	handle protocol.PoolHandle
	pe     protocol.PoolElement
	home   *node // nil: none
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].seq, q[j].seq)) < 0
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func newScope(t testing.TB, seed uint64) *scope {
	return &scope{
		TB:      t,
		now:     time.Unix(1e9, 0),
		rand:    rand.New(rand.NewPCG(seed, 0)),
		latency: time.Millisecond,
		visit:   time.Millisecond,
		cuts:    make(map[[2]int]bool),
	}
}

func testConfig(id protocol.RegistrarID) Config {
	return Config{
		ID:                      id,
		Rand:                    rand.New(rand.NewPCG(uint64(id), 1)),
		PeerHeartbeatCycle:      2444 * time.Millisecond,
		PeerMaxTimeLastHeard:    5 * time.Second,
		PeerMaxTimeNoResponse:   5 * time.Second,
		MentorDiscoveryTimeout:  5 * time.Second,
		TakeoverExpiryInterval:  5 * time.Second,
		MaxElementsPerHTRequest: 128,
		MinAddressScope:         protocol.ScopeSiteLocal,
		MaxElements:             1 << 20,
		MaxPeers:                128,
		Distance:                func(effect.AssocID) uint32 { return 0 },
	}
}

// addr is where the registrar or the PE of a number is.
func addr(number int, port uint16) protocol.TransportAddr {
	a := netip.AddrFrom4([4]byte{10, 0, byte(number >> 8), byte(number)})
	return protocol.TransportAddr{Protocol: protocol.SCTP, Port: port, Addrs: []netip.Addr{a}}
}

// add makes a registrar of an identifier, not started yet.
func (s *scope) add(id protocol.RegistrarID, tune ...func(*Config)) *node {
	n := &node{scope: s, index: len(s.nodes) + 1, id: id, ends: make(map[effect.AssocID]*end)}
	n.addr = addr(n.index, protocol.PortENRP)
	n.space = handlespace.New[int](handlespace.Options{})
	cfg := testConfig(id)
	for _, f := range tune {
		f(&cfg)
	}
	n.Engine = New(cfg, Owner[int]{Adopt: n.adopted, Release: n.released}, n.space, &n.effects)
	s.nodes = append(s.nodes, n)
	return n
}

// started starts n with static peers.
func (n *node) started(static ...*node) *node {
	n.alive = true
	for _, p := range static {
		n.AddPeer(n.now, p.addr)
	}
	n.Start(n.now, n.addr, n.group)
	n.drain()
	return n
}

// at plans an event.
func (s *scope) at(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.events, event{s.now.Add(d), s.seq, do})
}

// run lets time pass: events in their order, and every registrar's deadlines.
func (s *scope) run(d time.Duration) {
	end := s.now.Add(d)
	for {
		next, who := end, (*node)(nil)
		if len(s.events) > 0 && !s.events[0].at.After(next) {
			next = s.events[0].at
		}
		for _, n := range s.nodes {
			if at := n.Deadline(); n.alive && !at.IsZero() && at.Before(next) {
				next, who = at, n
			}
		}
		if next.After(s.now) {
			s.now = next
		}
		switch {
		case who != nil:
			who.Advance(s.now)
			who.drain()
			if due(who.Deadline(), s.now) {
				s.Fatalf("registrar %v is due at %v again", who.id, s.now)
			}
		case len(s.events) > 0 && !s.events[0].at.After(s.now):
			heap.Pop(&s.events).(event).do()
		default:
			return
		}
	}
}

func (s *scope) isCut(a, b int) bool { return s.cuts[[2]int{min(a, b), max(a, b)}] }

// cut stops all that is sent between two registrars. Their association is lost after 3 s.
func (s *scope) cut(a, b *node) { s.cuts[[2]int{min(a.index, b.index), max(a.index, b.index)}] = true }

func (s *scope) heal(a, b *node) {
	delete(s.cuts, [2]int{min(a.index, b.index), max(a.index, b.index)})
	for _, e := range sortedEnds(a) {
		if e.far != nil && e.far.node == b {
			e.flush()
			e.far.flush()
		}
	}
}

func sortedEnds(n *node) []*end {
	return slices.SortedFunc(maps.Values(n.ends), func(a, b *end) int { return cmp.Compare(a.id, b.id) })
}

// drain performs what n's engine wants done.
func (n *node) drain() {
	for e, ok := n.effects.Next(); ok; e, ok = n.effects.Next() {
		switch e.Kind {
		case effect.Send:
			if near := n.ends[e.Assoc]; near != nil && near.far != nil {
				near.send(slices.Clone(e.Data))
			}
		case effect.Dial:
			n.dialed(e.Assoc, e.To)
		case effect.Close, effect.Abort:
			n.end(n.ends[e.Assoc])
		case effect.Announce:
			n.announced(slices.Clone(e.Data))
		case effect.Tell:
			n.told = append(n.told, e.Event)
			if n.watch != nil {
				n.watch(n, e.Event)
			}
		}
	}
}

func (n *node) text(data []byte) wire.Message {
	var d wire.Decoder
	m, err := d.ENRP(data)
	if err != nil {
		n.Fatalf("registrar %v sends %x: %v", n.id, data, err)
	}
	return m
}

func (n *node) note(format string, args ...any) {
	if n.trace != nil {
		n.trace(fmt.Sprintf("%v %v: ", n.now.Sub(time.Unix(1e9, 0)), n.id) + fmt.Sprintf(format, args...))
	}
}

func (e *end) send(data []byte) {
	n, far := e.node, e.far
	if m, isUpdate := n.text(data).(*wire.HandleUpdate); isUpdate && !m.TakeoverSuggested && n.rand.Float64() < n.lose {
		return
	}
	if n.isCut(n.index, far.node.index) {
		e.held = append(e.held, data)
		n.at(3*time.Second, func() { e.timeout() })
		return
	}
	n.note("sends %v", n.text(data))
	n.at(n.latency, func() {
		if far.gone || !far.node.alive { // its machine does not know the association
			e.lost(transport.ErrAborted)
		} else {
			far.node.HandleMessage(n.now, far.id, protocol.PPIDENRP, data)
			clear(data)
			far.node.drain()
		}
	})
}

// timeout loses an association that has something to send and is still cut.
func (e *end) timeout() {
	if !e.gone && len(e.held) > 0 {
		e.lost(transport.ErrLost)
	}
}

func (e *end) flush() {
	held := e.held
	e.held = nil
	for _, data := range held {
		if !e.gone {
			e.send(data)
		}
	}
}

// lost ends e and tells its engine.
func (e *end) lost(err error) {
	if e.gone || !e.node.alive {
		return
	}
	e.gone = true
	delete(e.node.ends, e.id)
	e.node.HandleLost(e.node.now, e.id, err)
	e.node.drain()
}

// end ends an association from n's side; the other side hears of it, or finds out.
func (n *node) end(e *end) {
	if e == nil {
		return
	}
	e.gone = true
	delete(n.ends, e.id)
	if far := e.far; far != nil {
		n.at(n.latency, func() {
			if !n.isCut(n.index, far.node.index) {
				far.lost(transport.ErrAborted)
			}
		})
	}
}

func (n *node) dialed(id effect.AssocID, to protocol.TransportAddr) {
	near := &end{id: id, node: n}
	n.ends[id] = near
	n.at(n.latency, func() {
		i := slices.IndexFunc(n.nodes, func(p *node) bool { return sameHost(p.addr, to) && p.alive })
		known := slices.ContainsFunc(n.nodes, func(p *node) bool { return sameHost(p.addr, to) && !n.isCut(n.index, p.index) })
		switch {
		case near.gone || !n.alive:
		case i < 0 && known:
			near.lost(syscall.ECONNREFUSED)
		case i < 0 || n.isCut(n.index, n.nodes[i].index): // nobody answers
		default:
			n.connect(near, n.nodes[i])
		}
	})
}

func (n *node) connect(near *end, peer *node) {
	peer.next++
	far := &end{id: peer.next, node: peer, far: near}
	near.far = far
	peer.ends[far.id] = far
	peer.HandleUp(n.now, far.id, peer.addr, n.addr)
	n.HandleUp(n.now, near.id, n.addr, peer.addr)
	peer.drain()
	n.drain()
}

func (n *node) announced(data []byte) {
	for _, p := range n.nodes {
		n.at(n.latency, func() {
			if p.alive && p.group && !n.isCut(n.index, p.index) {
				p.HandleDatagram(n.now, n.addr.AddrPort(), data)
				p.drain()
			}
		})
	}
}

// kill ends n as kill -9 does: its machine answers for it.
func (s *scope) kill(n *node) {
	n.alive = false
	for _, e := range sortedEnds(n) {
		n.end(e)
	}
	for _, m := range s.members {
		if m.home == n {
			m.home = nil
		}
	}
}

// register gives a PE a home, or renews its registration there.
func (s *scope) register(m *member, n *node) {
	old := m.home
	m.home = n
	pe := m.pe
	pe.Home = n.id
	if el, _, err := n.space.Put(m.handle, &pe, handlespace.Registered); err == nil {
		n.Registered(s.now, el)
		n.drain()
	} else {
		m.home = nil
	}
	if old != nil && old != n {
		s.at(s.latency, func() { s.left(m, old) })
	}
}

// left is the end of m's association to n.
func (s *scope) left(m *member, n *node) {
	if el := n.space.Get(m.handle, m.pe.ID); el != nil && n.alive && m.home != n && el.Home == n.id {
		n.space.Remove(m.handle, m.pe.ID, handlespace.AssociationLost)
		n.Removed(s.now, el)
		n.drain()
	}
}

// adopted is the other half's visit to a PE.
func (n *node) adopted(_ time.Time, el *handlespace.Element[int]) {
	i := slices.IndexFunc(n.members, func(m *member) bool { return m.handle == el.Handle && m.pe.ID == el.ID })
	n.at(2*n.latency+time.Duration(n.rand.Int64N(int64(n.visit))), func() {
		if n.space.Get(el.Handle, el.ID) != el || el.Home != n.id || !n.alive {
			return
		}
		if i < 0 {
			n.space.Remove(el.Handle, el.ID, handlespace.KeepAliveLost)
			n.Removed(n.now, el)
			n.drain()
			return
		}
		m := n.members[i]
		old := m.home
		m.home = n
		n.Registered(n.now, el)
		n.drain()
		if old != nil && old != n {
			n.left(m, old)
		}
	})
}

// released: another registrar is the home now, and the PE, which answers its visit, has ended its
// association here or will do so.
func (n *node) released(el *handlespace.Element[int]) {
	if el.Home == n.id {
		n.Errorf("released %q/%v, whose home is %v still", el.Handle, el.ID, el.Home)
	}
}

// member makes a PE of a number.
func (s *scope) member(handle protocol.PoolHandle, id protocol.PEID) *member {
	m := &member{handle: handle, pe: protocol.PoolElement{
		ID:     id,
		Life:   30 * time.Second,
		User:   addr(int(id)+1000, 7),
		ASAP:   addr(int(id)+1000, 4000),
		Policy: protocol.Policy{Type: protocol.RoundRobin},
	}}
	s.members = append(s.members, m)
	return m
}

// table prints a handlespace: each PE and its home.
func (n *node) table() string {
	var b strings.Builder
	for el := range n.space.After("", 0) {
		fmt.Fprintf(&b, "%s/%d@%d ", el.Handle, el.ID, el.Home)
	}
	return strings.TrimSpace(b.String())
}

// wantTable compares the handlespaces of all living registrars.
func (s *scope) wantTable(want string) {
	s.Helper()
	for _, n := range s.nodes {
		if got := n.table(); n.alive && got != want {
			s.Errorf("registrar %v has %q, want %q", n.id, got, want)
		}
	}
}

// wantTold checks that n has told an event.
func (n *node) wantTold(want any) {
	n.Helper()
	if !slices.ContainsFunc(n.told, func(got any) bool { return fmt.Sprintf("%#v", got) == fmt.Sprintf("%#v", want) }) {
		n.Errorf("registrar %v has told %+v, want %+v", n.id, n.told, want)
	}
}
