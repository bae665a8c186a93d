package rsp

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/enrp"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/registrar"
)

// AddressScope orders addresses by how far they reach.
type AddressScope = protocol.Scope

// Scopes for RegistrarConfig.MinAddressScope.
const (
	ScopeLoopback  = protocol.ScopeLoopback
	ScopeSiteLocal = protocol.ScopeSiteLocal // private addresses (RFC 1918) and farther ones
	ScopeGlobal    = protocol.ScopeGlobal
)

// RegistrarConfig is where a Registrar serves, and how patient and how generous it
// is. The zero value of each field means its default.
type RegistrarConfig struct {
	// ID is the registrar's identifier in its operation scope. Default: random.
	ID RegistrarID
	// Address is where PEs and PUs find the registrar, "host:port"; with SCTP, further
	// hosts may follow behind commas. An empty host is all addresses of the machine, port 0 one
	// of the system's choice. Default: all addresses at the well-known port 3863 or, if that is
	// taken, at one of the system's choice. With TLS, the well-known port is 3864.
	Address string
	// ENRPAddress is where other registrars find it, in the same form. Default: the hosts of
	// Address, at the well-known port 9901 or, if that is taken or Address has port 0, at one of the
	// system's choice. With TLS, the well-known port is 9902.
	ENRPAddress string
	// Peers are other registrars of the operation scope, "host:port" of their ENRPAddress; or "domain", whose SRV
	// records _enrp._tcp and _enrp._sctp tell, and if it has none, the domain's own addresses at port 9901, with
	// TLS 9902. They are
	// sought for as long as they cannot be reached. Names are looked up by Start, and again with each
	// heartbeat (PeerHeartbeatCycle): each address is a peer, and one may be this registrar's own. A name that
	// is not found yet, or whose lookup fails, is no error: Logger is told, and what was known stays known.
	Peers []string
	// IPv4Only leaves IPv6 out: where the registrar serves, and at its Peers.
	IPv4Only bool
	// Announce is the multicast group in which the registrar makes itself known to PEs and PUs:
	// "auto" is RSPLIB's 239.0.0.50:3863, "off" none. Default: "auto" if Address is empty, else "off".
	Announce string
	// ENRPAnnounce is the multicast group in which registrars find each other: "auto" is
	// RSPLIB's 239.0.0.51:9901, "off" none. Default: as Announce.
	ENRPAnnounce string
	// AnnounceInterfaces are the names of the network interfaces for both groups.
	// Default: every one that can multicast.
	AnnounceInterfaces []string
	// AnnounceTTL is how many hops an announcement may make, 1 to 255. Default: 30.
	AnnounceTTL int
	// Network carries all associations. Default: Auto, all that this machine has,
	// under one port number.
	Network Network
	// TLS, if set, is under all associations, as Config.TLS has it, and RegistrarName the name that the
	// certificates of all registrars of the operation scope have, this one's too. Default: no TLS.
	TLS           *tls.Config
	RegistrarName string
	// Logger takes what happens. Default: nothing is logged.
	Logger *slog.Logger
	// Trace, if set, is called for each message that comes or goes, one at a time and in
	// order, the last time before Shutdown returns. What it cannot keep up with is left out and counted.
	Trace func(TraceEntry)

	// EndpointKeepAliveTransmissionInterval is how long a PE is quiet before it is
	// asked for a sign of life, give or take an eighth. Default: 5 s.
	EndpointKeepAliveTransmissionInterval time.Duration
	// EndpointKeepAliveTimeoutInterval is how long a PE has to answer, before its
	// association is aborted and all PEs of it are removed. Default: 5 s.
	EndpointKeepAliveTimeoutInterval time.Duration
	// MaxBadPEReports is which report of a PE as unreachable removes it. Default: 3.
	MaxBadPEReports int
	// MaxHResItems is how many PEs a resolution gives if the PU does not say how
	// many it wants. Default: 3.
	MaxHResItems int
	// MaxIncrement is how many PEs of a resolution count as selected, so that the
	// next one starts behind them; policies that draw PEs at random have no use for it. Default: 1.
	MaxIncrement int
	// MaxHRRate and MaxEURate are how many handle resolutions and how many failure
	// reports a second one PU may send. A resolution beyond that is answered as if the pool were
	// unknown, a report is passed over. Default: unlimited.
	MaxHRRate, MaxEURate float64
	// MaxClientAssociations and MaxClientElements are how many associations one client may have with the registrar, and how many PEs
	// he may register over them; further ones are refused. A client is the name of a certificate (Request.Name) or, without TLS, an
	// IP address. They bound what else he gets: his pools, since each has a PE; his requests, at MaxHRRate and MaxEURate
	// for each association; and what waits for him and from him, 2 MiB for each. Default: unlimited.
	MaxClientAssociations, MaxClientElements int
	// MinAddressScope is how far a PE's addresses must reach; others are not
	// registered. Default: ScopeLoopback.
	MinAddressScope AddressScope
	// MaxElements is how many PEs may be registered at a time. Default: 1<<20.
	MaxElements int
	// AutoClose is the silence after which an association without a PE is closed.
	// Default: 300 s.
	AutoClose time.Duration

	// Authorize, if set, decides about each Request, beside what the registrar itself requires: an error refuses it, and
	// is logged. Requests of one client wait for each other, others' do not: it is called by several goroutines at once, may take
	// its time, and must return when ctx ends. Default: whoever gets in may do all.
	//
	// Whatever it decides, with TLS a PE belongs to the name of the certificate that has registered it (Request.Name),
	// throughout the operation scope: nobody else can change or deregister it, or take its place.
	Authorize func(ctx context.Context, request Request) error

	// ServerAnnounceCycle is the time between two announcements to PEs and PUs, give or
	// take an eighth (T6-Serverannounce). Default: 1 s.
	ServerAnnounceCycle time.Duration
	// PeerHeartbeatCycle is the time between two signs of life to peers, give or take an
	// eighth (PEER-HEARTBEAT-CYCLE). Default: 2.444 s.
	PeerHeartbeatCycle time.Duration
	// PeerMaxTimeLastHeard is how long a peer may be silent before it is asked for a sign of life
	// (MAX-TIME-LAST-HEARD). Default: 5 s.
	PeerMaxTimeLastHeard time.Duration
	// PeerMaxTimeNoResponse is how long it may take to answer, before its PEs are taken over
	// (MAX-TIME-NO-RESPONSE). Default: 5 s.
	PeerMaxTimeNoResponse time.Duration
	// MentorDiscoveryTimeout is how long a new registrar looks for one whose handlespace it can
	// take, before it serves with an empty one. Default: 5 s.
	MentorDiscoveryTimeout time.Duration
	// TakeoverExpiryInterval is how long other peers may take to agree to a takeover.
	// Default: 5 s.
	TakeoverExpiryInterval time.Duration
	// MaxElementsPerHTRequest is how many PEs one page of a handle table has. Default: 128.
	MaxElementsPerHTRequest int
	// Rules select by policies of one's own, by the numbers of their types (Policy.Type). A pool of a
	// type that has no rule is selected from in turn.
	Rules map[uint32]Rule
	// DistanceStep is what distances are rounded to, at least 1 ms: for policies that count how far a
	// PE is, the registrar measures it as half the round-trip time. Default: 50 ms.
	DistanceStep time.Duration

	// CSPServer is a monitor that is told the registrar's status, see Config.CSPServer. Default: what the environment
	// variable CSP_SERVER says, else 127.0.0.1:2960.
	CSPServer string
	// CSPInterval is the time between two reports, at least 250 ms, which shorter ones are raised to.
	// Default: the milliseconds of the environment variable CSP_INTERVAL, else 250 ms if there is a CSPServer; without
	// either, or if it is negative, there are no reports.
	CSPInterval time.Duration

	// Association tunes the associations with PEs, PUs and peers. Default: that of associations with
	// registrars, see Config.Association.
	Association AssociationConfig
}

