package rsp

import (
	"cmp"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/protocol"
)

// Config is how an Endpoint finds its registrars and how patient it is. The zero
// value of each field means its default.
type Config struct {
	// Registrars are the addresses of registrars, "host:port"; or "domain", whose SRV records _asap._tcp and
	// _asap._sctp tell, and if it has none, the domain's own addresses at port 3863, with TLS 3864. Default: those of the
	// environment variable RSP_REGISTRARS, separated by commas, else localhost:3863, with TLS localhost:3864, beside
	// those that announce themselves.
	//
	// Names are looked up whenever a registrar is sought, every 2 s until one is found, and each address is a
	// registrar's. A name that is not found yet, or whose lookup fails, is no error: what was
	// known stays known, Logger is told, and requests that find no registrar say so (ErrNoRegistrar).
	Registrars []string
	// Announce is the multicast group by which registrars announce themselves: "auto" is
	// RSPLIB's, 239.0.0.50:3863, "off" none, anything else an "address:port" like
	// "[ff05::133]:3863". Where it cannot be joined, that is logged and no error. Default: off if Registrars or
	// RSP_REGISTRARS say which ones to use, else auto.
	Announce string
	// AnnounceInterfaces are the names of the network interfaces to hear announces from.
	// Default: all.
	AnnounceInterfaces []string
	// Network carries all associations. Default: Auto.
	Network Network
	// TLS, if set, is under all associations that the Endpoint opens and accepts, those of sessions and those
	// with registrars. They are those of the TCP mapping, with TLS 1.3 and certificates on both sides. The one tls.Config is
	// for both directions: each peer's certificate must come from RootCAs, or from ClientCAs if it has opened the
	// association and they are set, and Certificates (or GetCertificate and GetClientCertificate) must
	// be good for servers and for clients. Beside that,
	//
	//   - a registrar, whoever has opened the association, must have a certificate for RegistrarName,
	//     at whatever address it was found;
	//   - a PE that is connected to, one for ServerName or, if that is empty, for the IP address that its registrar gave;
	//   - a PU must have none for any name;
	//   - VerifyConnection may ask for more.
	//
	// Names for the other direction do not matter: anybody with a certificate from ClientCAs may connect to a PE, which can
	// tell them apart (Socket.PeerCertificate). Sessions are not resumed, so that each association checks certificates
	// as they are then. Multicast announces stay in clear; they only say where a registrar might be. All
	// programs of an operation scope have TLS, or none. TLSFiles makes a tls.Config of files. Default: no TLS.
	TLS *tls.Config
	// RegistrarName is the DNS name that certificates of registrars have and no others. Default:
	// registrar.rsp.internal. Without TLS it has no meaning.
	RegistrarName string
	// Logger takes what happens. Default: nothing is logged.
	Logger *slog.Logger

	// StaleCache is how long the result of a handle resolution serves for further
	// sessions and resolutions (RFC 5352 section 7.2, stale_cache_value). Default: 0, the registrar is asked
	// each time.
	//
	// Whatever it is, up to 4,096 pool elements are kept for the time when no registrar answers
	// (Resolution.Stale), up to 128 of a pool beside those of its latest answer. Pools that were asked for
	// longest ago go first.
	StaleCache time.Duration
	// Rules select by policies of one's own, by the numbers of their types (Policy.Type). Registrars
	// that have no rule for a type give its pool elements in turn, so that it is best to have the rule
	// at both.
	Rules map[uint32]Rule
	// ReregistrationInterval is how often a PE tells its registrar that it is
	// still there (T4-reregistration). The registration life is three times as long. Default: 30 s.
	ReregistrationInterval time.Duration
	// RegistrarConnectTimeout bounds one round of the search for a registrar
	// (T5-Serverhunt). Default: 7.5 s.
	RegistrarConnectTimeout time.Duration
	// RegistrarAnnounceTimeout is how long a registrar is remembered after its last announce
	// (T7-ENRPoutdate). Default: 5 s.
	RegistrarAnnounceTimeout time.Duration
	// RegistrarRequestTimeout is how long a request may wait for a registrar to be
	// found. Default: 3 s.
	RegistrarRequestTimeout time.Duration
	// RegistrarResponseTimeout is how long a registrar may take to answer before
	// another one is looked for (T1-ENRPrequest, T2-registration, T3-deregistration). Default: 3 s.
	RegistrarResponseTimeout time.Duration
	// RegistrarRequestAttempts is how often a resolution is sent before it fails
	// (MAX-REQUEST-RETRANSMIT). Default: 2.
	RegistrarRequestAttempts int

	// CSPServer is a monitor that is told the status of the pool elements of the Endpoint's Sockets and, once it
	// has used a pool, of the Endpoint itself as pool user: "host:port" of, for instance, the program cspmonitor. It
	// gets a UDP datagram of each at every CSPInterval, and a last one when it ends (RSPLIB's Component Status
	// Protocol). Nothing waits for that. Reports are in clear and nobody vouches for them, with TLS too. Default:
	// what the environment variable CSP_SERVER says, else none.
	CSPServer string
	// CSPInterval is the time between two reports, at least 250 ms, which shorter ones are raised to.
	// Default: the milliseconds of the environment variable CSP_INTERVAL; without it, or if CSPInterval is negative,
	// there are no reports.
	CSPInterval time.Duration
	// CSPIdentifier is the pool user's in its reports, up to 56 bits. Default: random.
	CSPIdentifier uint64

	// Association tunes associations: LAN, WAN or one's own. Default: LAN for sessions, slower
	// for associations with registrars. What is set holds for both.
	Association AssociationConfig
}

