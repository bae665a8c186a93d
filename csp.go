package rsp

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/registrar"
)

// The environment variables of RSPLIB's programs that say where status reports go, and how often.
const (
	cspServerEnv   = "CSP_SERVER"
	cspIntervalEnv = "CSP_INTERVAL" // milliseconds
)

// cspSettings are where reports go, and how often; an interval of 0 or less: there are none.
type cspSettings struct {
	server   string
	interval time.Duration
}

// withEnvironment fills in what is not set from the environment.
func (c cspSettings) withEnvironment() (cspSettings, error) {
	c.server = cmp.Or(c.server, os.Getenv(cspServerEnv))
	env := os.Getenv(cspIntervalEnv)
	if c.interval != 0 || env == "" {
		return c, nil
	}
	ms, err := strconv.ParseUint(env, 10, 32)
	if err != nil {
		return c, fmt.Errorf("environment variable %s: %w", cspIntervalEnv, err)
	}
	c.interval = time.Duration(ms) * time.Millisecond
	return c, nil
}

// ofRegistrar fills in a registrar's defaults: reports go to this machine, and with a server but no interval
// they come as often as may be.
func (c cspSettings) ofRegistrar() cspSettings {
	if c.server != "" && c.interval == 0 {
		c.interval = csp.MinInterval
	}
	c.server = cmp.Or(c.server, fmt.Sprintf("127.0.0.1:%d", csp.Port))
	return c
}

// validateCSP checks what a configuration says of status reports.
func validateCSP(server string, interval time.Duration) error {
	if server != "" {
		if _, _, err := net.SplitHostPort(server); err != nil {
			return fmt.Errorf("CSPServer: %w", err)
		}
	}
	if max := math.MaxUint32 * time.Microsecond; interval > max { // what a report can tell
		return fmt.Errorf("CSPInterval must be at most %v, not %v", max, interval)
	}
	return nil
}

// registerCSPFlags defines the flags for status reports.
func (c *Config) registerCSPFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.CSPServer, "cspserver", c.CSPServer, "`host:port` of a monitor that gets status reports (default the environment's CSP_SERVER)")
	fs.Func("cspinterval", "`milliseconds` between two status reports, at least 250; 0: no reports (default the environment's CSP_INTERVAL, else 0)", func(s string) error {
		ms, err := strconv.ParseUint(s, 10, 32)
		c.CSPInterval = time.Duration(ms) * time.Millisecond
		if ms == 0 {
			c.CSPInterval = -1 // whatever the environment says
		}
		return err
	})
	fs.Func("cspidentifier", "`identifier` of the pool user in status reports, up to 56 bits (default random)", func(s string) (err error) {
		c.CSPIdentifier, err = strconv.ParseUint(s, 0, 56)
		return err
	})
}

// start starts a reporter; nil if no reports are wanted.
func (c cspSettings) start(ctx context.Context, log *slog.Logger, components func() []csp.Report) (*csp.Reporter, error) {
	if c.server == "" || c.interval <= 0 {
		return nil, nil
	}
	if err := validateCSP(c.server, c.interval); err != nil {
		return nil, err
	}
	found, err := lookupRemote(ctx, c.server)
	if err != nil {
		return nil, fmt.Errorf("CSPServer %q: %w", c.server, err)
	}
	return csp.NewReporter(csp.Config{
		Server: found[0], Interval: max(c.interval, csp.MinInterval), Logger: log, Components: components,
	})
}

// startReports begins the registrar's reports, if there are any. They wait until it has started.
func (r *Registrar) startReports(ctx context.Context) (*csp.Reporter, error) {
	c, err := cspSettings{r.cfg.CSPServer, r.cfg.CSPInterval}.withEnvironment()
	if err != nil {
		return nil, err
	}
	return c.ofRegistrar().start(ctx, r.log, r.statusReport)
}

