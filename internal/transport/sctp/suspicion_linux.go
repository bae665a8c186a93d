//go:build !386

package sctp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/transport"
)

// suspicion is what an association knows of its peer's silence. All but the atomic fields belong to
// the goroutine in Recv.
//
// The kernel calls a path potentially failed when the first heartbeat or retransmission is not answered
// (RFC 7829 section 3.2). It then asks again by heartbeats, but not more often than each 200 ms, and not at all
// while data goes: an association that is busy would stay suspected although its peer answers, one
// that is idle would be lost late. So as long as no path is well, probe asks for
// a heartbeat each RTO, as that RFC wants.
type suspicion struct {
	suspected bool
	down      map[path]bool      // told as NoticePathDown
	pending   []transport.Notice // to be told by the next calls of Recv

	series atomic.Uint32 // of probes; odd: under way, as no path is well
	heard  atomic.Bool   // a message has come since the last probe

	abandoned atomic.Bool // lost, which the kernel does not know
}

// pathChanged takes the new state of a path.
func (a *assoc) pathChanged(n notification) {
	s := &a.suspicion
	switch n.state {
	case addrUnreachable:
		if s.down == nil {
			s.down = make(map[path]bool)
		}
		s.down[n.path] = true
		s.pending = append(s.pending, transport.NoticePathDown)
		a.suspect()
	case addrPF:
		a.suspect()
	case addrAvailable:
		if s.probing() {
			s.series.Add(1)
		}
		if s.down[n.path] {
			delete(s.down, n.path)
			s.pending = append(s.pending, transport.NoticePathUp)
		}
		s.trust()
	}
}

// suspect looks whether a path is left that is well. If none is left at all, the peer has missed as many
// answers as make the association lost; the kernel would look only at its next heartbeat.
func (a *assoc) suspect() {
	best, ok := a.bestPath()
	if !ok || best == pathActive {
		return
	}
	s := &a.suspicion
	if !s.suspected {
		s.suspected = true
		s.pending = append(s.pending, transport.NoticeSuspect)
	}
	if best == pathInactive && a.opts.Load().PathMaxRetrans >= a.opts.Load().AssocMaxRetrans {
		s.abandoned.Store(true)
		a.end.lose(func() error { return fmt.Errorf("%w: no path is left", transport.ErrLost) })
		a.file.SetWriteDeadline(past) // for a Send that waits for room
		return
	}
	if !s.probing() {
		a.probe(s.series.Add(1), true)
	}
}

func (s *suspicion) probing() bool { return s.series.Load()%2 == 1 }

// trust ends the suspicion.
func (s *suspicion) trust() {
	if s.suspected {
		s.suspected = false
		s.pending = append(s.pending, transport.NoticeAnswers)
	}
}

// received takes that a message has come.
func (s *suspicion) received() {
	if s.probing() {
		s.heard.Store(true)
		s.trust()
	}
}

// next takes the next notice to be told.
func (s *suspicion) next() transport.Notice {
	if len(s.pending) == 0 {
		return transport.NoticeNone
	}
	n := s.pending[0]
	s.pending = s.pending[1:]
	return n
}

// probe asks for a heartbeat, and again after each RTO until a path is well. One that is not answered
// counts as an error of the path (RFC 4960 section 8.3). So does each expiry of the timer of data that is outstanding:
// then only the first heartbeat is asked for, and after signs of life, lest errors are counted twice.
func (a *assoc) probe(series uint32, first bool) {
	s := &a.suspicion
	if s.series.Load() != series {
		return
	}
	a.conn.Control(func(fd uintptr) {
		status, ok := getStatus(fd)
		if !ok {
			return // the association has ended
		}
		heard := s.heard.Swap(false)
		if first == (status.unacked > 0) || heard {
			demandHeartbeat(fd)
		}
		time.AfterFunc(max(status.rto, a.opts.Load().RTOMin), func() { a.probe(series, false) })
	})
}

// demandHeartbeat makes the kernel send a heartbeat on each path at once. It fails only when the
// association has ended.
func demandHeartbeat(fd uintptr) {
	b := make([]byte, 156)
	binary.NativeEndian.PutUint32(b, theAssoc)
	binary.NativeEndian.PutUint16(b[4:], unix.AF_INET)
	binary.NativeEndian.PutUint32(b[146:], heartbeatDemand)
	_ = unix.SetsockoptString(int(fd), unix.IPPROTO_SCTP, optPeerAddrParams, string(b))
}

// States of a path (enum sctp_spinfo_state of linux/sctp.h); the two between count as not well.
const (
	pathInactive = 0
	pathActive   = 2
)

// bestPath is pathActive if any path is, pathInactive if all are. It fails when the association has ended.
func (a *assoc) bestPath() (best int, ok bool) {
	best = pathInactive
	a.conn.Control(func(fd uintptr) {
		for _, addr := range a.remote.Addrs {
			b := make([]byte, 152)
			copy(b[4:], appendSockaddrs(nil, []netip.Addr{addr}, a.remote.Port))
			if getOption(fd, optPeerAddrInfo, b) != nil {
				continue
			}
			ok = true
			switch state := int(int32(binary.NativeEndian.Uint32(b[132:]))); {
			case state == pathActive:
				best = pathActive
			case state != pathInactive && best != pathActive:
				best = state
			}
		}
	})
	return best, ok
}
