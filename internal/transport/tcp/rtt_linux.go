package tcp

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// RTT is what the kernel has measured for the TCP connection.
func (a *assoc) RTT() (rtt time.Duration) {
	c, ok := bare(a.conn).(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Rtt) * time.Microsecond
		}
	})
	return rtt
}
