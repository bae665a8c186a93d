package loop

import (
	"slices"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// group is a multicast group that the loop has joined, with the datagrams that wait to be
// sent to it.
type group struct {
	service protocol.PPID
	transport.Group
	queue chan []byte
}

// maxDatagrams is how many datagrams may wait: more would be stale before they leave.
const maxDatagrams = 16

// Join hands the datagrams of a group to the engine, and sends the service's Announce effects
// to it. The loop closes the group when it is closed.
func (l *Loop[E]) Join(g transport.Group, service protocol.PPID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.logEnd("multicast group", g.Close())
		return
	}
	joined := &group{service, g, make(chan []byte, maxDatagrams)}
	l.groups = append(l.groups, joined)
	l.wg.Go(func() { l.hear(joined) })
	l.wg.Go(func() { l.sendDatagrams(joined) })
}

// announce queues a datagram for the groups of a service; l.mu is held. One that finds too
// many before it is lost, as datagrams may be.
func (l *Loop[E]) announce(service protocol.PPID, data []byte) {
	for _, g := range l.groups {
		if g.service != service {
			continue
		}
		select {
		case g.queue <- slices.Clone(data):
		default:
			l.cfg.Logger.Warn("announce not sent", "service", service, "waiting", maxDatagrams)
		}
	}
}

// sendDatagrams is the goroutine that sends to a group.
func (l *Loop[E]) sendDatagrams(g *group) {
	for {
		select {
		case data := <-g.queue:
			if err := g.Send(data); err != nil && l.ctx.Err() == nil {
				l.cfg.Logger.Warn("announce not sent", "service", g.service, "err", err)
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// hear is the goroutine that receives from a group.
func (l *Loop[E]) hear(g *group) {
	buf := make([]byte, maxMessage)
	pause := firstPause
	for {
		n, from, err := g.Recv(buf)
		if err != nil {
			if !l.outlast("cannot receive announces", err, &pause) {
				return
			}
			continue
		}
		pause = firstPause
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return
		}
		now := l.clock.now()
		l.engine.HandleDatagram(now, g.service, from, buf[:n])
		l.perform(now, nil)
		l.mu.Unlock()
	}
}
