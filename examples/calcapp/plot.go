package main

import (
	"bytes"
	"fmt"
	"math"
)

// The layout of the plot in pixels: one panel above the other.
const (
	plotWidth, plotHeight   = 900, 640
	panelLeft, panelWidth   = 70, 800
	panelHeight             = 220
	firstPanel, secondPanel = 60, 360 // their upper edges
)

// colours are Okabe and Ito's, which the colour-blind can tell apart.
var colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#000000"}

// drawing is an SVG file in the making.
type drawing struct {
	bytes.Buffer
	end float64 // of the time axis
}

// plot draws each server's utilisation over the time, and the handling speed of each job when it was complete. A grey
// line is the death of a server.
func (r *result) plot() []byte {
	d := &drawing{end: r.model(r.runtime)}
	fastest := 1.0
	for _, j := range r.jobs {
		d.end, fastest = max(d.end, j.at), max(fastest, j.value)
	}
	d.end = 40 * math.Ceil(d.end/40) // a quarter of it is a round number
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="13">`, plotWidth, plotHeight)
	d.add(`<rect width="%d" height="%d" fill="white"/>`, plotWidth, plotHeight)
	for _, at := range r.deaths {
		for _, top := range []int{firstPanel, secondPanel} {
			d.add(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#bbbbbb"/>`, d.x(at), top, d.x(at), top+panelHeight)
		}
	}
	d.frame(firstPanel, 100, "Utilisation of each server (%); grey lines: a server dies")
	for i, s := range r.servers {
		d.curve(s.samples, colours[i])
		d.add(`<text x="%d" y="22" fill="%s">%s</text>`, panelLeft+100*i, colours[i], s.name)
	}
	top := 100 * math.Ceil(fastest)
	d.frame(secondPanel, top, "Handling speed of each job (% of the capacity of a server like Berta); line: the mean")
	for _, j := range r.jobs {
		d.add(`<circle cx="%.1f" cy="%.1f" r="2.5" fill="#0072B2" fill-opacity="0.5"/>`, d.x(j.at), y(secondPanel, 100*j.value/top))
	}
	mean := y(secondPanel, 100*r.meanSpeed()/top)
	d.add(`<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#D55E00" stroke-width="2"/>`, panelLeft, mean, panelLeft+panelWidth, mean)
	d.add(`<text x="%d" y="%d" text-anchor="middle">Time (s of the pool)</text></svg>`, panelLeft+panelWidth/2, secondPanel+panelHeight+40)
	return d.Bytes()
}

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *drawing) x(at float64) float64 { return panelLeft + panelWidth*at/d.end }

// y places a part of the height of a panel.
func y(panel int, part float64) float64 { return float64(panel) + panelHeight*(1-part) }

// frame draws the axes of a panel: the time, and 0 to top.
func (d *drawing) frame(panel int, top float64, title string) {
	d.add(`<text x="%d" y="%d" font-weight="bold">%s</text>`, panelLeft, panel-12, title)
	d.add(`<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#444444"/>`, panelLeft, panel, panelWidth, panelHeight)
	for i := range 5 {
		part := float64(i) / 4
		d.add(`<text x="%d" y="%.1f" text-anchor="end">%.0f</text>`, panelLeft-8, y(panel, part)+4, part*top)
		d.add(`<text x="%.1f" y="%d" text-anchor="middle">%.0f</text>`, d.x(part*d.end), panel+panelHeight+18, part*d.end)
	}
}

func (d *drawing) curve(points []point, colour string) {
	d.add(`<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
	for _, p := range points {
		d.add("%.1f,%.1f", d.x(p.at), y(firstPanel, min(1, p.value)))
	}
	d.add(`"/>`)
}
