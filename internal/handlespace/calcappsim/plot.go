package main

import (
	"fmt"
	"math"

	"github.com/rserpool/rsp/internal/protocol"
)

// panel is one of the two diagrams of the plot.
type panel struct {
	title  string
	curves []curve
}

// styles are of Okabe and Ito's colours, which the colour-blind can tell apart.
var styles = map[protocol.PolicyType]style{
	protocol.LeastUsed:            {"#0072B2", "", circle},
	protocol.LeastUsedDegradation: {"#56B4E9", "6 4", diamond},
	protocol.RandomizedLeastUsed:  {"#888888", "", circle},
	protocol.PriorityLeastUsed:    {"#882255", "", diamond},
	protocol.RoundRobin:           {"#D55E00", "", square},
	protocol.WeightedRoundRobin:   {"#E69F00", "6 4", square},
	protocol.Random:               {"#000000", "", triangle},
	protocol.WeightedRandom:       {"#CC79A7", "6 4", triangle},
	protocol.Priority:             {"#009E73", "2 3", diamond},
}

// The layout in pixels.
const (
	plotWidth, plotHeight = 1080, 570
	panelTop, panelSize   = 50, 400 // the size is for width and height
	panelLeft, panelStep  = 90, 540 // of the first panel; from one to the next
	legendTop             = panelTop + panelSize + 75
	legendLeft            = 45
	legendWidth           = 203 // of an entry
)

// plot draws the handling speeds of two panels as SVG.
func plot(panels []panel) []byte {
	s := newSVG(plotWidth, plotHeight)
	var legend []protocol.PolicyType
	for i, p := range panels {
		a := newAxes(p.curves, panelLeft+panelStep*float64(i))
		a.draw(s, p.title)
		for _, c := range p.curves {
			a.drawCurve(s, c)
		}
		if len(p.curves) > len(legend) {
			legend = policiesOf(p.curves)
		}
	}
	drawLegend(s, legend)
	return s.finish()
}

func policiesOf(curves []curve) []protocol.PolicyType {
	var policies []protocol.PolicyType
	for _, c := range curves {
		policies = append(policies, c.policy)
	}
	return policies
}

// axes place a utilisation and a handling speed, both in percent.
type axes struct {
	left              float64
	minX, maxX, stepX float64
	maxY, stepY       float64
}

// newAxes shows all points of the curves, speeds from 0 on.
func newAxes(curves []curve, left float64) axes {
	a := axes{left: left, minX: 15, maxX: 100, stepX: 10, stepY: 20}
	for _, c := range curves {
		for _, p := range c.points {
			a.maxY = max(a.maxY, a.stepY*math.Ceil(100*p.speed.high()/a.stepY))
		}
	}
	return a
}

func (a axes) x(utilisation float64) float64 {
	return a.left + panelSize*(utilisation-a.minX)/(a.maxX-a.minX)
}

func (a axes) y(speed float64) float64 { return panelTop + panelSize*(1-speed/a.maxY) }

func (a axes) draw(s *svg, title string) {
	const grid, frame, bottom = "#dddddd", "#444444", panelTop + panelSize
	middle := a.left + panelSize/2
	s.heading(middle, panelTop-18, title)
	for x := math.Ceil(a.minX/a.stepX) * a.stepX; x <= a.maxX; x += a.stepX {
		s.line(a.x(x), panelTop, a.x(x), bottom, grid)
		s.line(a.x(x), bottom, a.x(x), bottom+5, frame)
		s.text(a.x(x), bottom+20, centre, fmt.Sprint(x))
	}
	for y := 0.; y <= a.maxY; y += a.stepY {
		s.line(a.left, a.y(y), a.left+panelSize, a.y(y), grid)
		s.line(a.left-5, a.y(y), a.left, a.y(y), frame)
		s.text(a.left-10, a.y(y)+4, right, fmt.Sprint(y))
	}
	s.line(a.left, panelTop, a.left, bottom, frame)
	s.line(a.left, bottom, a.left+panelSize, bottom, frame)
	s.text(middle, bottom+42, centre, "Target utilisation of the pool (%)")
	s.upwards(a.left-48, panelTop+panelSize/2, "Handling speed (% of the average PE capacity)")
}

// drawCurve draws the means and, as bars, their confidence intervals, which are cut
// off at 0.
func (a axes) drawCurve(s *svg, c curve) {
	st := styles[c.policy]
	var line [][2]float64
	for _, p := range c.points {
		line = append(line, [2]float64{a.x(100 * p.target), a.y(100 * p.speed.mean)})
	}
	s.polyline(line, st)
	for i, p := range c.points {
		x, low, high := line[i][0], a.y(100*max(0, p.speed.low())), a.y(100*p.speed.high())
		s.line(x, low, x, high, st.colour)
		s.line(x-4, low, x+4, low, st.colour)
		s.line(x-4, high, x+4, high, st.colour)
		s.mark(x, line[i][1], st)
	}
}

// drawLegend names the lines, some in a row.
func drawLegend(s *svg, policies []protocol.PolicyType) {
	const perRow = 5
	for i, policy := range policies {
		x := legendLeft + legendWidth*float64(i%perRow)
		y := legendTop + 24*float64(i/perRow)
		s.polyline([][2]float64{{x, y}, {x + 32, y}}, styles[policy])
		s.mark(x+16, y, styles[policy])
		s.text(x+40, y+4, left, policy.String())
	}
}
