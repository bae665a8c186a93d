// Package simnet is a network in memory: hosts with one or more addresses, whose
// associations keep the contract of package transport as SCTP does, while its
// user delays, loses and cuts what they send, and takes hosts away.
//
// Without latency and loss a message is with the peer when Send returns: there is neither
// goroutine nor timer. Otherwise one timer per end of an association wakes it when something
// is due, so that a network works in real time and in the fake time of testing/synctest.
//
// # Model
//
// An association has a path for each address of the end that has more of them, to that
// address of the other end which has the longest prefix in common. The first path
// is that to the dialed address. Timers follow RFC 4960 simplified: RTO is RTOMin,
// doubled at each expiry up to RTOMax.
//
//   - A message arrives after Config.Latency, and an RTO later for each time that it is
//     lost. Ordered messages wait for those before them in their stream.
//   - A cut is silent. The first message that is sent into it goes again after an RTO
//     over another path, and the next ones take that path at once. What is under way
//     already still arrives. With no path left all wait, and arrive an RTO after
//     a path is healed.
//   - A heartbeat goes out each HeartbeatInterval plus RTO: after PathMaxRetrans + 1
//     unanswered ones comes NoticePathDown, after AssocMaxRetrans + 1 on all paths ErrLost.
//     While messages wait, their RTOs count and no HeartbeatInterval. A healed path is
//     noticed after one HeartbeatInterval. Losses do not touch heartbeats and handshakes.
//   - With no path left, NoticeSuspect comes when the first heartbeat or message is unanswered, and
//     NoticeAnswers an RTO and a round trip after a path is healed.
//   - An end whose peer has been lost hears so, by an abort, as soon as a message or a heartbeat
//     of its own gets through.
//   - An association is up for its acceptor after 3 and for its dialer after 4 latencies
//     (the handshake of RFC 4960 section 5.1). Dial asks each address in turn, and the
//     next one after RTOInitial, doubled each time, without an answer.
//   - A datagram to a multicast group leaves from each address of its host. It arrives after
//     Config.Latency, also at the host itself, or never when it is lost or its way is cut.
package simnet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

var (
	errRefused = fmt.Errorf("nobody listens there: %w", syscall.ECONNREFUSED)
	errInUse   = errors.New("address in use")
	errSilent  = errors.New("no answer")
	errDown    = errors.New("host is down")
	errEmpty   = errors.New("empty message") // RFC 6458 section 7.1
)

// Config says what the links of a network are like.
type Config struct {
	// Latency is the time that a message takes.
	Latency time.Duration
	// Loss is the probability, 0 to below 1, that a message is lost on its way and must
	// be sent again.
	Loss float64
	// Seed makes the losses. With the same seed and the same order of dials they
	// are the same.
	Seed uint64
}

// Network is a set of hosts that reach each other, but for cuts. Its methods may be
// called by several goroutines at once.
type Network struct {
	config Config

	mu    sync.Mutex // before that of a Listener, before that of an association
	hosts map[netip.Addr]*Host
	cuts  map[link]bool
	ends  uint64 // made until now

	groups       []*Group   // joined, in the order of their joining
	datagramLoss *rand.Rand // draws the losses of datagrams
}

// link is the way between two addresses, the smaller one first.
type link [2]netip.Addr

func linkOf(a, b netip.Addr) link {
	if b.Less(a) {
		return link{b, a}
	}
	return link{a, b}
}

// New makes a network without hosts.
func New(config Config) *Network {
	return &Network{
		config:       config,
		hosts:        make(map[netip.Addr]*Host),
		cuts:         make(map[link]bool),
		datagramLoss: rand.New(rand.NewPCG(config.Seed, 0)),
	}
}

// Default is the network of this process alone: the host 127.0.0.1, without latency and
// loss. All calls return the same.
var Default = sync.OnceValue(func() *Host { return New(Config{}).Host("127.0.0.1") })

// Host adds a host, which takes the addresses of one that was killed. It panics when
// an address is malformed, or belongs to a living host.
func (n *Network) Host(addrs ...string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := newHost(n)
	for _, s := range addrs {
		addr := netip.MustParseAddr(s)
		if old := n.hosts[addr]; old != nil && !old.dead {
			panic(fmt.Sprintf("simnet: %v has a host already", addr))
		}
		n.hosts[addr] = h
		h.addrs = append(h.addrs, addr)
	}
	return h
}

// Cut makes a and b silent to each other.
func (n *Network) Cut(a, b netip.Addr) { n.setCut(linkOf(a, b), true) }

// Heal undoes Cut.
func (n *Network) Heal(a, b netip.Addr) { n.setCut(linkOf(a, b), false) }

func (n *Network) setCut(l link, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cuts[l] == cut {
		return
	}
	if cut {
		n.cuts[l] = true
	} else {
		delete(n.cuts, l)
	}
	n.updatePaths(n.hosts[l[0]])
	n.updatePaths(n.hosts[l[1]])
}

// updatePaths tells h's associations which of their paths work. The caller holds
// n.mu.
func (n *Network) updatePaths(h *Host) {
	if h == nil {
		return
	}
	for _, e := range h.sortedEnds() {
		dead := e.host.dead || e.peer.host.dead
		e.assoc.setPaths(func(l link) bool { return !dead && !n.cuts[l] })
	}
}

// connect is the handshake at the moment when the acceptor comes up. It gives the
// dialer's end.
func (n *Network) connect(d *dialing, to netip.AddrPort) (*end, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if met := d.takeMet(); met != nil {
		return met, nil
	}
	if d.host.dead {
		return nil, errDown
	}
	peer := n.hosts[to.Addr()]
	if peer == nil || peer.dead || n.cuts[linkOf(closest(d.local.Addrs, to.Addr()), to.Addr())] {
		return nil, errSilent
	}
	far := peer.acceptorFor(d, to)
	if far == nil {
		return nil, errRefused
	}
	mine, theirs := newAssoc(n, d, far, to)
	if err := d.host.admit(mine); err != nil {
		return nil, err
	}
	if err := peer.admit(theirs); err != nil {
		d.host.forget(mine)
		return nil, err
	}
	mine.assoc.setPaths(func(l link) bool { return !n.cuts[l] })
	d.host.stopDialing(d)
	far.accepted(theirs)
	return mine, nil
}

// closest returns the address of addrs with the longest prefix in common with to.
func closest(addrs []netip.Addr, to netip.Addr) netip.Addr {
	return slices.MaxFunc(addrs, func(a, b netip.Addr) int { return commonBits(a, to) - commonBits(b, to) })
}

func commonBits(a, b netip.Addr) int {
	if a.BitLen() != b.BitLen() {
		return -1
	}
	bits := a.BitLen()
	for ; bits > 0; bits-- {
		if p, err := a.Prefix(bits); err == nil && p.Contains(b) {
			break
		}
	}
	return bits
}
