package rsp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/registrar"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/mcast"
)

// Start opens the registrar's ports and serves until Shutdown or Abort. It waits neither
// for peers nor for their handlespace, only for names to be looked up, which ctx bounds.
func (r *Registrar) Start(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return &OpError{Op: "start registrar", Err: err}
	}
	return nil
}

func (r *Registrar) start(ctx context.Context) error {
	remotes, err := parseRemotes(r.cfg.Peers, service{"enrp", r.cfg.enrpPort()})
	if err != nil {
		return err
	}
	peers, err := r.lookUpPeers(ctx, remotes)
	if err != nil {
		return err
	}
	local, err := r.lookupLocal(ctx, r.cfg.Address)
	if err != nil {
		return err
	}
	peerLocal := local
	if r.cfg.ENRPAddress != "" {
		if peerLocal, err = r.lookupLocal(ctx, r.cfg.ENRPAddress); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errRegistrarClosed
	}
	if r.started {
		return errors.New("started already")
	}
	forPEs, err := r.listen(ctx, r.networks.members, local, r.cfg.Address == "", r.cfg.asapPort())
	if err != nil {
		return err
	}
	forPeers, err := r.listenForPeers(ctx, peerLocal)
	if err == nil {
		r.reporter, err = r.startReports(ctx)
	}
	if err != nil {
		closeAll(forPEs)
		closeAll(forPeers)
		return err
	}
	r.started, r.listeners, r.peerAddr = true, forPEs, forPeers[0].LocalAddr()
	for _, ln := range forPEs {
		r.loop.Serve(ln, protocol.PPIDASAP)
	}
	for _, ln := range forPeers {
		r.loop.Serve(ln, protocol.PPIDENRP)
	}
	r.enterScope(peers,
		source{forPEs[0].LocalAddr().Port, local.Addrs},
		source{forPeers[0].LocalAddr().Port, peerLocal.Addrs})
	return nil
}

// source is where announcements come from: a port, and the addresses of the machine that
// may be used, all of them if there is none.
type source struct {
	port  uint16
	addrs []netip.Addr
}

// enterScope begins the registrar's life among its peers.
func (r *Registrar) enterScope(peers []*watched, asap, enrp source) {
	// What the configuration says was checked by NewRegistrar.
	asapGroup, _ := r.cfg.asapGroup()
	enrpGroup, _ := r.cfg.enrpGroup()
	announcing := r.join(asapGroup, asap, protocol.PPIDASAP)
	multicast := r.join(enrpGroup, enrp, protocol.PPIDENRP)
	r.loop.Do(func(now time.Time, e *registrar.Engine) {
		for _, peer := range peers {
			for _, addr := range peer.known {
				e.AddPeer(now, addr)
			}
		}
		if r.tracer != nil {
			r.tracer.announcing = announcing
		}
		e.Start(now, r.peerAddr, multicast)
	})
	for _, peer := range peers {
		if _, ok := peer.literal(); !ok {
			r.wg.Go(func() { r.watchPeer(peer) })
		}
	}
}

// join joins a multicast group to which we speak from where we serve, if there is one. Without
// multicast the registrar goes on with the peers that it is configured with.
func (r *Registrar) join(group netip.AddrPort, from source, service protocol.PPID) bool {
	if !group.IsValid() {
		return false
	}
	g, err := joinGroup(r.networks.members, mcast.Config{
		Group: group, Interfaces: r.cfg.AnnounceInterfaces, TTL: r.cfg.AnnounceTTL,
		SourcePort: from.port, SourceAddrs: from.addrs, Logger: r.log,
	})
	if err != nil {
		r.log.Warn("no announcements by multicast", "group", group, "err", err)
		return false
	}
	r.loop.Join(g, service)
	return true
}

// listenForPeers opens the port for other registrars: at the well-known port if nothing else is
// said, but if the ASAP port is one of the system's choice, then so is this one.
func (r *Registrar) listenForPeers(ctx context.Context, local protocol.TransportAddr) ([]transport.Listener, error) {
	if r.cfg.ENRPAddress != "" {
		return r.listen(ctx, r.networks.registrars, local, false, 0)
	}
	wanted := r.cfg.Address == "" || local.Port != 0
	local.Port = 0
	return r.listen(ctx, r.networks.registrars, local, wanted, r.cfg.enrpPort())
}

