package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args string
		want func(*options) any
		is   any
	}{
		{"-identifier=0x11111111", func(o *options) any { return o.cfg.ID }, rsp.RegistrarID(0x11111111)},
		{"-identifier=7", func(o *options) any { return o.cfg.ID }, rsp.RegistrarID(7)},
		{"-asap=10.0.0.1:3863,10.0.1.1", func(o *options) any { return o.cfg.Address }, "10.0.0.1:3863,10.0.1.1"},
		{"-asap=auto", func(o *options) any { return o.cfg.Address }, ""},
		{"-enrp=10.0.0.1:9901", func(o *options) any { return o.cfg.ENRPAddress }, "10.0.0.1:9901"},
		{"-asap=10.0.0.1:0", func(o *options) any { return o.cfg.Announce }, "auto"},
		{"-asapannounce=239.0.0.1:3863", func(o *options) any { return o.cfg.Announce }, "239.0.0.1:3863"},
		{"-asapannounce=none", func(o *options) any { return o.cfg.Announce }, "off"},
		{"-enrpannounce=off", func(o *options) any { return o.cfg.ENRPAnnounce }, "off"},
		{"-enrpmulticast=off", func(o *options) any { return o.cfg.ENRPAnnounce }, "off"},
		{"-peer=10.0.0.1:9901 -peer=10.0.0.2", func(o *options) any { return o.cfg.Peers }, []string{"10.0.0.1:9901", "10.0.0.2"}},
		{"-disable-ipv6", func(o *options) any { return o.cfg.IPv4Only }, true},
		{"-transport=tcp", func(o *options) any { return o.cfg.Network }, rsp.TCPMapping},
		{"-announcettl=7", func(o *options) any { return o.cfg.AnnounceTTL }, 7},
		{"-serverannouncecycle=100", func(o *options) any { return o.cfg.ServerAnnounceCycle }, 100 * time.Millisecond},
		{"-endpointkeepalivetransmissioninterval=300", func(o *options) any { return o.cfg.EndpointKeepAliveTransmissionInterval }, 300 * time.Millisecond},
		{"-endpointkeepalivetimeoutinterval=100", func(o *options) any { return o.cfg.EndpointKeepAliveTimeoutInterval }, 100 * time.Millisecond},
		{"-maxbadpereports=2", func(o *options) any { return o.cfg.MaxBadPEReports }, 2},
		{"-maxincrement=4", func(o *options) any { return o.cfg.MaxIncrement }, 4},
		{"-maxhresitems=5", func(o *options) any { return o.cfg.MaxHResItems }, 5},
		{"-maxelementsperhtrequest=6", func(o *options) any { return o.cfg.MaxElementsPerHTRequest }, 6},
		{"-maxclientassociations=3", func(o *options) any { return o.cfg.MaxClientAssociations }, 3},
		{"-maxclientelements=4", func(o *options) any { return o.cfg.MaxClientElements }, 4},
		{"-maxhrrate=2.5", func(o *options) any { return o.cfg.MaxHRRate }, 2.5},
		{"-maxeurate=-1", func(o *options) any { return o.cfg.MaxEURate }, 0.0},
		{"-autoclosetimeout=60", func(o *options) any { return o.cfg.AutoClose }, time.Minute},
		{"-minaddressscope=sitelocal", func(o *options) any { return o.cfg.MinAddressScope }, rsp.ScopeSiteLocal},
		{"-peerheartbeatcycle=1000", func(o *options) any { return o.cfg.PeerHeartbeatCycle }, time.Second},
		{"-peermaxtimelastheard=300000", func(o *options) any { return o.cfg.PeerMaxTimeLastHeard }, 300 * time.Second},
		{"-peermaxtimenoresponse=1500", func(o *options) any { return o.cfg.PeerMaxTimeNoResponse }, 1500 * time.Millisecond},
		{"-mentordiscoverytimeout=1000", func(o *options) any { return o.cfg.MentorDiscoveryTimeout }, time.Second},
		{"-takeoverexpiryinterval=60000", func(o *options) any { return o.cfg.TakeoverExpiryInterval }, time.Minute},
		{"-uptime=1.5 -downtime=2", func(o *options) any { return []time.Duration{o.uptime, o.downtime} }, []time.Duration{1500 * time.Millisecond, 2 * time.Second}},
		{"-statsfile=a -statsinterval=10", func(o *options) any { return o.statsInterval }, 10 * time.Millisecond},
		{"-loglevel=9", func(o *options) any { return o.log.level }, logMost},
		{"-distancestep=20", func(o *options) any { return o.cfg.DistanceStep }, 20 * time.Millisecond},
		{"-supporttakeoversuggestion -logcolor=on", func(o *options) any { return o.quiet }, false},
		{"-cspserver=10.0.0.1:2960", func(o *options) any { return o.cfg.CSPServer }, "10.0.0.1:2960"},
		{"-cspinterval=1000", func(o *options) any { return o.cfg.CSPInterval }, time.Second},
		{"-cspinterval=0", func(o *options) any { return o.cfg.CSPInterval }, time.Duration(-1)},
		{"-object=x", func(o *options) any { return o.object }, "x"},
	} {
		o, err := parse(strings.Fields(tt.args), new(lab.Output))
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
		} else if diff := cmp.Diff(tt.is, tt.want(o)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.args, diff)
		}
	}
}

// An error names the option, and its range if it has one.
func TestParseErrors(t *testing.T) {
	for arg, want := range map[string]string{
		"-nosuchoption=1":         "-nosuchoption",
		"argument":                "argument",
		"-identifier=x":           "1 to 0xffffffff",
		"-identifier=0":           "1 to 0xffffffff",
		"-transport=udp":          "auto sctp tcp",
		"-announcettl=256":        "1 to 255",
		"-autoclosetimeout=4":     "from 5",
		"-maxhresitems=0":         "from 1",
		"-maxbadpereports=many":   "from 1",
		"-maxhrrate=-2":           "-1 for unlimited",
		"-maxeurate=NaN":          "-1 for unlimited",
		"-minaddressscope=host":   "loopback sitelocal global",
		"-uptime=5":               "-downtime",
		"-tlscert=cert.pem":       "-tlskey",
		"-tlsname=server":         "-tlscert",
		"-registrarname=pr":       "-tlsca",
		"-loglevel=10":            "0 to 9",
		"-statsinterval=20":       "-statsfile",
		"-statsinterval=9":        "10 to 3600000",
		"-statsinterval=3600001":  "10 to 3600000",
		"-serverannouncecycle=99": "100 to 60000",
		"-endpointkeepalivetransmissioninterval=299": "300 to 300000",
		"-endpointkeepalivetimeoutinterval=60001":    "100 to 60000",
		"-endpointkeepalivetimeoutinterval=1s":       "100 to 60000",
		"-peerheartbeatcycle=999":                    "1000 to 300000",
		"-peermaxtimelastheard=999":                  "1000 to 300000",
		"-peermaxtimenoresponse=60001":               "1000 to 60000",
		"-mentordiscoverytimeout=999":                "1000 to 60000",
		"-takeoverexpiryinterval=999":                "1000 to 60000",
		"-cspinterval=3600001":                       "0 to 3600000",
	} {
		_, err := parse([]string{arg}, new(lab.Output))
		name, _, _ := strings.Cut(arg, "=")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", arg, err)
		}
	}
}
