//go:build !386

package sctp

import (
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp/internal/transport"
)

// A peer may say something and end the association before who has dialed it is there: as RSPLIB's servers do that are
// fully loaded. What it said is received, and that was its end.
func testEndedWhileDialed(t *testing.T) {
	ln, err := newTestNetwork(t).Listen(t.Context(), at(0, guestAddr), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	remote := ln.LocalAddr()
	s, err := newSocket(remote.Addrs, transport.Options{})
	if err == nil {
		err = s.connect(t.Context(), remote)
	}
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send(t, accepted, "fully loaded")
	accepted.Close()
	hasPeer := func(fd int) error {
		_, err := getAddrs(fd, optPeerAddrs, theAssoc)
		return err
	}
	for !errors.Is(s.control(hasPeer), unix.EINVAL) {
		time.Sleep(time.Millisecond)
	}
	a, err := newAssoc(s, remote, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abort()
	if a.RemoteAddr().Port != remote.Port || len(a.LocalAddr().Addrs) == 0 {
		t.Errorf("from %v to %v", a.LocalAddr(), a.RemoteAddr())
	}
	wantNext(t, a, "fully loaded")
	if _, _, err := a.Recv(make([]byte, 100)); err != io.EOF {
		t.Errorf("then %v", err)
	}
}
