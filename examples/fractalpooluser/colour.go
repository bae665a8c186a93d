package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
)

// colours says what of a picture's history changes its colours.
type colours struct {
	failovers bool
	sessions  bool
}

// save writes the number-th picture to a PNG file, whose name it returns.
func (c colours) save(p *picture, prefix string, number int) (string, error) {
	name := fmt.Sprintf("%s%06d.png", prefix, number)
	file, err := os.Create(name)
	if err != nil {
		return "", err
	}
	if err := png.Encode(file, c.paint(p, number)); err != nil {
		file.Close()
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return name, file.Close()
}

// paint gives each value its colour as RSPLIB's client does.
func (c colours) paint(p *picture, number int) image.Image {
	p.mu.Lock()
	defer p.mu.Unlock()
	img := image.NewNRGBA(image.Rect(0, 0, int(p.parameter.Width), int(p.parameter.Height)))
	for _, t := range p.tiles {
		for n, failovers := range t.marks {
			pixel := p.pixel(t, n)
			value := uint64(p.values[pixel]) + 2*uint64(number)
			if c.failovers {
				value += 5 * uint64(failovers)
			}
			if c.sessions {
				value += 3 * uint64(t.number)
			}
			img.SetNRGBA(pixel%img.Rect.Dx(), pixel/img.Rect.Dx(), hue(int(value%72*5)))
		}
	}
	return img
}

// hue is the pure colour of a hue, 0 to 359 (HSV with full saturation and value).
func hue(degrees int) color.NRGBA {
	rising := uint8(degrees % 60 * 255 / 60)
	falling := 255 - rising
	switch degrees / 60 {
	case 0:
		return color.NRGBA{255, rising, 0, 255}
	case 1:
		return color.NRGBA{falling, 255, 0, 255}
	case 2:
		return color.NRGBA{0, 255, rising, 255}
	case 3:
		return color.NRGBA{0, falling, 255, 255}
	case 4:
		return color.NRGBA{rising, 0, 255, 255}
	}
	return color.NRGBA{255, 0, falling, 255}
}
