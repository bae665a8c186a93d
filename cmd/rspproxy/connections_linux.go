package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// establishedTo counts the TCP connections with a port of this machine, as the kernel tells them (proc(5)):
// that is the load of a service whose connections do not pass here.
func establishedTo(port uint16) (n int, err error) {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) && name == "/proc/net/tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return 0, err
		}
		of, err := countEstablished(bufio.NewScanner(f), port)
		f.Close()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		n += of
	}
	return n, nil
}

// countEstablished counts the lines whose local port is the one and whose state is 01, ESTABLISHED:
//
//	sl  local_address rem_address   st ...
//	 0: 0100007F:1F90 0100007F:D2F0 01 ...
func countEstablished(lines *bufio.Scanner, port uint16) (n int, err error) {
	suffix := fmt.Sprintf(":%04X", port)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 3 && fields[3] == "01" && strings.HasSuffix(fields[1], suffix) {
			n++
		}
	}
	return n, lines.Err()
}
