package registrar

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/enrp"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/wire"
)

// bus is an operation scope as values under one clock: engines of registrars and PEs, and the
// network between them. Everything is an event at a time; nothing waits. There is no multicast.
//
// A message arrives after 1 ms, over a cut when that is healed. A cut of 3 s ends associations.
type bus struct {
	testing.TB
	now   time.Time
	begin time.Time
	nodes []*node // in the order of their beginning
	plan  []event // in the order of their times
	cuts  map[[2]*node]int
	cut   int // cuts made until now

	reregistration time.Duration // of PEs; their registration life is three times as long

	drop  func(from, to *node, m wire.Message) bool
	trace func(from, to *node, what fmt.Stringer, how string) // of a message, or what a node tells
}

const (
	busLatency  = time.Millisecond
	busPatience = 3 * time.Second
)

type event struct {
	at time.Time
	do func()
}

// node is a registrar or a PE.
type node struct {
	*bus
	loop.Engine
	name      string
	addr      netip.Addr
	registrar *Engine // nil: a PE
	client    *asap.Client
	alive     bool
	ends      map[effect.AssocID]*end
	accepted  effect.AssocID
	told      func(any) // nil: nobody listens
}

// end is a node's end of an association, or of one being dialed, which has no far end.
type end struct {
	id   effect.AssocID
	node *node
	far  *end
	to   *node // that is dialed; nil: no machine is there
	over bool
	held []func() // arrivals from here that wait for the end of a cut
}

func newBus(t testing.TB) *bus {
	begin := time.Unix(1e9, 0)
	return &bus{
		TB: t, now: begin, begin: begin, cuts: make(map[[2]*node]int), reregistration: 30 * time.Second,
		drop:  func(*node, *node, wire.Message) bool { return false },
		trace: func(*node, *node, fmt.Stringer, string) {},
	}
}

func (b *bus) add(name string, addr netip.Addr) *node {
	n := &node{bus: b, name: name, addr: addr, alive: true, ends: make(map[effect.AssocID]*end)}
	b.nodes = append(b.nodes, n)
	return n
}

// addRegistrar makes a registrar, not started yet, that lives at 10.0.0.id.
func (b *bus) addRegistrar(id protocol.RegistrarID, page int) *node {
	n := b.add(fmt.Sprintf("R%d", id), netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}))
	rand := rand.New(rand.NewPCG(uint64(id), 0))
	n.registrar = New(Config{
		Home: asap.HomeConfig{
			ID: id, Rand: rand,
			EndpointKeepAliveTransmissionInterval: 5 * time.Second,
			EndpointKeepAliveTimeoutInterval:      5 * time.Second,
			MaxBadPEReports:                       3,
			MaxHResItems:                          3,
			MinAddressScope:                       protocol.ScopeSiteLocal,
			MaxElements:                           1 << 20,
			AutoClose:                             300 * time.Second,
			Owner:                                 func(effect.AssocID) string { return "" },
			Distance:                              func(effect.AssocID) uint32 { return 0 },
			ServerAnnounceCycle:                   time.Second,
		},
		ENRP: enrp.Config{
			ID: id, Rand: rand,
			PeerHeartbeatCycle:      2444 * time.Millisecond,
			PeerMaxTimeLastHeard:    5 * time.Second,
			PeerMaxTimeNoResponse:   5 * time.Second,
			MentorDiscoveryTimeout:  5 * time.Second,
			TakeoverExpiryInterval:  5 * time.Second,
			MaxElementsPerHTRequest: page,
			MinAddressScope:         protocol.ScopeSiteLocal,
			MaxElements:             1 << 20,
			MaxPeers:                128,
			Distance:                func(effect.AssocID) uint32 { return 0 },
		},
		MaxIncrement: 1,
	})
	n.Engine = n.registrar
	return n
}

// addPE makes a PE that lives at 10.0.1.id and knows those registrars that known lists.
func (b *bus) addPE(id protocol.PEID, known func() []*node) *node {
	n := b.add(fmt.Sprintf("PE%d", id), netip.AddrFrom4([4]byte{10, 0, 1, byte(id)}))
	n.client = asap.NewClient(asap.ClientConfig{
		Registrars: func(time.Time) (addrs []protocol.TransportAddr) {
			for _, r := range known() {
				addrs = append(addrs, r.at(protocol.PPIDASAP))
			}
			return addrs
		},
		Rand:                  rand.New(rand.NewPCG(uint64(id), 1)),
		RequestTimeout:        3 * time.Second,
		ResponseTimeout:       3 * time.Second,
		MaxRequestAttempts:    2,
		ReregistrationTimeout: b.reregistration,
		HuntTimeout:           7500 * time.Millisecond,
		MaxHuntTimeout:        time.Minute,
	})
	n.Engine = n.client
	return n
}