// withDefaults returns a copy of c with its zero fields filled.
func (c *RegistrarConfig) withDefaults() RegistrarConfig {
	var d RegistrarConfig
	if c != nil {
		d = *c
	}
	if d.ID == 0 {
		d.ID = RegistrarID(randomID())
	}
	d.Logger = loggerOr(d.Logger)
	d.Rules = maps.Clone(d.Rules)
	d.EndpointKeepAliveTransmissionInterval = cmp.Or(d.EndpointKeepAliveTransmissionInterval, 5*time.Second)
	d.EndpointKeepAliveTimeoutInterval = cmp.Or(d.EndpointKeepAliveTimeoutInterval, 5*time.Second)
	d.MaxBadPEReports = cmp.Or(d.MaxBadPEReports, 3)
	d.MaxHResItems = cmp.Or(d.MaxHResItems, 3)
	d.MaxIncrement = cmp.Or(d.MaxIncrement, 1)
	d.MinAddressScope = cmp.Or(d.MinAddressScope, ScopeLoopback)
	d.MaxElements = cmp.Or(d.MaxElements, 1<<20)
	d.AutoClose = cmp.Or(d.AutoClose, 300*time.Second)
	if d.Address == "" {
		d.Announce = cmp.Or(d.Announce, "auto")
	}
	d.Announce = cmp.Or(d.Announce, "off")
	if d.ENRPAnnounce == "" && d.Announce != "off" {
		d.ENRPAnnounce = "auto"
	}
	d.ENRPAnnounce = cmp.Or(d.ENRPAnnounce, "off")
	d.AnnounceTTL = cmp.Or(d.AnnounceTTL, 30)
	d.Peers, d.AnnounceInterfaces = slices.Clone(d.Peers), slices.Clone(d.AnnounceInterfaces)
	d.ServerAnnounceCycle = cmp.Or(d.ServerAnnounceCycle, time.Second)
	d.PeerHeartbeatCycle = cmp.Or(d.PeerHeartbeatCycle, 2444*time.Millisecond)
	d.PeerMaxTimeLastHeard = cmp.Or(d.PeerMaxTimeLastHeard, 5*time.Second)
	d.PeerMaxTimeNoResponse = cmp.Or(d.PeerMaxTimeNoResponse, 5*time.Second)
	d.MentorDiscoveryTimeout = cmp.Or(d.MentorDiscoveryTimeout, 5*time.Second)
	d.TakeoverExpiryInterval = cmp.Or(d.TakeoverExpiryInterval, 5*time.Second)
	d.MaxElementsPerHTRequest = cmp.Or(d.MaxElementsPerHTRequest, 128)
	d.DistanceStep = cmp.Or(d.DistanceStep, 50*time.Millisecond)
	return d
}

