package fractal

import (
	"fmt"
	"math"
	"math/cmplx"
)

// Algorithm is how a pixel is computed.
type Algorithm uint32

const (
	Mandelbrot  Algorithm = 1 // z² - c
	MandelbrotN Algorithm = 2 // z^N - c
)

// String returns the name as files have it.
func (a Algorithm) String() string {
	switch a {
	case Mandelbrot:
		return "Mandelbrot"
	case MandelbrotN:
		return "MandelbrotN"
	}
	return fmt.Sprintf("algorithm %d", uint32(a))
}

// Value computes a pixel: how many steps z, which starts at 0, takes to leave the circle of
// radius √2. Conversions to float64 keep the compiler from fusing operations, which some
// machines do: one picture is computed by several.
func (p *Parameter) Value(x, y uint32) uint32 {
	c := p.C1 + complex(
		float64(float64(x)/float64(p.Width)*(real(p.C2)-real(p.C1))),
		float64(float64(y)/float64(p.Height)*(imag(p.C2)-imag(p.C1))))
	if p.Algorithm == Mandelbrot {
		return p.mandelbrot(c)
	}
	return p.mandelbrotN(c)
}

func (p *Parameter) mandelbrot(c complex128) uint32 {
	var z complex128
	for i := range p.MaxIterations {
		re, im := real(z), imag(z)
		z = complex(float64(re*re)-float64(im*im), float64(re*im)+float64(im*re)) - c
		if outside(z) {
			return i
		}
	}
	return p.MaxIterations
}

func (p *Parameter) mandelbrotN(c complex128) uint32 {
	var z complex128
	for i := range p.MaxIterations {
		z = power(z, p.N) - c
		if outside(z) {
			return i
		}
	}
	return p.MaxIterations
}

func outside(z complex128) bool {
	return float64(real(z)*real(z))+float64(imag(z)*imag(z)) >= 2
}

// power is z^n, in polar coordinates as RSPLIB has it. The last bits of the functions are not those
// of RSPLIB's C library, which shows in chaotic orbits, after 40 steps and more.
func power(z complex128, n float64) complex128 {
	if z == 0 {
		return 0
	}
	log := cmplx.Log(z)
	sin, cos := math.Sincos(n * imag(log))
	r := math.Exp(n * real(log))
	return complex(r*cos, r*sin)
}
