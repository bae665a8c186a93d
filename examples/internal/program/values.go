package program

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/rserpool/rsp"
)

// Milliseconds is the value of an option that is a whole number of milliseconds, at least min.
func Milliseconds(d *time.Duration, min time.Duration) flag.Value { return milliseconds{d, min} }

type milliseconds struct {
	value *time.Duration
	min   time.Duration
}

func (m milliseconds) String() string {
	if m.value == nil {
		return "" // flag wants the zero value to print, too
	}
	return strconv.FormatInt(m.value.Milliseconds(), 10)
}

// maxMilliseconds is what RSPLIB's programs can hold.
const maxMilliseconds = 1<<31 - 1

func (m milliseconds) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < m.min.Milliseconds() || n > maxMilliseconds {
		return fmt.Errorf("must be a number of milliseconds from %d to %d", m.min.Milliseconds(), maxMilliseconds)
	}
	*m.value = time.Duration(n) * time.Millisecond
	return nil
}

// Seconds is the value of an option that is a number of seconds with decimals, at least 0.
func Seconds(d *time.Duration) flag.Value { return seconds{d} }

type seconds struct{ value *time.Duration }

func (s seconds) String() string {
	if s.value == nil || *s.value == 0 {
		return ""
	}
	return strconv.FormatFloat(s.value.Seconds(), 'g', -1, 64)
}

func (s seconds) Set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0 && f <= 1e9) {
		return errors.New("must be a number of seconds from 0 to 1e9")
	}
	*s.value = time.Duration(f * float64(time.Second))
	return nil
}

// Count is the value of an option that is a whole number, at least min.
func Count(n *int, min int) flag.Value { return count{n, min} }

type count struct {
	value *int
	min   int
}

func (c count) String() string {
	if c.value == nil {
		return ""
	}
	return strconv.Itoa(*c.value)
}

func (c count) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < int64(c.min) {
		return fmt.Errorf("must be a number from %d", c.min)
	}
	*c.value = int(n)
	return nil
}

// PEID is the value of an option that is a pool element's identifier, decimal or 0x and hexadecimal.
func PEID(id *rsp.PEID) flag.Value { return peID{id} }

type peID struct{ value *rsp.PEID }

func (p peID) String() string {
	if p.value == nil || *p.value == 0 {
		return "random"
	}
	return p.value.String()
}

func (p peID) Set(s string) error {
	id, err := strconv.ParseUint(s, 0, 32)
	if err != nil || id == 0 {
		return errors.New("must be a number from 1 to 0xffffffff")
	}
	*p.value = rsp.PEID(id)
	return nil
}

// Pool is the value of an option that is a pool handle.
func Pool(pool *rsp.PoolHandle) flag.Value { return poolHandle{pool} }

type poolHandle struct{ value *rsp.PoolHandle }

func (p poolHandle) String() string {
	if p.value == nil {
		return ""
	}
	return string(*p.value)
}

func (p poolHandle) Set(s string) error {
	*p.value = rsp.PoolHandle(s)
	return p.value.Validate()
}
