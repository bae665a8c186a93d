package main

import (
	"fmt"
	"image"
	"math"
	"sync"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/fractal"
)

// picture is a picture that several sessions compute, a tile each.
type picture struct {
	title     string
	parameter fractal.Parameter
	tiles     []*tile

	mu      sync.Mutex
	values  []uint32
	known   []bool
	missing int
	shares  map[rsp.PEID]int // pixels by who computed them first
}

// tile is the part of a picture that one session computes.
type tile struct {
	number    int
	bounds    image.Rectangle
	parameter fractal.Parameter // of the tile as a picture of its own
	failovers int               // so far
	marks     []uint8           // failovers when the pixel came
}

func newPicture(title string, p fractal.Parameter, threads int) *picture {
	pixels := int(p.Width) * int(p.Height)
	return &picture{
		title: title, parameter: p, tiles: split(p, threads),
		values: make([]uint32, pixels), known: make([]bool, pixels), missing: pixels,
		shares: make(map[rsp.PEID]int),
	}
}

// split cuts a picture into one tile per thread as RSPLIB's client does: as many rows of tiles as the
// root of threads, and in each as many columns, but the last row has those that remain.
func split(p fractal.Parameter, threads int) []*tile {
	width, height := int(p.Width), int(p.Height)
	rows := int(math.Sqrt(float64(threads)))
	rowHeight := int(math.RoundToEven(float64(height) / float64(rows)))
	if rowHeight*(rows-1) >= height { // nothing would be left for the last row
		rowHeight = height / rows
	}
	var tiles []*tile
	for row := range rows {
		columns, bottom := rows, (row+1)*rowHeight
		if row == rows-1 {
			columns, bottom = threads-len(tiles), height
		}
		for column := range columns {
			right := (column + 1) * (width / columns)
			if column == columns-1 {
				right = width
			}
			t := &tile{number: len(tiles), bounds: image.Rect(column*(width/columns), row*rowHeight, right, bottom)}
			t.parameter = part(p, t.bounds)
			t.marks = make([]uint8, t.bounds.Dx()*t.bounds.Dy())
			tiles = append(tiles, t)
		}
	}
	return tiles
}

// part is the parameter of a part of a picture as a picture of its own.
func part(p fractal.Parameter, bounds image.Rectangle) fractal.Parameter {
	at := func(corner image.Point) complex128 {
		return complex(
			real(p.C1)+float64(corner.X)*(real(p.C2)-real(p.C1))/float64(p.Width),
			imag(p.C1)+float64(corner.Y)*(imag(p.C2)-imag(p.C1))/float64(p.Height))
	}
	q := p
	q.C1, q.C2 = at(bounds.Min), at(bounds.Max)
	q.Width, q.Height = uint32(bounds.Dx()), uint32(bounds.Dy())
	return q
}

// put takes what a server has sent of a tile, and returns the number of the first pixel in the tile.
// Servers may repeat what others have sent.
func (p *picture) put(t *tile, pe rsp.PEID, d *fractal.Data) (first int, err error) {
	width, pixels := t.bounds.Dx(), t.bounds.Dx()*t.bounds.Dy()
	if int64(d.X) >= int64(width) || int64(d.Y)*int64(width)+int64(d.X)+int64(len(d.Points)) > int64(pixels) {
		return 0, fmt.Errorf("%d points at (%d, %d) are not in a picture of %v", len(d.Points), d.X, d.Y, t.bounds.Size())
	}
	first = int(d.Y)*width + int(d.X)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, value := range d.Points {
		pixel := p.pixel(t, first+i)
		p.values[pixel] = value
		if !p.known[pixel] {
			p.known[pixel] = true
			p.missing--
			p.shares[pe]++
			t.marks[first+i] = uint8(t.failovers)
		}
	}
	return first, nil
}

// pixel is where the n-th pixel of a tile is in the picture.
func (p *picture) pixel(t *tile, n int) int {
	width := t.bounds.Dx()
	return (t.bounds.Min.Y+n/width)*int(p.parameter.Width) + t.bounds.Min.X + n%width
}

// points copies points of a tile.
func (p *picture) points(t *tile, first, n int) []uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	values := make([]uint32, n)
	for i := range values {
		values[i] = p.values[p.pixel(t, first+i)]
	}
	return values
}

// failedOver counts a failover of a tile's session.
func (p *picture) failedOver(t *tile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.failovers++
}

func (p *picture) failovers() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tiles {
		n += t.failovers
	}
	return n
}

// done is the part of the pixels that is known, from 0 to 1.
func (p *picture) done() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return 1 - float64(p.missing)/float64(len(p.values))
}

// complete is an error if pixels are missing.
func (p *picture) complete() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.missing > 0 {
		return fmt.Errorf("%d of %d pixels are missing", p.missing, len(p.values))
	}
	return nil
}

// differ counts the pixels in which two complete pictures differ.
func (p *picture) differ(q *picture) (n int) {
	for i, value := range p.values {
		if q.values[i] != value {
			n++
		}
	}
	return n
}
