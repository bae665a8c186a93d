package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
)

const (
	// quietBuffer is what a connection has for each direction all the time: small, since most connections
	// are quiet mostly, and enough for most requests and many answers.
	quietBuffer = 4 << 10
	// bulkBuffer is what it gets while it has more to move, unless the kernel does that by itself.
	bulkBuffer = 64 << 10
	// stretch is what the kernel moves before it is counted: little enough for a slow transfer not to look
	// idle.
	stretch = 1 << 20
)

var (
	quietBuffers = sync.Pool{New: func() any { return new([quietBuffer]byte) }}
	bulkBuffers  = sync.Pool{New: func() any { return new([bulkBuffer]byte) }}
)

// direction is one of the two directions of a relay.
type direction struct {
	relay    *relay
	src, dst net.Conn
	count    *atomic.Int64 // of all relays
	held     []byte        // was read from src and not written
	ended    bool          // src has ended, or failed
}

// copy moves what src sends to dst until src ends. Where little comes at a time, reading and writing it is
// quickest. When a read fills the buffer, there is more.
func (d *direction) copy() error {
	if len(d.held) > 0 {
		if err := d.write(d.held); err != nil {
			return err
		}
	}
	buf := quietBuffers.Get().(*[quietBuffer]byte)
	defer quietBuffers.Put(buf)
	for {
		n, err := d.move(buf[:])
		if n == len(buf) && err == nil {
			err = d.moveBulk()
		}
		switch {
		case err == nil:
		case err == io.EOF, d == &d.relay.down && errors.Is(err, os.ErrDeadlineExceeded),
			d == &d.relay.up && d.relay.answered.Load():
			return nil // src has ended, has lingered enough, or was closed by us behind its answer
		default:
			return err
		}
	}
}

// move moves what one read gives.
func (d *direction) move(buf []byte) (int, error) {
	n, err := d.src.Read(buf)
	if err != nil {
		d.ended = !(d == &d.relay.up && errors.Is(err, os.ErrDeadlineExceeded)) // see relay.run
	}
	if n > 0 {
		if werr := d.write(buf[:n]); werr != nil {
			return n, werr
		}
	}
	return n, err
}

// write writes b to dst, or keeps it if dst takes nothing of it.
func (d *direction) write(b []byte) error {
	n, err := d.dst.Write(b)
	d.moved(int64(n))
	if d.held = nil; n == 0 {
		d.held = bytes.Clone(b)
	}
	return err
}

func (d *direction) moved(n int64) {
	d.relay.moved.Add(n)
	d.count.Add(n)
}

// moveBulk moves much at a time, until there is less.
func (d *direction) moveBulk() error {
	src, from := d.src.(*net.TCPConn)
	dst, to := d.dst.(*net.TCPConn)
	if from && to {
		return d.splice(dst, src)
	}
	buf := bulkBuffers.Get().(*[bulkBuffer]byte)
	defer bulkBuffers.Put(buf)
	for {
		if n, err := d.move(buf[:]); err != nil || n < bulkBuffer/2 {
			return err
		}
	}
}

// splice lets the kernel move a stretch from socket to socket, where it can (splice(2) of Linux, which
// net.TCPConn.ReadFrom knows).
func (d *direction) splice(dst, src *net.TCPConn) error {
	n, err := dst.ReadFrom(&io.LimitedReader{R: src, N: stretch})
	d.moved(n)
	if err == nil && n < stretch {
		d.ended, err = true, io.EOF
	}
	return err
}
