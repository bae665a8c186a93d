package lab

import (
	"strings"
	"sync"
)

// Output is what a program has printed so far, for those who look while it runs. The zero value is empty. Its methods
// may be called by several goroutines at once.
type Output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
