package mcast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// sender sends by one interface.
type sender struct {
	udp  *net.UDPConn
	from netip.Addr
}

// writeTimeout bounds how long an interface that takes nothing holds up the others.
const writeTimeout = 100 * time.Millisecond

// Send sends b by every interface that has an address to send it from.
func (g *Group) Send(b []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("mcast: send: %w", net.ErrClosed)
	}
	ways, err := g.cfg.ways()
	errs := []error{err}
	sent := false
	for _, w := range ways {
		err := g.sendBy(w, b)
		g.note("send by "+w.Name, err)
		if err != nil {
			err = fmt.Errorf("by %s: %w", w.Name, err)
		}
		errs = append(errs, err)
		sent = sent || err == nil
	}
	g.forgetSenders(ways)
	if sent {
		return nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("mcast: send to %v: %w", g.cfg.Group, err)
	}
	return fmt.Errorf("mcast: send to %v: no interface can", g.cfg.Group)
}

func (g *Group) sendBy(w way, b []byte) error {
	s, err := g.sender(w)
	if err != nil {
		return err
	}
	if err := s.udp.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	to := g.cfg.Group
	if to.Addr().Is6() {
		to = netip.AddrPortFrom(to.Addr().WithZone(w.Name), to.Port())
	}
	_, err = s.udp.WriteToUDPAddrPort(b, to)
	return err
}

// sender returns the socket for a way, which it opens if need be.
func (g *Group) sender(w way) (*sender, error) {
	if s := g.senders[w.Index]; s != nil {
		if s.from == w.from {
			return s, nil
		}
		delete(g.senders, w.Index)
		_ = s.udp.Close() // its address is gone
	}
	udp, err := listen(netip.AddrPortFrom(w.from, g.cfg.SourcePort))
	if err != nil {
		return nil, err
	}
	c := newConn(udp, w.from)
	err = errors.Join(c.SetMulticastInterface(&w.Interface), c.SetMulticastLoopback(true), c.setTTL(g.cfg.TTL))
	if err != nil {
		return nil, errors.Join(err, udp.Close())
	}
	s := &sender{udp, w.from}
	g.senders[w.Index] = s
	return s, nil
}

// forgetSenders closes the sockets of interfaces that are gone.
func (g *Group) forgetSenders(ways []way) {
	for index, s := range g.senders {
		if !slices.ContainsFunc(ways, func(w way) bool { return w.Index == index }) {
			delete(g.senders, index)
			_ = s.udp.Close() // nothing is left in it
		}
	}
}

// interfaces lists those to use that are up.
func (c *Config) interfaces() ([]net.Interface, error) {
	all, err := net.Interfaces()
	return slices.DeleteFunc(all, func(ifi net.Interface) bool {
		if len(c.Interfaces) > 0 && !slices.Contains(c.Interfaces, ifi.Name) {
			return true
		}
		return ifi.Flags&net.FlagUp == 0 || ifi.Flags&(net.FlagMulticast|net.FlagLoopback) == 0
	}), err
}

// way is an interface with the address from which it sends.
type way struct {
	net.Interface
	from netip.Addr
}

// ways lists the interfaces by which to send. Who has joined on this machine alone gets a copy of
// what leaves by any of them, so that the loopback interface serves where there is no other: what
// comes by it shows an address that is of no use elsewhere.
func (c *Config) ways() ([]way, error) {
	interfaces, err := c.interfaces()
	errs := []error{err}
	var ways, last []way
	for _, ifi := range interfaces {
		addrs, err := ifi.Addrs()
		errs = append(errs, err)
		from := c.source(addrs)
		switch {
		case !from.IsValid():
		case ifi.Flags&net.FlagMulticast != 0 || len(c.Interfaces) > 0:
			ways = append(ways, way{ifi, c.withZone(from, ifi)})
		default:
			last = append(last, way{ifi, c.withZone(from, ifi)})
		}
	}
	if len(ways) == 0 {
		ways = last
	}
	return ways, errors.Join(errs...)
}

// source picks the address of an interface that reaches farthest.
func (c *Config) source(addrs []net.Addr) (best netip.Addr) {
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, _ := netip.AddrFromSlice(ipnet.IP)
		addr = addr.Unmap()
		if addr.Is4() != c.Group.Addr().Is4() || len(c.SourceAddrs) > 0 && !slices.Contains(c.SourceAddrs, addr) {
			continue
		}
		if !best.IsValid() || protocol.ScopeOf(addr) > protocol.ScopeOf(best) {
			best = addr
		}
	}
	return best
}

// withZone completes a link-local address.
func (c *Config) withZone(a netip.Addr, ifi net.Interface) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(ifi.Name)
	}
	return a
}
