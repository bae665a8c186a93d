package daytime_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/daytime"
	"github.com/rserpool/rsp/examples/internal/service/servicetest"
)

// A PU gets the time at the beginning and for each message, by the clock and by RSPLIB's format, and its
// session lasts.
func TestDaytime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Local = time.UTC // the bubble begins at midnight there
		s := servicetest.New(t)
		s.Serve(1, daytime.New())
		time.Sleep(1500 * time.Microsecond)
		session := s.Connect("DaytimePool", rsp.Dialer{Failover: rsp.FailoverNone})
		got, info := s.Receive(session)
		if want := "Saturday, 01-January-2000 00:00:00.001500\n"; got != want || info.PPID != 0 {
			t.Errorf("%q, PPID %d", got, info.PPID)
		}
		time.Sleep(time.Hour)
		if _, err := session.Write([]byte("and now?\n")); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.Receive(session); got != "Saturday, 01-January-2000 01:00:00.001500\n" {
			t.Errorf("later it is %q", got)
		}
	})
}