// statusReport is a registrar's report: its handlespace and its peers.
func (r *Registrar) statusReport() []csp.Report {
	report := csp.Report{
		Sender:   csp.NewComponentID(csp.Registrar, uint64(r.cfg.ID)),
		Workload: csp.NoWorkload,
	}
	r.loop.Do(func(_ time.Time, e *registrar.Engine) {
		for _, peer := range e.Peers() {
			if peer.ID != 0 {
				report.Associations = append(report.Associations, csp.Association{
					Receiver: csp.NewComponentID(csp.Registrar, uint64(peer.ID)),
					Duration: -1, // as RSPLIB's registrars
					Protocol: ipProtocol(peer.Addr.Protocol),
					PPID:     protocol.PPIDENRP,
				})
			}
		}
		space := e.Space()
		report.Status = fmt.Sprintf("%d[%d] PEs in %s, %s", space.Len(), space.Owned(r.cfg.ID),
			count(space.LenPools(), "Pool"), count(len(report.Associations), "Peer"))
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.listeners[0].LocalAddr()
	report.Location = csp.Location(at.Addrs, at.Port)
	return []csp.Report{report}
}

// count prints "1 Session", "2 Sessions".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}

// component is what an Endpoint reports of one of its PEs, or of itself as PU. Its zero value is ready to use.
type component struct {
	mu       sync.Mutex
	status   string  // of SetStatus
	statusOf *Socket // that has set it
	accepted int     // sessions
	outgoing map[*Socket]struct{}
}

// join adds a session, which the Socket has already.
func (c *component) join(s *Socket, accepted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if accepted {
		c.accepted++
		return
	}
	if c.outgoing == nil {
		c.outgoing = make(map[*Socket]struct{})
	}
	c.outgoing[s] = struct{}{}
}

// leave takes what a Socket that ends has told.
func (c *component) leave(s *Socket, session *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statusOf == s {
		c.status, c.statusOf = "", nil
	}
	switch {
	case session == nil: // the PE itself
	case session.dialer == nil:
		c.accepted--
	default:
		delete(c.outgoing, s)
	}
}

// userOf is what a session of d counts for: the PE that opens it, or the Endpoint as PU.
func (e *Endpoint) userOf(d *Dialer) *component {
	if d.PE != nil {
		d.PE.mu.Lock()
		defer d.PE.mu.Unlock()
		if d.PE.component != nil {
			return d.PE.component
		}
	}
	e.usesPools.Store(true)
	return &e.user
}

// SetStatus replaces the number of sessions in the status reports of the Socket's component (rsp_csp_setstatus),
// see Config.CSPServer: a PE for its listening Socket, its accepted sessions and those of Dialer.PE, else
// the PU. The text that was set last stays until "" is set or the Socket that has set it ends; of longer ones 127
// bytes are reported. The error is ErrNoRole if the Socket has no component, which FromConn gives none.
func (s *Socket) SetStatus(text string) error {
	s.mu.Lock()
	c, closed := s.component, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return &OpError{Op: "set status", Err: net.ErrClosed}
	case c == nil:
		return &OpError{Op: "set status", Err: ErrNoRole}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status, c.statusOf = text, s
	return nil
}

// statusReports are those of an Endpoint's PEs and, once it has used a pool, of itself as PU.
func (e *Endpoint) statusReports() []csp.Report {
	var home asap.HomeRegistrar
	var elements []*Socket
	e.loop.Do(func(_ time.Time, c *asap.Client) {
		home = c.HomeRegistrar()
		if home.ID == 0 {
			home.ID = e.registrars.id(home.Addr)
		}
		for _, el := range e.elements {
			if el.socket != nil {
				elements = append(elements, el.socket)
			}
		}
	})
	now := time.Now()
	var reports []csp.Report
	for _, s := range elements {
		reports = append(reports, s.elementReport(now, &home))
	}
	if e.usesPools.Load() {
		report := csp.Report{
			Sender:   csp.NewComponentID(csp.PoolUser, e.userID),
			Location: csp.Location(machineAddrs(), 0),
			Workload: csp.NoWorkload,
		}
		e.user.fill(&report, now, &home)
		reports = append(reports, report)
	}
	return reports
}

// elementReport is the report of a registered PE.
func (s *Socket) elementReport(now time.Time, home *asap.HomeRegistrar) csp.Report {
	s.mu.Lock()
	id, policy, at := s.pe.id, s.pe.policy.wire(), s.pe.listener.LocalAddr()
	s.mu.Unlock()
	report := csp.Report{
		Sender:   csp.NewComponentID(csp.PoolElement, uint64(id)),
		Location: csp.Location(at.Addrs, at.Port),
		Workload: csp.NoWorkload,
	}
	if fields, _ := policy.Type.Fields(); slices.Contains(fields, protocol.FieldLoad) {
		report.Workload = csp.WorkloadOf(float64(policy.Load) / protocol.MaxLoad)
	}
	s.component.fill(&report, now, home)
	return report
}

// fill tells a component's status and associations.
func (c *component) fill(report *csp.Report, now time.Time, home *asap.HomeRegistrar) {
	c.mu.Lock()
	report.Status = c.status
	sessions := c.accepted + len(c.outgoing)
	outgoing := make([]*Socket, 0, len(c.outgoing))
	for s := range c.outgoing {
		outgoing = append(outgoing, s)
	}
	c.mu.Unlock()
	switch {
	case home.Hunting:
		report.Status = "Looking for Registrar ..."
	case report.Status == "":
		report.Status = count(sessions, "Session")
	}
	if !home.Addr.IsZero() {
		report.Associations = append(report.Associations, csp.Association{
			Receiver: csp.NewComponentID(csp.Registrar, uint64(home.ID)),
			Duration: now.Sub(home.Since),
			Protocol: ipProtocol(home.Addr.Protocol),
			PPID:     protocol.PPIDASAP,
		})
	}
	for _, s := range outgoing {
		if a, isUp := s.session.association(now); isUp {
			report.Associations = append(report.Associations, a)
		}
	}
}

// association is what is reported of a session while it is up.
func (s *session) association(now time.Time) (a csp.Association, isUp bool) {
	s.mu.Lock()
	state, peer, since, assoc := s.state, s.peer, s.upSince, s.assoc
	s.mu.Unlock()
	if state != up {
		return a, false
	}
	return csp.Association{
		Receiver: csp.NewComponentID(csp.PoolElement, uint64(peer)),
		Duration: now.Sub(since),
		Protocol: ipProtocol(assoc.RemoteAddr().Protocol),
		PPID:     PPID(s.sentPPID.Load()),
	}, true
}

func ipProtocol(p protocol.TransportProtocol) uint16 {
	if p == protocol.TCP {
		return csp.ProtocolTCP
	}
	return csp.ProtocolSCTP
}

// machineAddrs are the machine's addresses; none if it does not tell them.
func machineAddrs() []netip.Addr {
	nets, _ := net.InterfaceAddrs()
	var addrs []netip.Addr
	for _, n := range nets {
		if prefix, ok := n.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(prefix.IP); ok {
				addrs = append(addrs, a.Unmap())
			}
		}
	}
	return addrs
}
