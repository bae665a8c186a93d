package rsp_test

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// option reads an integer socket option of a Socket.
func option(t *testing.T, s *rsp.Socket, level, name int) (value int) {
	t.Helper()
	conn, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var optErr error
	if err := conn.Control(func(fd uintptr) { value, optErr = unix.GetsockoptInt(int(fd), level, name) }); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	return value
}

// accepting returns a listening Socket and both ends of a session with it.
func accepting(t *testing.T, network rsp.Network, address string) (listener, dialed, accepted *rsp.Socket) {
	t.Helper()
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network, Logger: testLog(t, "registrar")})
	if err == nil {
		err = r.Start(ctx())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Abort)
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: r.Addrs(), Network: network, Logger: testLog(t, "endpoint")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Abort)
	listener = e.Socket()
	if err = listener.Bind(address); err == nil {
		err = listener.RegisterPE(ctx(), "Pool", rsp.PE{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if dialed, err = e.Connect(ctx(), "Pool"); err != nil {
		t.Fatal(err)
	}
	if accepted, err = listener.AcceptSocket(ctx()); err != nil {
		t.Fatal(err)
	}
	return listener, dialed, accepted
}

func TestSyscallConn(t *testing.T) {
	listener, dialed, accepted := accepting(t, rsp.TCPMapping, "127.0.0.1:0")
	for what, s := range map[string]*rsp.Socket{"dialed": dialed, "accepted": accepted} {
		if option(t, s, unix.SOL_SOCKET, unix.SO_PROTOCOL) != unix.IPPROTO_TCP || option(t, s, unix.IPPROTO_TCP, unix.TCP_NODELAY) == 0 {
			t.Errorf("%s: the descriptor is not that of the session's connection", what)
		}
	}
	if option(t, listener, unix.SOL_SOCKET, unix.SO_ACCEPTCONN) == 0 {
		t.Error("the listener's descriptor does not listen")
	}
	dialed.Close()
	if _, err := dialed.SyscallConn(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestSyscallConnUnsupported(t *testing.T) {
	listener, dialed, _ := accepting(t, rsp.InMemory, ":0")
	e := endpointOverTCP(t)
	a, b := net.Pipe()
	near, far := sessions(t, e, a, b)
	defer near.Close()
	defer far.Close()
	for what, s := range map[string]*rsp.Socket{"listener in memory": listener, "session in memory": dialed, "session on a pipe": near} {
		if _, err := s.SyscallConn(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := e.Socket().SyscallConn(); !errors.Is(err, rsp.ErrNoRole) {
		t.Errorf("fresh Socket: %v", err)
	}
}

// Options of kernel SCTP that this package does not know can be read and set.
func TestSyscallConnKernelSCTP(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		const maxBurst = 20 // SCTP_MAX_BURST (RFC 6458 section 8.1.24)
		listener, dialed, accepted := accepting(t, rsp.KernelSCTP, ":0")
		for what, s := range map[string]*rsp.Socket{"dialed": dialed, "accepted": accepted, "listener": listener} {
			if option(t, s, unix.SOL_SOCKET, unix.SO_PROTOCOL) != unix.IPPROTO_SCTP {
				t.Errorf("%s: not kernel SCTP", what)
			}
		}
		conn, err := dialed.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		value := binary.NativeEndian.AppendUint32(make([]byte, 4), 9) // struct sctp_assoc_value
		if err := conn.Control(func(fd uintptr) {
			if err := unix.SetsockoptString(int(fd), unix.IPPROTO_SCTP, maxBurst, string(value)); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if got := option(t, dialed, unix.IPPROTO_SCTP, maxBurst); got != 9 {
			t.Errorf("the option is %d after it was set to 9", got)
		}
	})
}
