package main

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/protocol"
)

// screen is how components are shown, in RSPLIB's form.
type screen struct {
	*options
	terminal bool   // with colours, each screen over the one before; else without any control codes
	note     string // a line below the header; "": none

	buf   bytes.Buffer
	drawn bool
}

// Control codes of terminals (ECMA-48).
const (
	clearScreen = "\x1b[2J"
	home        = "\x1b[H"
	clearRest   = "\x1b[J"
	clearLine   = "\x1b[K"
	plain       = "\x1b[0m"
)

var colours = map[csp.Group]string{csp.Registrar: "\x1b[31m", csp.PoolElement: "\x1b[34m", csp.PoolUser: "\x1b[32m"}

// draw returns what to write; it is valid until the next call.
func (s *screen) draw(now time.Time, all []component) []byte {
	s.buf.Reset()
	if s.terminal && !s.drawn {
		s.buf.WriteString(clearScreen)
	}
	if s.terminal {
		s.buf.WriteString(home)
	}
	s.drawn = true
	count := make(map[csp.Group]int)
	width := 0
	for _, c := range all {
		count[c.Sender.Group()]++
		width = max(width, utf8.RuneCountInString(s.location(c)))
	}
	s.line("", "%s: Current Component Status -- %d PRs, %d PEs, %d PUs",
		now.Format("02-Jan-2006 15:04:05.0000"), count[csp.Registrar], count[csp.PoolElement], count[csp.PoolUser])
	if s.note != "" {
		s.line("", "%s", s.note)
	}
	shown := make(map[csp.Group]int)
	for i, c := range all {
		g := c.Sender.Group()
		if limit := s.max[g]; limit != nil && shown[g] < *limit {
			s.component(now, c, width)
			shown[g]++
		}
		last := i == len(all)-1 || all[i+1].Sender.Group() != g
		if more := count[g] - shown[g]; last && more > 0 {
			s.line(colours[g], "... and %d more %vs", more, g)
		}
	}
	if s.terminal {
		s.buf.WriteString(clearRest)
	} else {
		s.line("", "")
	}
	return s.buf.Bytes()
}

// line writes one line.
func (s *screen) line(colour, format string, args ...any) {
	if s.terminal {
		s.buf.WriteString(colour)
	}
	fmt.Fprintf(&s.buf, format, args...)
	if s.terminal && colour != "" {
		s.buf.WriteString(plain)
	}
	if s.terminal {
		s.buf.WriteString(clearLine)
	}
	s.buf.WriteByte('\n')
}

// location is what is shown of a component's.
func (s *screen) location(c component) string {
	runes := []rune(c.Location)
	return string(runes[:min(len(runes), s.maxLocationSize)])
}

func (s *screen) component(now time.Time, c component, width int) {
	load := ""
	if fraction, known := c.Workload.Load(); known {
		load = fmt.Sprintf(" L=%3.0f%%", 100*fraction)
	}
	location := "[" + s.location(c) + "]"
	up := int(c.Uptime.Seconds())
	s.line(colours[c.Sender.Group()], "%v %-*s U=%02d:%02d:%02d l=%.1fs A=%d%s %q", c.Sender, width+2, location,
		up/3600, up/60%60, up%60, now.Sub(c.heard).Seconds(), len(c.Associations), load, c.Status)
	if !s.full {
		return
	}
	for _, a := range c.Associations {
		duration := ""
		if a.Duration >= 0 {
			d := int(a.Duration.Seconds())
			duration = fmt.Sprintf(" duration=%d:%02d:%02d", d/3600, d/60%60, d%60)
		}
		s.line(colours[a.Receiver.Group()], "   -> %v %-17s%s", a.Receiver, ppidName(a.PPID)+"/"+protocolName(a.Protocol), duration)
	}
}

func ppidName(p protocol.PPID) string {
	switch p {
	case protocol.PPIDASAP:
		return "ASAP"
	case protocol.PPIDENRP:
		return "ENRP"
	case 0:
		return "Data"
	}
	return fmt.Sprintf("0x%08x", uint32(p))
}

func protocolName(p uint16) string {
	switch p {
	case csp.ProtocolSCTP:
		return "SCTP"
	case csp.ProtocolTCP:
		return "TCP"
	}
	return strconv.Itoa(int(p))
}
