package chargen_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/chargen"
	"github.com/rserpool/rsp/examples/internal/service/servicetest"
)

// "endless 1024-byte messages, byte i of the stream = 30 + (i mod 98)"
func TestCharGen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		s.Serve(1, chargen.New())
		session := s.Connect("CharGenPool", rsp.Dialer{})
		for i := 0; i < 200*1024; {
			message, _ := s.Receive(session)
			if len(message) != 1024 {
				t.Fatalf("a message of %d bytes", len(message))
			}
			for _, b := range []byte(message) {
				if want := byte(30 + i%98); b != want {
					t.Fatalf("byte %d is %d, not %d", i, b, want)
				}
				i++
			}
		}
	})
}

// A PU that does not read makes the service wait, not gather; what the PU sends is thrown away meanwhile. The end of
// the session ends the service for it.
func TestCharGenBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		server := s.Serve(1, chargen.New())
		session := s.Connect("CharGenPool", rsp.Dialer{Failover: rsp.FailoverNone})
		for range 1000 {
			if _, err := session.Write(make([]byte, 10000)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // all of them wait: the bubble would not come to rest otherwise
		session.Abort()
		time.Sleep(time.Second)
		if got := server.Output(); got != "New thread for RSerPool socket 1.\nThread for RSerPool socket 1 has been stopped.\n" {
			t.Errorf("it tells\n%s", got)
		}
	})
}