// service is what Registrars are looked up for.
func (c *Config) service() service {
	if c.TLS != nil {
		return service{"asap", protocol.PortASAPTLS}
	}
	return service{"asap", protocol.PortASAP}
}

const registrarsEnv = "RSP_REGISTRARS"

// withDefaults returns a copy of c with its zero fields filled.
func (c *Config) withDefaults() Config {
	var d Config
	if c != nil {
		d = *c
	}
	if env := os.Getenv(registrarsEnv); len(d.Registrars) == 0 && env != "" {
		d.Registrars = strings.Split(env, ",")
	}
	if len(d.Registrars) == 0 {
		d.Registrars = []string{"localhost:3863"}
		if d.TLS != nil {
			d.Registrars[0] = "localhost:3864"
		}
		d.Announce = cmp.Or(d.Announce, "auto")
	}
	d.Announce = cmp.Or(d.Announce, "off")
	d.Registrars = slices.Clone(d.Registrars)
	d.AnnounceInterfaces = slices.Clone(d.AnnounceInterfaces)
	d.Logger = loggerOr(d.Logger)
	d.Rules = maps.Clone(d.Rules)
	d.ReregistrationInterval = cmp.Or(d.ReregistrationInterval, 30*time.Second)
	d.RegistrarAnnounceTimeout = cmp.Or(d.RegistrarAnnounceTimeout, 5*time.Second)
	d.RegistrarConnectTimeout = cmp.Or(d.RegistrarConnectTimeout, 7500*time.Millisecond)
	d.RegistrarRequestTimeout = cmp.Or(d.RegistrarRequestTimeout, 3*time.Second)
	d.RegistrarResponseTimeout = cmp.Or(d.RegistrarResponseTimeout, 3*time.Second)
	d.RegistrarRequestAttempts = cmp.Or(d.RegistrarRequestAttempts, 2)
	return d
}

