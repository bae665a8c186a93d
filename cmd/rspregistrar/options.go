package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/rserpool/rsp"
)

// options are what the command line says.
type options struct {
	cfg rsp.RegistrarConfig
	log logOptions

	tlsCert, tlsKey, tlsCA, tlsName string
	policy                          policyFile // of no name: none

	quiet            bool
	health           string
	daemonPIDFile    string
	uptime, downtime time.Duration // means of random times; 0: no failures

	actionLogFile string
	statsFile     string
	statsInterval time.Duration
	scalarFile    string
	object        string

	flags  *flag.FlagSet
	groups []group // for help and the banner
}

// group is options that belong together.
type group struct {
	title string
	names []string
}

// parse reads the command line. Help goes to stdout.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := newOptions()
	if err := o.flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			o.help(stdout)
		}
		return nil, err
	}
	if o.flags.NArg() > 0 {
		return nil, fmt.Errorf("bad argument %q", o.flags.Arg(0))
	}
	if (o.uptime > 0) != (o.downtime > 0) {
		return nil, errors.New("-uptime and -downtime need each other")
	}
	if o.statsFile == "" && o.given("statsinterval") {
		return nil, errors.New("-statsinterval needs -statsfile")
	}
	if err := o.useTLS(); err != nil {
		return nil, err
	}
	if o.policy.name != "" {
		if err := o.policy.read(); err != nil {
			return nil, err
		}
		o.cfg.Authorize = o.policy.authorize
	}
	return o, nil
}

// newOptions returns the defaults, which are RSPLIB's unless help says otherwise.
func newOptions() *options {
	o := &options{
		cfg: rsp.RegistrarConfig{
			Announce: "auto", ENRPAnnounce: "auto", AnnounceTTL: 30, MinAddressScope: rsp.ScopeLoopback,
			EndpointKeepAliveTransmissionInterval: 5 * time.Second,
			EndpointKeepAliveTimeoutInterval:      5 * time.Second,
			MaxBadPEReports:                       3,
			MaxHResItems:                          3,
			MaxElementsPerHTRequest:               128,
			DistanceStep:                          50 * time.Millisecond,
			AutoClose:                             300 * time.Second,
			ServerAnnounceCycle:                   time.Second,
			PeerHeartbeatCycle:                    2444 * time.Millisecond,
			PeerMaxTimeLastHeard:                  5 * time.Second,
			PeerMaxTimeNoResponse:                 5 * time.Second,
			MentorDiscoveryTimeout:                5 * time.Second,
			TakeoverExpiryInterval:                5 * time.Second,
		},
		log:           logOptions{level: defaultLogLevel},
		statsInterval: time.Second,
		object:        "registrar",
		flags:         flag.NewFlagSet("rspregistrar", flag.ContinueOnError),
	}
	o.flags.SetOutput(io.Discard) // errors are the caller's to print
	o.defineGeneral()
	o.defineASAP()
	o.defineENRP()
	o.defineSecurity()
	o.defineFiles()
	return o
}

func (o *options) group(title string) { o.groups = append(o.groups, group{title: title}) }

func (o *options) add(value flag.Value, name, usage string) {
	o.flags.Var(value, name, usage)
	g := &o.groups[len(o.groups)-1]
	g.names = append(g.names, name)
}

func (o *options) addString(value *string, name, usage string) {
	o.flags.StringVar(value, name, *value, usage)
	g := &o.groups[len(o.groups)-1]
	g.names = append(g.names, name)
}

func (o *options) addBool(value *bool, name, usage string) {
	o.flags.BoolVar(value, name, *value, usage)
	g := &o.groups[len(o.groups)-1]
	g.names = append(g.names, name)
}

func (o *options) milliseconds(value *time.Duration, name string, min, max int, usage string) {
	o.add(span{value, time.Millisecond, min, max}, name, fmt.Sprintf("`ms`: %s, %d to %d", usage, min, max))
}

