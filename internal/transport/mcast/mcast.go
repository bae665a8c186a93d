// Package mcast is transport.Group over UDP multicast, by which registrars announce
// themselves (RFC 5352 section 3.6, RFC 5353 section 3.1).
//
// A group has one socket that receives, at the group's port and joined on every chosen interface,
// and for each interface one that sends, bound to an address of that interface and to the port
// that is announced: RSPLIB, whose announces carry no address, takes a datagram's source for the
// registrar's. All sockets share their port with those of other programs.
package mcast

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

var _ transport.Group = (*Group)(nil)

// Config says which group is joined and how. Group and Logger must be set.
type Config struct {
	Group netip.AddrPort
	// Interfaces are the names of those to use. Default: every one that is up and either capable
	// of multicast or a loopback interface. What is sent leaves by a loopback interface only if it
	// is flagged for multicast, named here, or the only one.
	Interfaces []string
	// SourcePort is the port from which datagrams are sent. Default: an ephemeral one.
	SourcePort uint16
	// SourceAddrs are the addresses from which datagrams may be sent; interfaces that have none of them
	// send nothing. Default: all, also those of interfaces that come later.
	SourceAddrs []netip.Addr
	// TTL is how many hops a datagram may make. Default: 30, as RSPLIB's.
	TTL    int
	Logger *slog.Logger
}

const defaultTTL = 30

// Group is a group that was joined.
type Group struct {
	cfg  Config
	conn conn // receives

	mu       sync.Mutex // held while a datagram is sent, which waits no longer than writeTimeout
	closed   bool
	joined   map[int]bool // by the interface's index
	joinNext time.Time    // when interfaces that have come since are joined
	senders  map[int]*sender
	failed   map[string]string // what has failed, and why, so that it is logged once
}

// Join joins a group. Interfaces that cannot, or that are not there yet, are tried again every few
// seconds while Recv waits.
func Join(cfg Config) (*Group, error) {
	if !cfg.Group.Addr().IsMulticast() || cfg.Group.Port() == 0 {
		return nil, fmt.Errorf("mcast: %v is no multicast address with a port", cfg.Group)
	}
	cfg.SourceAddrs = slices.Clone(cfg.SourceAddrs)
	for i, a := range cfg.SourceAddrs {
		cfg.SourceAddrs[i] = a.Unmap().WithZone("")
	}
	if cfg.TTL == 0 {
		cfg.TTL = defaultTTL
	}
	any := netip.IPv4Unspecified()
	if cfg.Group.Addr().Is6() {
		any = netip.IPv6Unspecified()
	}
	udp, err := listen(netip.AddrPortFrom(any, cfg.Group.Port()))
	if err != nil {
		return nil, fmt.Errorf("mcast: join %v: %w", cfg.Group, err)
	}
	g := &Group{
		cfg:     cfg,
		conn:    newConn(udp, cfg.Group.Addr()),
		joined:  make(map[int]bool),
		senders: make(map[int]*sender),
		failed:  make(map[string]string),
	}
	if err := g.conn.showDestination(); err != nil {
		// Such a system, Windows for one, gives a socket no other groups' datagrams.
		cfg.Logger.Debug("multicast is not told by its destination", "err", err)
	}
	g.joinAll(time.Now())
	return g, nil
}

// listen opens a socket that shares its address.
func listen(at netip.AddrPort) (*net.UDPConn, error) {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	lc := net.ListenConfig{Control: share}
	c, err := lc.ListenPacket(context.Background(), network, at.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// joinInterval is how soon an interface that has come is joined.
const joinInterval = 2 * time.Second

// joinAll joins the group on the interfaces where it has not been yet, and returns when it should be
// called again.
func (g *Group) joinAll(now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.joinNext) || g.closed {
		return g.joinNext
	}
	g.joinNext = now.Add(joinInterval)
	interfaces, err := g.cfg.interfaces()
	g.note("list interfaces", err)
	there := make(map[int]bool)
	for _, ifi := range interfaces {
		there[ifi.Index] = true
		if g.joined[ifi.Index] {
			continue
		}
		err := g.conn.JoinGroup(&ifi, &net.UDPAddr{IP: g.cfg.Group.Addr().AsSlice()})
		g.joined[ifi.Index] = err == nil
		g.note("join on "+ifi.Name, err)
	}
	for index := range g.joined {
		if !there[index] {
			delete(g.joined, index)
		}
	}
	return g.joinNext
}

// note logs when something begins to fail, fails otherwise, or works again; g.mu is held.
func (g *Group) note(what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if g.failed[what] == text {
		return
	}
	if err == nil {
		delete(g.failed, what)
		g.cfg.Logger.Info("multicast works again", "group", g.cfg.Group, "what", what)
		return
	}
	g.failed[what] = text
	g.cfg.Logger.Info("multicast fails", "group", g.cfg.Group, "what", what, "err", err)
}

// Recv waits for the next datagram to the group.
func (g *Group) Recv(b []byte) (n int, from netip.AddrPort, err error) {
	for {
		// A socket that was closed says so at the read.
		_ = g.conn.SetReadDeadline(g.joinAll(time.Now()))
		n, to, from, err := g.conn.read(b)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return 0, netip.AddrPort{}, fmt.Errorf("mcast: %w", err)
		case !to.IsValid() || to == g.cfg.Group.Addr().WithZone(""):
			return n, from, nil
		}
		// Else it was sent to another group that somebody on this machine has joined.
	}
}

// Close leaves the group.
func (g *Group) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	errs := []error{g.conn.Close()}
	for _, s := range g.senders {
		errs = append(errs, s.udp.Close())
	}
	return errors.Join(errs...)
}