func (c *RegistrarConfig) validate() error {
	for name, interval := range map[string]time.Duration{
		"EndpointKeepAliveTransmissionInterval": c.EndpointKeepAliveTransmissionInterval,
		"EndpointKeepAliveTimeoutInterval":      c.EndpointKeepAliveTimeoutInterval,
		"AutoClose":                             c.AutoClose,
		"ServerAnnounceCycle":                   c.ServerAnnounceCycle,
		"PeerHeartbeatCycle":                    c.PeerHeartbeatCycle,
		"PeerMaxTimeLastHeard":                  c.PeerMaxTimeLastHeard,
		"PeerMaxTimeNoResponse":                 c.PeerMaxTimeNoResponse,
		"MentorDiscoveryTimeout":                c.MentorDiscoveryTimeout,
		"TakeoverExpiryInterval":                c.TakeoverExpiryInterval,
	} {
		if interval < 0 {
			return fmt.Errorf("%s must not be negative, as %v is", name, interval)
		}
	}
	for name, rate := range map[string]float64{"MaxHRRate": c.MaxHRRate, "MaxEURate": c.MaxEURate} {
		if !(rate >= 0) {
			return fmt.Errorf("%s must not be negative, as %v is", name, rate)
		}
	}
	for name, limit := range map[string]int{
		"MaxBadPEReports": c.MaxBadPEReports,
		"MaxHResItems":    c.MaxHResItems,
		"MaxIncrement":    c.MaxIncrement,
		"MaxElements":     c.MaxElements,

		"MaxClientAssociations": c.MaxClientAssociations,
		"MaxClientElements":     c.MaxClientElements,

		"MaxElementsPerHTRequest": c.MaxElementsPerHTRequest,
	} {
		if limit < 0 {
			return fmt.Errorf("%s must not be negative, as %d is", name, limit)
		}
	}
	if err := validateRules(c.Rules); err != nil {
		return err
	}
	if err := validateCSP(c.CSPServer, c.CSPInterval); err != nil {
		return err
	}
	if c.DistanceStep < time.Millisecond {
		return fmt.Errorf("DistanceStep must be at least 1ms, not %v", c.DistanceStep)
	}
	if c.AnnounceTTL < 1 || c.AnnounceTTL > 255 {
		return fmt.Errorf("AnnounceTTL must be 1 to 255, not %d", c.AnnounceTTL)
	}
	if err := c.Association.validate(); err != nil {
		return err
	}
	_, err := c.asapGroup()
	if err == nil {
		_, err = c.enrpGroup()
	}
	return err
}

