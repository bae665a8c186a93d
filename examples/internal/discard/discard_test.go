package discard_test

import (
	"testing"
	"testing/synctest"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/discard"
	"github.com/rserpool/rsp/examples/internal/service/servicetest"
)

func TestDiscard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servicetest.New(t)
		server := s.Serve(1, discard.New())
		for _, text := range []string{"one\n", "three\n"} {
			session := s.Connect("DiscardPool", rsp.Dialer{})
			if _, err := session.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			session.Close()
			synctest.Wait()
		}
		const want = `NOTIFICATION: RSERPOOL_SESSION_CHANGE for session 1, state=RSERPOOL_SESSION_ADD
Discard 4 bytes on session 1
NOTIFICATION: RSERPOOL_SESSION_CHANGE for session 1, state=RSERPOOL_SESSION_REMOVE
NOTIFICATION: RSERPOOL_SESSION_CHANGE for session 2, state=RSERPOOL_SESSION_ADD
Discard 6 bytes on session 2
NOTIFICATION: RSERPOOL_SESSION_CHANGE for session 2, state=RSERPOOL_SESSION_REMOVE
`
		if got := server.Output(); got != want {
			t.Errorf("it tells\n%s", got)
		}
	})
}