func (c *Config) validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"StaleCache", c.StaleCache},
		{"ReregistrationInterval", c.ReregistrationInterval},
		{"RegistrarAnnounceTimeout", c.RegistrarAnnounceTimeout},
		{"RegistrarConnectTimeout", c.RegistrarConnectTimeout},
		{"RegistrarRequestTimeout", c.RegistrarRequestTimeout},
		{"RegistrarResponseTimeout", c.RegistrarResponseTimeout},
	} {
		if d.value < 0 {
			return fmt.Errorf("%s must not be negative, as %v is", d.name, d.value)
		}
	}
	if c.RegistrarRequestAttempts < 0 {
		return fmt.Errorf("RegistrarRequestAttempts must not be negative, as %d is", c.RegistrarRequestAttempts)
	}
	// The registration life is told in 32 bits of milliseconds.
	if max := time.Duration(1<<32-1) * time.Millisecond / 3; c.ReregistrationInterval > max {
		return fmt.Errorf("ReregistrationInterval must be at most %v, not %v", max, c.ReregistrationInterval)
	}
	if c.CSPIdentifier > csp.MaxIdentifier {
		return fmt.Errorf("CSPIdentifier must have at most 56 bits, not 0x%x", c.CSPIdentifier)
	}
	if err := validateCSP(c.CSPServer, c.CSPInterval); err != nil {
		return err
	}
	if err := validateRules(c.Rules); err != nil {
		return err
	}
	return c.Association.validate()
}

func loggerOr(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// RegisterFlags defines flags for c in fs, by the names of RSPLIB's programs: -registrar=
// (host:port or a domain, may be given several times), -asapannounce= (auto, off or address:port),
// -registrarannouncetimeout=, -registrarconnecttimeout=, -registrarrequesttimeout=,
// -registrarresponsetimeout= (milliseconds), -registrarrequestmaxtrials=, -cspserver= (host:port),
// -cspinterval= (milliseconds, 0: no reports) and -cspidentifier=; and -asapannounceinterface= (a name, may be given
// several times), and for TLS -tlscert=, -tlskey=, -tlsca= (files, see TLSFiles), -tlsname= (TLS.ServerName)
// and -registrarname=.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.Func("registrar", "`host:port` of a registrar, or a domain whose SRV records _asap._tcp and _asap._sctp tell (may be repeated; default localhost:3863)", func(s string) error {
		c.Registrars = append(c.Registrars, s)
		_, err := parseRemote(s, c.service())
		return err
	})
	fs.Func("asapannounce", "where registrars announce themselves: auto, off or the `address:port` of a multicast group (default auto without -registrar, else off)", func(s string) error {
		c.Announce = s
		_, err := parseGroup(s, asapAnnounces)
		return err
	})
	fs.Func("asapannounceinterface", "`name` of a network interface to hear announces from (may be repeated; default all)", func(s string) error {
		c.AnnounceInterfaces = append(c.AnnounceInterfaces, s)
		return nil
	})
	milliseconds := func(field *time.Duration, name, what string) {
		fs.Func(name, what, func(s string) error {
			d, err := time.ParseDuration(s + "ms")
			if err == nil && d <= 0 {
				err = fmt.Errorf("must be positive")
			}
			*field = d
			return err
		})
	}
	milliseconds(&c.RegistrarAnnounceTimeout, "registrarannouncetimeout", "`milliseconds` for which an announced registrar is remembered (default 5000)")
	milliseconds(&c.RegistrarConnectTimeout, "registrarconnecttimeout", "`milliseconds` for one round of the search for a registrar (default 7500)")
	milliseconds(&c.RegistrarRequestTimeout, "registrarrequesttimeout", "`milliseconds` for a request to find a registrar (default 3000)")
	milliseconds(&c.RegistrarResponseTimeout, "registrarresponsetimeout", "`milliseconds` for a registrar to answer (default 3000)")
	fs.IntVar(&c.RegistrarRequestAttempts, "registrarrequestmaxtrials", c.RegistrarRequestAttempts, "how often a request is sent (default 2)")
	c.registerCSPFlags(fs)
	c.registerTLSFlags(fs)
}
