package rsp

import (
	"fmt"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// AssociationConfig tunes associations: how soon a silent peer is noticed. The zero value of each
// field means its default, which is that of LAN; docs/timers.md says what follows.
//
// The first beat that is not answered raises a suspicion; when AssocMaxRetrans more are not answered, the
// association is lost. Both ends of an association have timers of their own.
type AssociationConfig struct {
	// RTOInitial, RTOMin and RTOMax bound SCTP's retransmission timeout (RTO.Initial, RTO.Min,
	// RTO.Max). Defaults: 20 ms each. Round trips must take clearly less than RTOMax times AssocMaxRetrans, or
	// answers come after the loss.
	RTOInitial, RTOMin, RTOMax time.Duration
	// HeartbeatInterval is the idle time after which the peer is probed (HB.interval), at least 5 ms. Default:
	// 50 ms in sessions, 3 s between registrar and others; negative: never. Linux probes by SCTP every 200 ms at most.
	HeartbeatInterval time.Duration
	// PathMaxRetrans is how many probes or retransmissions of one path may go
	// unanswered (Path.Max.Retrans; SCTP). Default: 4.
	PathMaxRetrans int
	// AssocMaxRetrans is how many probes or retransmissions may go unanswered before
	// the association is lost (Association.Max.Retrans). Default: 4.
	AssocMaxRetrans int
}

// LAN and WAN are the two settings that most programs need, to be used as they are or changed in a copy.
//
// LAN is the default of sessions: a server that is cut off silently is given up within 0.25 s when it has
// something to answer, but round trips must take less than 60 ms. WAN takes after RFC 4960 section 15, with less
// patience: 30 s at most, for round trips of seconds.
var (
	LAN = AssociationConfig{
		RTOInitial: 20 * time.Millisecond, RTOMin: 20 * time.Millisecond, RTOMax: 20 * time.Millisecond,
		HeartbeatInterval: 50 * time.Millisecond,
		PathMaxRetrans:    4,
		AssocMaxRetrans:   4,
	}
	WAN = AssociationConfig{
		RTOInitial: time.Second, RTOMin: time.Second, RTOMax: 5 * time.Second,
		HeartbeatInterval: 5 * time.Second,
		PathMaxRetrans:    5,
		AssocMaxRetrans:   5,
	}
)

// toRegistrars is the default of associations with registrars, which have many of them.
var toRegistrars = AssociationConfig{
	RTOInitial: 500 * time.Millisecond, RTOMin: 200 * time.Millisecond, RTOMax: time.Second,
	HeartbeatInterval: 3 * time.Second,
	PathMaxRetrans:    3,
	AssocMaxRetrans:   3,
}

// options are those of sessions.
func (c AssociationConfig) options() transport.Options {
	return transport.Options{
		RTOInitial: c.RTOInitial, RTOMin: c.RTOMin, RTOMax: c.RTOMax,
		HeartbeatInterval: c.HeartbeatInterval,
		PathMaxRetrans:    c.PathMaxRetrans,
		AssocMaxRetrans:   c.AssocMaxRetrans,
	}
}

// registrarOptions are those of associations with registrars.
func (c AssociationConfig) registrarOptions() transport.Options {
	return c.options().Or(toRegistrars.options())
}

const (
	minHeartbeat   = 5 * time.Millisecond
	maxAssociation = 10 * time.Minute // of all its durations
	maxRetrans     = 255
)

func (c AssociationConfig) validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"RTOInitial", c.RTOInitial}, {"RTOMin", c.RTOMin}, {"RTOMax", c.RTOMax}, {"HeartbeatInterval", max(c.HeartbeatInterval, 0)},
	} {
		if d.value != 0 && d.value < time.Millisecond || d.value > maxAssociation {
			return fmt.Errorf("an association's %s must be from 1ms to %v, not %v", d.name, maxAssociation, d.value)
		}
	}
	if c.HeartbeatInterval > 0 && c.HeartbeatInterval < minHeartbeat {
		return fmt.Errorf("an association's HeartbeatInterval must be at least %v or negative, not %v", minHeartbeat, c.HeartbeatInterval)
	}
	if o := c.options().WithDefaults(); o.RTOMin > o.RTOInitial || o.RTOInitial > o.RTOMax {
		return fmt.Errorf("an association's RTOMin %v, RTOInitial %v and RTOMax %v must not fall", o.RTOMin, o.RTOInitial, o.RTOMax)
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"PathMaxRetrans", c.PathMaxRetrans}, {"AssocMaxRetrans", c.AssocMaxRetrans}} {
		if n.value < 0 || n.value > maxRetrans {
			return fmt.Errorf("an association's %s must be from 1 to %d, not %d", n.name, maxRetrans, n.value)
		}
	}
	return nil
}