// start begins a registrar's life, whose configuration names some peers.
func (n *node) start(peers []*node) {
	for _, p := range peers {
		n.registrar.AddPeer(n.now, p.at(protocol.PPIDENRP))
	}
	n.registrar.Start(n.now, n.at(protocol.PPIDENRP), false)
	n.drain()
}

// register makes a PE a member of a pool, or gives it a new policy.
func (n *node) register(handle protocol.PoolHandle, id protocol.PEID, policy protocol.Policy) {
	user := n.at(protocol.PPIDASAP)
	user.Port = 7000
	n.client.Register(n.now, handle, protocol.PoolElement{ID: id, User: user, Policy: policy})
	n.drain()
}

// at is where a service of n is served.
func (n *node) at(service protocol.PPID) protocol.TransportAddr {
	port := uint16(protocol.PortASAP)
	if service == protocol.PPIDENRP {
		port = protocol.PortENRP
	}
	return protocol.TransportAddr{Protocol: protocol.SCTP, Port: port, Addrs: []netip.Addr{n.addr}}
}

// later plans an event.
func (b *bus) later(wait time.Duration, do func()) {
	at := b.now.Add(wait)
	i, _ := slices.BinarySearchFunc(b.plan, at, func(e event, at time.Time) int {
		if e.at.After(at) {
			return 1
		}
		return -1 // behind those of the same time
	})
	b.plan = slices.Insert(b.plan, i, event{at, do})
}

// run lets time pass.
func (b *bus) run(wait time.Duration) {
	for end := b.now.Add(wait); ; {
		next, due := end, (*node)(nil)
		if len(b.plan) > 0 && !b.plan[0].at.After(next) {
			next = b.plan[0].at
		}
		for _, n := range b.nodes {
			if at := n.Deadline(); n.alive && !at.IsZero() && at.Before(next) {
				next, due = at, n
			}
		}
		b.now = cmp.Or(next, b.now)
		switch {
		case due != nil:
			due.Advance(b.now)
			due.drain()
			if at := due.Deadline(); !at.IsZero() && !at.After(b.now) {
				b.Fatalf("%s is due at %v again", due.name, b.now)
			}
		case len(b.plan) > 0 && !b.plan[0].at.After(b.now):
			do := b.plan[0].do
			b.plan = b.plan[1:]
			do()
		default:
			return
		}
	}
}

// drain performs what n's engine wants done.
func (n *node) drain() {
	for e, ok := n.Next(); ok; e, ok = n.Next() {
		switch e.Kind {
		case effect.Send:
			if near := n.ends[e.Assoc]; near != nil && near.far != nil {
				near.send(e.PPID, slices.Clone(e.Data))
			}
		case effect.Dial:
			n.dialed(e.Assoc, e.PPID, e.To)
		case effect.Close:
			n.ends[e.Assoc].end(io.EOF)
		case effect.Abort:
			n.ends[e.Assoc].end(transport.ErrAborted)
		case effect.Tell:
			n.trace(n, nil, tellText{e.Event}, "")
			if n.told != nil {
				n.told(e.Event)
			}
		}
	}
}

// send sends a message, which is lost if drop says so.
func (e *end) send(ppid protocol.PPID, data []byte) {
	n, far := e.node, e.far
	var d wire.Decoder
	decode := d.ASAP
	if ppid == protocol.PPIDENRP {
		decode = d.ENRP
	}
	m, err := decode(data)
	if err != nil {
		n.Fatalf("%s sends %x: %v", n.name, data, err)
	}
	if n.drop(n, far.node, m) {
		n.trace(n, far.node, m, "is lost: ")
		return
	}
	n.trace(n, far.node, m, "")
	e.transmit(func() {
		if !far.over && far.node.alive {
			far.node.HandleMessage(n.now, far.id, ppid, data)
			clear(data) // which is valid during the call only
			far.node.drain()
		}
	})
}

// transmit lets something arrive at the far end.
func (e *end) transmit(arrive func()) {
	if e.node.isCut(e.far.node) {
		e.held = append(e.held, arrive)
		return
	}
	e.node.later(busLatency, arrive)
}

// end ends an association from this side; the other one hears why.
func (e *end) end(why error) {
	if e == nil || e.over {
		return
	}
	e.over = true
	delete(e.node.ends, e.id)
	if far := e.far; far != nil {
		e.transmit(func() { far.lost(why) })
	}
}

