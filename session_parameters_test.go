package rsp_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

// patient needs three intervals of 20 s to take a silent peer for lost.
var patient = rsp.AssociationConfig{HeartbeatInterval: 20 * time.Second, AssocMaxRetrans: 2, PathMaxRetrans: 2}

// noticed kills the host of the session's pool element and returns how long it takes until that is noticed. meanwhile
// is called when the host is dead.
func noticed(t *testing.T, session *rsp.Socket, pe *testPE, meanwhile func()) time.Duration {
	t.Helper()
	exchange(t, session, "hello", session.PeerPE())
	pe.host.Kill()
	start := time.Now()
	meanwhile()
	if _, err := session.Read(make([]byte, 10)); !errors.Is(err, rsp.ErrFailover) {
		t.Errorf("read: %v", err)
	}
	return time.Since(start)
}

// A session's timers may change while it is up, also while the peer is silent already, and stay so after a failover.
func TestSessionParameters(t *testing.T) {
	set := func(t *testing.T, session *rsp.Socket, p rsp.AssociationConfig) {
		t.Helper()
		if err := session.SetSessionParameters(p); err != nil {
			t.Error(err)
		}
	}
	for name, test := range map[string]struct {
		before, meanwhile rsp.AssociationConfig
		min, max          time.Duration
	}{
		"default":          {rsp.AssociationConfig{}, rsp.AssociationConfig{}, 0, time.Second},
		"patient":          {patient, rsp.AssociationConfig{}, 40 * time.Second, 70 * time.Second},
		"becomes patient":  {rsp.LAN, patient, 40 * time.Second, 70 * time.Second},
		"is so no more":    {patient, rsp.LAN, 0, time.Second},
		"patient by parts": {rsp.AssociationConfig{HeartbeatInterval: 20 * time.Second}, rsp.AssociationConfig{AssocMaxRetrans: 2, PathMaxRetrans: 2}, 40 * time.Second, 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				first := s.pe("first", 1, nil)
				session := s.connect(rsp.Dialer{Failover: rsp.FailoverManual})
				if p := session.SessionParameters(); p != rsp.LAN {
					t.Errorf("a session begins with %+v", p)
				}
				second := s.pe("second", 2, nil)
				set(t, session, test.before)
				for _, pe := range []*testPE{first, second} {
					took := noticed(t, session, pe, func() { set(t, session, test.meanwhile) })
					if took < test.min || took > test.max {
						t.Errorf("PE %v is lost after %v, want %v to %v", session.PeerPE(), took, test.min, test.max)
					}
					if pe == first {
						if err := session.ForceFailover(ctx(), true); err != nil {
							t.Fatal(err)
						}
						if test.meanwhile != (rsp.AssociationConfig{}) {
							set(t, session, test.before)
						} // else it has stayed so
					}
				}
			})
		})
	}
}

func TestSessionParametersErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		s.pe("a", 1, nil)
		session := s.connect(rsp.Dialer{})
		before := session.SessionParameters()
		for _, p := range []rsp.AssociationConfig{
			{HeartbeatInterval: time.Millisecond}, {RTOMin: 2 * time.Second, RTOMax: time.Second}, {AssocMaxRetrans: 1000},
		} {
			if err := session.SetSessionParameters(p); err == nil || session.SessionParameters() != before {
				t.Errorf("%+v: %v", p, err)
			}
		}
		fresh := s.endpoint("fresh", s.host(), rsp.Config{}).Socket()
		if err := fresh.SetSessionParameters(rsp.WAN); !errors.Is(err, rsp.ErrNoRole) || fresh.SessionParameters() != (rsp.AssociationConfig{}) {
			t.Errorf("without a session: %v", err)
		}
		session.Close()
		if err := session.SetSessionParameters(rsp.WAN); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
