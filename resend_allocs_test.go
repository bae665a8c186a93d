// The race detector has sync.Pool forget at random.
//go:build !race

package rsp_test

import (
	"io"
	"testing"

	"github.com/rserpool/rsp"
)

// A request costs the session no memory but that of its copy, which is used again.
func TestResendAllocs(t *testing.T) {
	pu, pe, stop, err := connPipeBy(rsp.InMemory, rsp.Dialer{Resend: &rsp.Resend{}})()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	go io.Copy(pe, pe)
	request, reply := make([]byte, 1000), make([]byte, 2000)
	if n := testing.AllocsPerRun(1000, func() {
		for range 4 {
			if _, err := pu.Write(request); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			if _, err := pu.Read(reply); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for 4 requests and answers", n)
	}
}

// An echo of 64 bytes, with its request kept and without.
func BenchmarkResend(b *testing.B) {
	for name, resend := range map[string]*rsp.Resend{"kept": {}, "plain": nil} {
		b.Run(name, func(b *testing.B) {
			pu, pe, stop, err := connPipeBy(rsp.InMemory, rsp.Dialer{Resend: resend})()
			if err != nil {
				b.Fatal(err)
			}
			defer stop()
			go io.Copy(pe, pe)
			benchEcho(b, pu)
		})
	}
}