// lost ends an association, or a dial, and tells the engine.
func (e *end) lost(why error) {
	if e.over || !e.node.alive {
		return
	}
	e.over = true
	delete(e.node.ends, e.id)
	switch {
	case e.far != nil:
		e.node.trace(e.node, e.far.node, noteText("association has ended: "+why.Error()), "")
	case e.to != nil:
		e.node.trace(e.node, e.to, noteText("cannot be reached: "+why.Error()), "")
	}
	e.node.HandleLost(e.node.now, e.id, why)
	e.node.drain()
}

// dialed opens an association to who serves at an address. A machine whose process is dead
// refuses.
func (n *node) dialed(id effect.AssocID, service protocol.PPID, to protocol.TransportAddr) {
	near := &end{id: id, node: n}
	n.ends[id] = near
	for _, p := range n.nodes { // the last one is the process that may live there
		if p.addr == to.Addrs[0] {
			near.to = p
		}
	}
	if near.to != nil && n.isCut(near.to) {
		n.later(busPatience, func() { near.lost(transport.ErrLost) })
		return
	}
	n.later(busLatency, func() { n.connect(near, service) })
}

func (n *node) connect(near *end, service protocol.PPID) {
	peer := near.to
	switch {
	case near.over || !n.alive:
		return
	case peer == nil || !peer.alive:
		near.lost(syscall.ECONNREFUSED)
		return
	}
	peer.accepted++
	far := &end{id: peer.accepted, node: peer, far: near}
	near.far, peer.ends[far.id] = far, far
	n.trace(n, peer, noteText("association is up"), "")
	peer.HandleUp(n.now, far.id, service, peer.at(service), n.at(service))
	peer.drain()
	n.HandleUp(n.now, near.id, service, n.at(service), peer.at(service))
	n.drain()
}

// pair names the way between two nodes.
func pair(a, b *node) [2]*node {
	if a.name > b.name {
		a, b = b, a
	}
	return [2]*node{a, b}
}

func (n *node) isCut(p *node) bool { return n.cuts[pair(n, p)] != 0 }

// separate cuts the way between two nodes.
func (b *bus) separate(n, p *node) {
	b.cut++
	this := b.cut
	b.cuts[pair(n, p)] = this
	b.later(busPatience, func() {
		if b.cuts[pair(n, p)] != this {
			return
		}
		for _, e := range endsBetween(n, p) {
			e.lost(transport.ErrLost)
		}
	})
}

// endsBetween lists what n and p have of associations with each other, oldest first.
func endsBetween(n, p *node) (ends []*end) {
	for _, ways := range [][2]*node{{n, p}, {p, n}} {
		for _, id := range slices.Sorted(maps.Keys(ways[0].ends)) {
			if e := ways[0].ends[id]; e.far != nil && e.far.node == ways[1] {
				ends = append(ends, e, e.far)
			}
		}
	}
	return ends
}

// join heals the way between two nodes: what was sent meanwhile arrives, in order.
func (b *bus) join(n, p *node) {
	delete(b.cuts, pair(n, p))
	for _, e := range endsBetween(n, p) {
		for _, arrive := range e.held {
			b.later(busLatency, arrive)
		}
		e.held = nil
	}
}

// stop ends a process: by io.EOF in good order, by ErrAborted as kill -9 does; its machine ends
// its associations.
func (n *node) stop(why error) {
	n.alive = false
	for _, id := range slices.Sorted(maps.Keys(n.ends)) {
		n.ends[id].end(why)
	}
}

// noteText is a line of a trace that is not a message.
type noteText string

func (s noteText) String() string { return string(s) }

// tellText prints what an engine tells.
type tellText struct{ event any }

func (t tellText) String() string {
	switch ev := t.event.(type) {
	case fmt.Stringer:
		return ev.String()
	case enrp.Serving:
		if ev.Mentor == 0 {
			return "serves, without a mentor"
		}
		return fmt.Sprintf("serves with the handlespace of mentor R%d", ev.Mentor)
	case enrp.PeerUp:
		return fmt.Sprintf("peer R%d is there", ev.ID)
	case enrp.PeerLost:
		return fmt.Sprintf("peer R%d is gone", ev.ID)
	case enrp.TakenOver:
		return fmt.Sprintf("R%d has taken over R%d: %d PEs", ev.By, ev.Target, ev.Elements)
	case enrp.HandedOver:
		return fmt.Sprintf("has handed its PEs over, %d are left", ev.Left)
	case asap.HomeFound:
		return fmt.Sprintf("home registrar is at %v", ev.Addr)
	case asap.HomeLost:
		return fmt.Sprintf("home registrar is lost: %v", ev.Err)
	case asap.Registered:
		return "is registered"
	case asap.Updated:
		return "is registered with what is new"
	case asap.Rejected:
		return fmt.Sprintf("is rejected: %v", ev.Err)
	case asap.Deregistered:
		return "is deregistered"
	}
	return fmt.Sprintf("%+v", t.event)
}
