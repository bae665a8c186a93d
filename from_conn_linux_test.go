package rsp_test

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/internal/lab"
)

// A kernel SCTP socket that something else has opened, as package net knows it, is a session without the TCP mapping.
func TestFromConnKernelSCTP(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		e, err := rsp.NewEndpoint(&rsp.Config{Network: rsp.KernelSCTP, Announce: "off", Logger: testLog(t, "endpoint")})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		listener := e.Socket()
		if err := listener.Bind("127.0.0.1:4400"); err != nil {
			t.Fatal(err)
		}
		if err := listener.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		dialed, err := e.FromConn(t.Context(), dialSCTP(t, 4400))
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.AcceptSocket(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := dialed.SendMsg(t.Context(), []byte("hello"), rsp.MsgInfo{PPID: 7, Stream: 1}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, info, err := accepted.RecvMsg(t.Context(), buf)
		if err != nil || string(buf[:n]) != "hello" || info.PPID != 7 || info.Stream != 1 || !info.EOR {
			t.Errorf("%q, %+v, %v", buf[:n], info, err)
		}
		if err := accepted.SendMsg(t.Context(), []byte("answer"), rsp.MsgInfo{PPID: 9}); err != nil {
			t.Fatal(err)
		}
		n, info, err = dialed.RecvMsg(t.Context(), buf)
		if err != nil || string(buf[:n]) != "answer" || info.PPID != 9 || !info.EOR {
			t.Errorf("%q, %+v, %v", buf[:n], info, err)
		}
		if at := dialed.RemoteAddr().(rsp.PoolAddr).Addr; len(at) == 0 || at[0].Port() != 4400 {
			t.Errorf("peer is at %v", at)
		}
		accepted.Abort()
		if _, _, err := dialed.RecvMsg(t.Context(), buf); err == nil {
			t.Error("no error after the end")
		}
		dialed.Close()
	})
}

// dialSCTP connects a one-to-one style socket as a program without this package does.
func dialSCTP(t *testing.T, port int) net.Conn {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "sctp")
	defer file.Close() // FileConn has its own
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
