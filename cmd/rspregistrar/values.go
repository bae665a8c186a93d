package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rserpool/rsp"
)

// The types of options. Each is a flag.Value that knows its range; what it points to has the
// default.

type integer struct {
	value    *int
	min, max int
}

func (i integer) String() string {
	if i.value == nil {
		return "" // flag wants the zero value to print, too
	}
	return strconv.Itoa(*i.value)
}

func (i integer) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < i.min || n > i.max {
		return fmt.Errorf("must be a number from %d to %d", i.min, i.max)
	}
	*i.value = n
	return nil
}

// span is a time given as a whole number of units.
type span struct {
	value    *time.Duration
	unit     time.Duration
	min, max int
}

func (d span) String() string {
	if d.value == nil {
		return ""
	}
	return strconv.FormatInt(int64(*d.value/d.unit), 10)
}

func (d span) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < d.min || n > d.max {
		return fmt.Errorf("must be a number of %s from %d to %d", map[time.Duration]string{time.Second: "seconds", time.Millisecond: "milliseconds"}[d.unit], d.min, d.max)
	}
	*d.value = time.Duration(n) * d.unit
	return nil
}

// rate is how often a second something may be; 0 is as often as one likes, as -1 is on the command line.
type rate struct{ value *float64 }

func (r rate) String() string {
	if r.value == nil || *r.value == 0 {
		return "-1"
	}
	return strconv.FormatFloat(*r.value, 'g', -1, 64)
}

func (r rate) Set(s string) error {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 || f == -1) || f > 1e9 {
		return errors.New("must be a number of requests per second from 0 to 1e9, or -1 for unlimited")
	}
	*r.value = max(f, 0)
	return nil
}

// mean is the mean of random times; 0: there are none.
type mean struct{ value *time.Duration }

func (m mean) String() string {
	if m.value == nil {
		return "0"
	}
	return strconv.FormatFloat(m.value.Seconds(), 'g', -1, 64)
}

func (m mean) Set(s string) error {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1e6) {
		return errors.New("must be a number of seconds from 0 to 1e6")
	}
	*m.value = time.Duration(f * float64(time.Second))
	return nil
}

type identifier struct{ value *rsp.RegistrarID }

func (i identifier) String() string {
	if i.value == nil || *i.value == 0 {
		return "random"
	}
	return i.value.String()
}

func (i identifier) Set(s string) error {
	id, err := strconv.ParseUint(s, 0, 32)
	if err != nil || id == 0 {
		return errors.New("must be a number from 1 to 0xffffffff")
	}
	*i.value = rsp.RegistrarID(id)
	return nil
}

// choice is one of several words.
type choice[T comparable] struct {
	value *T
	words []word[T]
}

type word[T any] struct {
	text  string
	means T
}

func (c choice[T]) String() string {
	for _, w := range c.words {
		if w.means == *c.value {
			return w.text
		}
	}
	return ""
}

func (c choice[T]) Set(s string) error {
	texts := ""
	for _, w := range c.words {
		if w.text == s {
			*c.value = w.means
			return nil
		}
		texts += " " + w.text
	}
	return fmt.Errorf("must be one of:%s", texts)
}

// list is an option that may be given several times.
type list struct{ value *[]string }

func (l list) String() string {
	if l.value == nil || len(*l.value) == 0 {
		return "none"
	}
	return fmt.Sprint(*l.value)
}

func (l list) Set(s string) error {
	*l.value = append(*l.value, s)
	return nil
}

// automatic is text of which "auto" stands for the empty one.
type automatic struct{ value *string }

func (a automatic) String() string {
	if a.value == nil || *a.value == "" {
		return "auto"
	}
	return *a.value
}

func (a automatic) Set(s string) error {
	*a.value = s
	if s == "auto" {
		*a.value = ""
	}
	return nil
}

// announce is a multicast group.
type announce struct{ value *string }

func (a announce) String() string {
	if a.value == nil {
		return ""
	}
	return *a.value
}

func (a announce) Set(s string) error {
	if s == "none" {
		s = "off"
	}
	*a.value = s
	return nil
}

// reportInterval is the time between status reports in milliseconds; "" is what the environment says.
type reportInterval struct{ value *time.Duration }

func (r reportInterval) String() string {
	if r.value == nil || *r.value == 0 {
		return ""
	}
	return strconv.FormatInt(max(0, r.value.Milliseconds()), 10)
}

func (r reportInterval) Set(s string) error {
	ms, err := strconv.Atoi(s)
	if err != nil || ms < 0 || ms > 3600000 {
		return errors.New("must be a number of milliseconds from 0 to 3600000")
	}
	*r.value = time.Duration(ms) * time.Millisecond
	if ms == 0 {
		*r.value = -1 // whatever the environment says
	}
	return nil
}

// ignored is an option of RSPLIB's that changes nothing here.
type ignored struct {
	text string
	bool
}

func (i ignored) String() string   { return i.text }
func (i ignored) Set(string) error { return nil }
func (i ignored) IsBoolFlag() bool { return i.bool }
