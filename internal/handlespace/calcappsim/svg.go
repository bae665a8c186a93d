package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// svg is a drawing in the making. Coordinates are pixels from the upper left.
type svg struct {
	bytes.Buffer
}

// style is how a line of the plot looks.
type style struct {
	colour, dash string
	marker       marker
}

type marker uint8

const (
	circle marker = iota
	square
	diamond
	triangle
)

// alignment is SVG's text-anchor.
type alignment string

const (
	left   alignment = "start"
	centre alignment = "middle"
	right  alignment = "end"
)

func newSVG(width, height float64) *svg {
	s := new(svg)
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g" `+
		`font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(s, `<rect width="%g" height="%g" fill="white"/>`+"\n", width, height)
	return s
}

// finish returns the drawing as a file.
func (s *svg) finish() []byte {
	s.WriteString("</svg>\n")
	return s.Bytes()
}

func (s *svg) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
}

func (s *svg) polyline(points [][2]float64, st style) {
	s.WriteString(`<polyline fill="none" stroke-width="2" stroke="` + st.colour + `"`)
	if st.dash != "" {
		s.WriteString(` stroke-dasharray="` + st.dash + `"`)
	}
	s.WriteString(` points="`)
	for _, p := range points {
		fmt.Fprintf(s, "%.1f,%.1f ", p[0], p[1])
	}
	s.WriteString(`"/>` + "\n")
}

// mark draws a marker around a point. A diamond is smaller than a circle, so that
// both are seen where they meet.
func (s *svg) mark(x, y float64, st style) {
	const r = 4
	fmt.Fprintf(s, `<path fill="%s" transform="translate(%.1f %.1f)" d="`, st.colour, x, y)
	switch st.marker {
	case circle:
		fmt.Fprintf(s, "M-%d 0a%[1]d %[1]d 0 1 0 %d 0a%[1]d %[1]d 0 1 0 -%[2]d 0", r+1, 2*(r+1))
	case square:
		fmt.Fprintf(s, "M-%d -%[1]dh%dv%[2]dh-%[2]d", r, 2*r)
	case diamond:
		fmt.Fprintf(s, "M0 -%dL%[1]d 0L0 %[1]dL-%[1]d 0", r)
	case triangle:
		fmt.Fprintf(s, "M0 -%dL%[1]d %dL-%[1]d %[2]d", r+1, r)
	}
	s.WriteString(`z"/>` + "\n")
}

// text writes a line whose base line is at y.
func (s *svg) text(x, y float64, a alignment, text string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s">`, x, y, a)
	s.escape(text)
}

// heading is a centred line in bold.
func (s *svg) heading(x, y float64, text string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="middle" font-weight="bold">`, x, y)
	s.escape(text)
}

// upwards writes a centred line that reads from below.
func (s *svg) upwards(x, y float64, text string) {
	fmt.Fprintf(s, `<text transform="translate(%.1f %.1f) rotate(-90)" text-anchor="middle">`, x, y)
	s.escape(text)
}

func (s *svg) escape(text string) {
	xml.EscapeText(s, []byte(text)) // a bytes.Buffer refuses nothing
	s.WriteString("</text>\n")
}
