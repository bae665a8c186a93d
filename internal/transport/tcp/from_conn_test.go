package tcp

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// tlsPair returns an association over TLS and its peer, INIT exchanged. Writes wait for reads, as with pair.
func tlsPair(t *testing.T, certificates []tls.Certificate) (transport.Assoc, peer) {
	near, far := net.Pipe()
	p := peer{t, tls.Server(far, &tls.Config{Certificates: certificates})}
	up := make(chan transport.Assoc)
	go func() {
		a, err := FromConn(t.Context(), tls.Client(near, &tls.Config{InsecureSkipVerify: true}), quiet)
		if err != nil {
			t.Error(err)
		}
		up <- a
	}()
	p.send(string(appendInit(nil)))
	p.want(string(appendInit(nil)))
	a := <-up
	t.Cleanup(func() {
		a.Abort()
		far.Close()
	})
	return a, p
}

// A *tls.Conn is of no use any more when a write to it was interrupted: so the deadline of a Send and the
// Close of an association interrupt none.
func TestWritesToTLSAreWhole(t *testing.T) {
	https := httptest.NewTLSServer(nil) // has a certificate
	certificates := https.TLS.Certificates
	https.Close()
	long := strings.Repeat("l", 40_000)
	synctest.Test(t, func(t *testing.T) {
		a, p := tlsPair(t, certificates)
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if err := a.Send([]byte(long), transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // the deadline is not the flusher's
		a.SetWriteDeadline(time.Time{})
		if err := a.Send([]byte("next"), transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		p.want(data(0, long) + data(1, "next"))
		if err := a.Send([]byte(long), transport.SendInfo{}); err != nil {
			t.Fatal(err)
		}
		a.Close()
		p.want(data(2, long) + string(appendShutdown(nil)))
	})
}