// asapPort and enrpPort are the well-known ones.
func (c *RegistrarConfig) asapPort() uint16 {
	if c.TLS != nil {
		return protocol.PortASAPTLS
	}
	return protocol.PortASAP
}

func (c *RegistrarConfig) enrpPort() uint16 {
	if c.TLS != nil {
		return protocol.PortENRPTLS
	}
	return protocol.PortENRP
}

// asapGroup and enrpGroup are the multicast groups, not valid if there is none.
func (c *RegistrarConfig) asapGroup() (netip.AddrPort, error) {
	return parseGroup(c.Announce, asapAnnounces)
}

func (c *RegistrarConfig) enrpGroup() (netip.AddrPort, error) {
	return parseGroup(c.ENRPAnnounce, enrpPresences)
}

// engine is the engine's part of the configuration; rtt tells an association's round-trip time, and
// owner the name in its certificate.
func (c *RegistrarConfig) engine(rtt func(effect.AssocID) time.Duration, owner func(effect.AssocID) string) registrar.Config {
	rand := newRand()
	distance := func(id effect.AssocID) uint32 { return protocol.Distance(rtt(id), c.DistanceStep) }
	return registrar.Config{
		Home: asap.HomeConfig{
			ID:                                    c.ID,
			Rand:                                  rand,
			EndpointKeepAliveTransmissionInterval: c.EndpointKeepAliveTransmissionInterval,
			EndpointKeepAliveTimeoutInterval:      c.EndpointKeepAliveTimeoutInterval,
			MaxBadPEReports:                       c.MaxBadPEReports,
			MaxHResItems:                          c.MaxHResItems,
			MaxHRRate:                             c.MaxHRRate,
			MaxEURate:                             c.MaxEURate,
			MaxClientAssociations:                 c.MaxClientAssociations,
			MaxClientElements:                     c.MaxClientElements,
			MinAddressScope:                       c.MinAddressScope,
			MaxElements:                           c.MaxElements,
			AutoClose:                             c.AutoClose,
			ServerAnnounceCycle:                   c.ServerAnnounceCycle,
			Owner:                                 owner,
			Distance:                              distance,
		},
		ENRP: enrp.Config{
			ID:                      c.ID,
			Rand:                    rand,
			PeerHeartbeatCycle:      c.PeerHeartbeatCycle,
			PeerMaxTimeLastHeard:    c.PeerMaxTimeLastHeard,
			PeerMaxTimeNoResponse:   c.PeerMaxTimeNoResponse,
			MentorDiscoveryTimeout:  c.MentorDiscoveryTimeout,
			TakeoverExpiryInterval:  c.TakeoverExpiryInterval,
			MaxElementsPerHTRequest: c.MaxElementsPerHTRequest,
			MinAddressScope:         c.MinAddressScope,
			MaxElements:             c.MaxElements,
			MaxPeers:                maxPeers,
			Proven:                  c.TLS != nil,
			Distance:                distance,
		},
		MaxIncrement: c.MaxIncrement,
		Rules:        rulesByType(c.Rules),
	}
}

// maxPeers is how many registrars an operation scope may have beside this one.
const maxPeers = 128