func (o *options) defineGeneral() {
	c := &o.cfg
	o.group("General")
	o.add(identifier{&c.ID}, "identifier", "`ID` of the registrar, 32 bits, not 0")
	o.add(choice[rsp.Network]{&c.Network, []word[rsp.Network]{{"auto", rsp.Auto}, {"sctp", rsp.KernelSCTP}, {"tcp", rsp.TCPMapping}}},
		"transport", "`name`: sctp, tcp (the TCP mapping) or auto, which is all that this machine has; not RSPLIB's")
	o.addBool(&c.IPv4Only, "disable-ipv6", "use IPv4 alone")
	o.add(integer{&c.AnnounceTTL, 1, 255}, "announcettl", "`hops` that announcements may make, 1 to 255")
	o.addBool(&o.quiet, "quiet", "print neither the settings nor what happens, only warnings and errors")
	o.addString(&o.health, "health", "`addr:port` for /healthz, /readyz and /metrics (Prometheus) over HTTP; not RSPLIB's")
	o.addString(&o.daemonPIDFile, "daemonpidfile", "`file` for the process ID: run in the background")
	o.add(mean{&o.uptime}, "uptime", "`seconds` on average (negative exponential) until the registrar fails, to test failures; 0: never")
	o.add(mean{&o.downtime}, "downtime", "`seconds` on average until it is there again")
	o.addString(&c.CSPServer, "cspserver", "`host:port` of a monitor that gets status reports; default is the environment's CSP_SERVER, else 127.0.0.1:2960")
	o.add(reportInterval{&c.CSPInterval}, "cspinterval", "`ms` between two of them, at least 250; 0: none; default is the environment's CSP_INTERVAL, else 250 with a server and none without")
	o.log.define(o)
}

func (o *options) defineASAP() {
	c := &o.cfg
	o.group("ASAP")
	o.add(automatic{&c.Address}, "asap", "`addr:port,addr,...` for pool elements and users; auto: all addresses, at port 3863 if that is free")
	o.add(announce{&c.Announce}, "asapannounce", "`addr:port` of the multicast group to be found in, auto (239.0.0.50:3863), off or none")
	o.milliseconds(&c.ServerAnnounceCycle, "serverannouncecycle", 100, 60000, "time between two announcements")
	o.milliseconds(&c.EndpointKeepAliveTransmissionInterval, "endpointkeepalivetransmissioninterval", 300, 300000, "how long a pool element is quiet before it is asked whether it lives")
	o.milliseconds(&c.EndpointKeepAliveTimeoutInterval, "endpointkeepalivetimeoutinterval", 100, 60000, "how long it has to answer")
	o.add(integer{&c.MaxBadPEReports, 1, math.MaxInt32}, "maxbadpereports", "the report by number `n` that a pool element is unreachable removes it")
	o.add(integer{&c.MaxIncrement, 0, math.MaxInt32}, "maxincrement", "`n` pool elements of an answer count as selected; 0: what the policy says, which is 1")
	o.add(integer{&c.MaxHResItems, 1, math.MaxInt32}, "maxhresitems", "`n` pool elements are in an answer if the user does not say how many")
	o.add(rate{&c.MaxHRRate}, "maxhrrate", "handle resolutions `per second` that one user may ask for; -1: unlimited")
	o.add(rate{&c.MaxEURate}, "maxeurate", "failure reports `per second` that one user may send; -1: unlimited")
	o.add(integer{&c.MaxClientAssociations, 0, math.MaxInt32}, "maxclientassociations", "`n` associations at most with one client, which is a certificate's name or, without TLS, an address; 0: unlimited")
	o.add(integer{&c.MaxClientElements, 0, math.MaxInt32}, "maxclientelements", "`n` pool elements at most of one client; 0: unlimited")
	o.add(span{&c.AutoClose, time.Second, 5, math.MaxInt32}, "autoclosetimeout", "`seconds` of silence after which an association without pool elements is closed, at least 5")
	o.add(choice[rsp.AddressScope]{&c.MinAddressScope, []word[rsp.AddressScope]{
		{"loopback", rsp.ScopeLoopback}, {"sitelocal", rsp.ScopeSiteLocal}, {"global", rsp.ScopeGlobal},
	}}, "minaddressscope", "`scope` that a pool element's addresses must have: loopback, sitelocal (RSPLIB's default) or global")
	o.milliseconds(&c.DistanceStep, "distancestep", 1, math.MaxInt32, "what the distances of pool elements are rounded to, for policies that count them")
}