// listen opens a listener for each transport, all at one port: the preferred one, if that is
// wanted and free, else local's.
func (r *Registrar) listen(ctx context.Context, on []transport.Network, local protocol.TransportAddr, wanted bool, preferred uint16) ([]transport.Listener, error) {
	if !wanted {
		return r.listenAt(ctx, on, local)
	}
	wellKnown := local
	wellKnown.Port = preferred
	listeners, err := r.listenAt(ctx, on, wellKnown)
	if err == nil {
		return listeners, nil
	}
	r.log.Info("cannot have the well-known port, taking another", "port", preferred, "reason", err)
	return r.listenAt(ctx, on, local)
}

// listenAt opens a listener for each transport at local's port or, if that is 0, at
// one that all transports have free.
func (r *Registrar) listenAt(ctx context.Context, on []transport.Network, local protocol.TransportAddr) (listeners []transport.Listener, err error) {
	const attempts = 10 // one transport's free port may be taken at the next
	for range attempts {
		if listeners, err = r.tryListen(ctx, on, local); err == nil || local.Port != 0 {
			break
		}
	}
	return listeners, err
}

func (r *Registrar) tryListen(ctx context.Context, on []transport.Network, local protocol.TransportAddr) ([]transport.Listener, error) {
	var listeners []transport.Listener
	if r.cfg.IPv4Only && len(local.Addrs) == 0 {
		local.Addrs = []netip.Addr{netip.IPv4Unspecified()}
	}
	for _, n := range on {
		local.Protocol = n.Protocol()
		ln, err := n.Listen(ctx, local, r.cfg.Association.registrarOptions())
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		local.Port = ln.LocalAddr().Port
		listeners = append(listeners, ln)
	}
	return listeners, nil
}

// closeAll gives up listeners that nobody has used: an error says nothing.
func closeAll(listeners []transport.Listener) {
	for _, ln := range listeners {
		_ = ln.Close()
	}
}

// lookupLocal looks up where to serve, by IPv4 alone if so configured.
func (r *Registrar) lookupLocal(ctx context.Context, address string) (protocol.TransportAddr, error) {
	local, err := lookupHosts(ctx, address)
	if err != nil || !r.cfg.IPv4Only || len(local.Addrs) == 0 {
		return local, err
	}
	if local.Addrs = slices.DeleteFunc(local.Addrs, netip.Addr.Is6); len(local.Addrs) == 0 {
		return local, fmt.Errorf("%s has no IPv4 address", address)
	}
	return local, nil
}

// lookUpPeers finds the configured peers, for each transport that they may be reached by. A name that is not
// known may be so later, an address that cannot be used is an error.
func (r *Registrar) lookUpPeers(ctx context.Context, remotes []remote) ([]*watched, error) {
	peers, errs := make([]*watched, len(remotes)), make([]error, len(remotes))
	var wg sync.WaitGroup
	for i, remote := range remotes {
		peers[i] = &watched{remote: remote}
		wg.Go(func() {
			err := peers[i].lookUp(ctx, r.directory).err
			if _, ok := remote.literal(); ok {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return peers, errors.Join(append(errs, ctx.Err())...)
}

// watchPeer looks the name of peers up again with each heartbeat.
func (r *Registrar) watchPeer(peer *watched) {
	select {
	case <-time.After(r.cfg.PeerHeartbeatCycle):
	case <-r.ctx.Done():
		return
	}
	always := make(chan struct{})
	close(always)
	peer.watch(r.ctx, r.directory, always, r.cfg.PeerHeartbeatCycle, func(change lookupChange) bool {
		return r.loop.Do(func(now time.Time, e *registrar.Engine) {
			for _, addr := range change.gone {
				e.RemovePeer(now, addr)
			}
			for _, addr := range change.added {
				e.AddPeer(now, addr)
			}
		})
	})
}
