package main

import (
	"bufio"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestCountEstablished(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:D2F0 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:1F90 0100007F:D2F2 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
`
	if n, err := countEstablished(bufio.NewScanner(strings.NewReader(table)), 0x1F90); n != 1 || err != nil {
		t.Errorf("%d, %v; want 1", n, err)
	}
}

// The kernel's own table has the connections of a service that is not ours.
func TestEstablishedTo(t *testing.T) {
	addr := listen(t, func(c net.Conn) {
		c.Read(make([]byte, 1))
		c.Close()
	})
	at := netip.MustParseAddrPort(addr).Port()
	for want := range 3 {
		waitFor(t, "right number of connections", func() bool {
			n, err := establishedTo(at)
			if err != nil {
				t.Fatal(err)
			}
			return n == want
		})
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
}