func (o *options) defineENRP() {
	c := &o.cfg
	o.group("ENRP")
	o.add(automatic{&c.ENRPAddress}, "enrp", "`addr:port,addr,...` for other registrars; auto: the addresses of -asap, at port 9901 if that is free")
	o.add(announce{&c.ENRPAnnounce}, "enrpannounce", "`addr:port` of the registrars' multicast group, auto (239.0.0.51:9901), off or none")
	o.add(announce{&c.ENRPAnnounce}, "enrpmulticast", "another name of -enrpannounce")
	o.add(list{&c.Peers}, "peer", "`addr:port` of another registrar, or a domain: its SRV records _enrp._tcp and _enrp._sctp, or port 9901; may be repeated")
	o.milliseconds(&c.PeerHeartbeatCycle, "peerheartbeatcycle", 1000, 300000, "time between two signs of life to peers")
	o.milliseconds(&c.PeerMaxTimeLastHeard, "peermaxtimelastheard", 1000, 300000, "how long a peer is silent before it is asked whether it lives")
	o.milliseconds(&c.PeerMaxTimeNoResponse, "peermaxtimenoresponse", 1000, 60000, "how long it has to answer before its pool elements are taken over")
	o.milliseconds(&c.MentorDiscoveryTimeout, "mentordiscoverytimeout", 1000, 60000, "how long to look for a registrar to take the handlespace from")
	o.milliseconds(&c.TakeoverExpiryInterval, "takeoverexpiryinterval", 1000, 60000, "how long peers have to agree to a takeover")
	o.add(integer{&c.MaxElementsPerHTRequest, 1, math.MaxInt32}, "maxelementsperhtrequest", "`n` pool elements are in one part of a handle table")
	o.add(ignored{"always", true}, "supporttakeoversuggestion", "for compatibility: suggestions to take a pool element over are always understood")
}

func (o *options) defineSecurity() {
	o.group("Security")
	o.addString(&o.tlsCert, "tlscert", "`file` with the registrar's certificate: TLS for all associations, at ports 3864 and 9902 unless -asap and -enrp say others")
	o.addString(&o.tlsKey, "tlskey", "`file` with its key")
	o.addString(&o.tlsCA, "tlsca", "`file` with the authorities that certificates of pool elements, users and registrars come from")
	o.addString(&o.tlsName, "tlsname", "`name` that certificates of pool elements have; default: their addresses")
	o.addString(&o.cfg.RegistrarName, "registrarname", "`name` that certificates of registrars have, this one's too; default: registrar.rsp.internal")
	o.addString(&o.policy.name, "policyfile", "`file` that says who may do what by the names in certificates, read again at SIGHUP; see README.md")
}

// useTLS reads the files of TLS, if any is named.
func (o *options) useTLS() (err error) {
	if o.tlsCert == "" && o.tlsKey == "" && o.tlsCA == "" && o.tlsName == "" && o.cfg.RegistrarName == "" {
		return nil
	}
	if o.tlsCert == "" || o.tlsKey == "" || o.tlsCA == "" {
		return errors.New("-tlsname and -registrarname are for TLS, which needs -tlscert, -tlskey and -tlsca")
	}
	if o.cfg.TLS, err = rsp.TLSFiles(o.tlsCert, o.tlsKey, o.tlsCA); err == nil {
		o.cfg.TLS.ServerName = o.tlsName
	}
	return err
}

func (o *options) defineFiles() {
	o.group("Files")
	o.addString(&o.actionLogFile, "actionlogfile", "`file` for each message; compressed by bzip2 if its name ends with .bz2")
	o.addString(&o.statsFile, "statsfile", "`file` for statistics; compressed likewise")
	o.milliseconds(&o.statsInterval, "statsinterval", 10, 3600000, "time between two lines of it")
	o.addString(&o.scalarFile, "scalar", "`file` for totals and averages, written at the end")
	o.addString(&o.object, "object", "`name` of the registrar in it")
}

// given reports whether an option is on the command line.
func (o *options) given(name string) bool {
	found := false
	o.flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// help prints all options by group.
func (o *options) help(w io.Writer) {
	fmt.Fprintln(w, "Usage: rspregistrar [-option[=value]]...\nRuns a registrar of Reliable Server Pooling (RFC 5351).")
	for _, g := range o.groups {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, name := range g.names {
			f := o.flags.Lookup(name)
			arg, usage := flag.UnquoteUsage(f)
			if arg != "" && !isBool(f) {
				name += "=" + strings.ReplaceAll(arg, " ", "-")
			}
			if f.DefValue != "" && !isBool(f) {
				usage += " (default " + f.DefValue + ")"
			}
			fmt.Fprintf(w, "  -%s\n        %s\n", name, usage)
		}
	}
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// banner prints what is in force.
func (o *options) banner(w io.Writer, r *rsp.Registrar) {
	const title = "Registrar of Reliable Server Pooling"
	fmt.Fprintf(w, "%s\n%s\n\n", title, strings.Repeat("=", len(title)))
	fmt.Fprintf(w, "Identifier:     %v\nASAP addresses: %s\nENRP address:   %s\n", r.ID(), strings.Join(r.Addrs(), " "), r.PeerAddr())
	for _, g := range o.groups {
		fmt.Fprintf(w, "%s parameters:\n", g.title)
		for _, name := range g.names {
			if value := o.flags.Lookup(name).Value.String(); value != "" {
				fmt.Fprintf(w, "   %-40s %s\n", name, value)
			}
		}
	}
}
