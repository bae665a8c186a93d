package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

// timeline prints what happens, and when.
type timeline struct {
	start time.Time

	mu      sync.Mutex
	names   map[rsp.PEID]string
	serving rsp.PEID
	killed  time.Time // when the demo took the serving PE away
}

func newTimeline() *timeline {
	return &timeline{start: time.Now(), names: make(map[rsp.PEID]string)}
}

func (t *timeline) printf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.print(fmt.Sprintf(format, args...))
}

// print prints one line; t.mu is held.
func (t *timeline) print(s string) {
	fmt.Printf("%8.1f ms  %s\n", milliseconds(time.Since(t.start)), s)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// name returns what to call a PE; t.mu is held.
func (t *timeline) name(id rsp.PEID) string {
	if name := t.names[id]; name != "" {
		return name
	}
	return "PE " + id.String()
}

func (t *timeline) joins(name string, id rsp.PEID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names[id] = name
	t.print(fmt.Sprintf("%s joins the pool as PE %v", name, id))
}

func (t *timeline) kills(id rsp.PEID, line int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.killed = time.Now()
	t.print(fmt.Sprintf("%s is taken away, right after line %d was sent to it", t.name(id), line))
}

// answer prints who answers, when that changes.
func (t *timeline) answer(id rsp.PEID, line int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id != t.serving {
		t.serving = id
		t.print(fmt.Sprintf("%s answers, from line %d on", t.name(id), line))
	}
}

func (t *timeline) failover(f *rsp.FailoverEvent, unanswered int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	noticed := fmt.Sprintf("the client notices at %.1f ms: %v", milliseconds(f.LostAt.Sub(t.start)), f.Cause)
	if !t.killed.IsZero() {
		noticed = fmt.Sprintf("the client noticed %.1f ms later: %v", milliseconds(f.LostAt.Sub(t.killed)), f.Cause)
	}
	t.print(noticed)
	t.print(fmt.Sprintf("failover to %s took %.1f ms; cookie shown: %q; sending %d lines again",
		t.name(f.PE), milliseconds(time.Since(f.LostAt)), f.Cookie, unanswered))
}
