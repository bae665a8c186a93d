package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rserpool/rsp"
)

// progress prints what happens, a line each.
type progress struct {
	w       io.Writer
	history *history
	told    int // tenths of the picture
	stop    func()
}

// startProgress prints until stop is called, the last events included.
func startProgress(w io.Writer, h *history) *progress {
	ctx, cancel := context.WithCancel(context.Background())
	p := &progress{w: w, history: h}
	done := make(chan struct{})
	p.stop = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		r := reader{history: h}
		for {
			events, err := r.read(ctx)
			if err != nil {
				return
			}
			for _, e := range events {
				p.print(&e)
			}
		}
	}()
	return p
}

func (p *progress) print(e *event) {
	name := p.history.name
	switch e.kind {
	case eventPicture:
		p.told = 0
		p.printf(e, "%s: %d×%d pixels, %d sessions", e.picture.title, e.picture.parameter.Width, e.picture.parameter.Height, len(e.picture.tiles))
	case eventServer:
		p.printf(e, "session %d: %s computes", e.tile+1, name(e.pe))
	case eventPoints:
		if tenths := int(10 * e.picture.done()); tenths > p.told {
			p.told = tenths
			p.printf(e, "%s %3d %%", strings.Repeat("█", 2*tenths)+strings.Repeat("░", 20-2*tenths), 10*tenths)
		}
	case eventFailover:
		how := "begins anew, as it has no cookie"
		if e.cookie {
			how = "goes on where the cookie says"
		}
		p.printf(e, "session %d: %s is lost; %.1f ms later %s %s", e.tile+1, name(e.lost), milliseconds(e.took), name(e.pe), how)
	case eventDead:
		p.printf(e, "%s is taken away", name(e.pe))
	case eventEnd:
		p.printf(e, "%s%s", e.text, p.shares(e.picture))
	case eventNote:
		p.printf(e, "%s", e.text)
	}
}

func (p *progress) printf(e *event, format string, args ...any) {
	fmt.Fprintf(p.w, "%8.1f ms  %s\n", milliseconds(e.at), fmt.Sprintf(format, args...))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// shares is how much of a picture each server has computed, in brackets.
func (p *progress) shares(pic *picture) string {
	pic.mu.Lock()
	defer pic.mu.Unlock()
	var servers []rsp.PEID
	for id := range pic.shares {
		servers = append(servers, id)
	}
	slices.SortFunc(servers, func(a, b rsp.PEID) int { return pic.shares[b] - pic.shares[a] })
	var shares []string
	for _, id := range servers {
		shares = append(shares, fmt.Sprintf("%s %.0f %%", p.history.name(id), 100*float64(pic.shares[id])/float64(len(pic.values))))
	}
	if shares == nil {
		return ""
	}
	return " (" + strings.Join(shares, ", ") + ")"
}
