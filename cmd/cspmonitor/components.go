package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rserpool/rsp/internal/csp"
)

// maxComponents bounds the components that are remembered: anybody can report anything.
const maxComponents = 4096

// components are those that have reported lately. Its methods may be called by several goroutines at once.
type components struct {
	purge time.Duration

	mu  sync.Mutex
	all map[csp.ComponentID]component
}

// component is one that has reported.
type component struct {
	*csp.Report
	heard time.Time // its latest report
}

func newComponents(purge time.Duration) *components {
	return &components{purge: purge, all: make(map[csp.ComponentID]component)}
}

// handle takes a datagram; what is no report is ignored.
func (c *components) handle(now time.Time, datagram []byte) {
	r, err := csp.Parse(datagram)
	if err != nil {
		return
	}
	r.Location, r.Status = printable(r.Location), printable(r.Status)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.all[r.Sender]
	switch {
	case r.Final:
		delete(c.all, r.Sender)
	case known || len(c.all) < maxComponents:
		c.all[r.Sender] = component{r, now}
	}
}

// printable replaces what a terminal might obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// list returns those that are not silent for too long, by group, location and identifier.
func (c *components) list(now time.Time) []component {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.all, func(_ csp.ComponentID, r component) bool {
		patience := c.purge
		if r.Interval > 0 {
			patience = min(patience, 10*r.Interval)
		}
		return now.Sub(r.heard) > patience
	})
	return slices.SortedFunc(maps.Values(c.all), func(a, b component) int {
		return cmp.Or(
			cmp.Compare(a.Sender.Group(), b.Sender.Group()),
			cmp.Compare(a.Location, b.Location),
			cmp.Compare(a.Sender, b.Sender))
	})
}
